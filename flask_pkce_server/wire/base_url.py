"""Base URL: a URL that identifies a server or an API (RFC 8414 2, RFC 9728 1.2)."""

from __future__ import annotations

from urllib.parse import urlsplit

from .redirect_uri import is_loopback_host


def fault_of(url: str) -> str | None:
    """Return why `url` cannot be a base URL, or None if it can."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return "is not an https URL"
    if parts.scheme == "http" and not is_loopback_host(parts.hostname):
        return "must be https; http is for the loopback interface only"
    if "?" in url or "#" in url or "@" in parts.netloc:
        return "has no query, fragment, user or password"
    if not url.isascii() or not url.isprintable() or set(url) & set(' "\\<>'):
        return "has only the characters of a URL; write other names in their xn-- form"
    return None
