"""Resource URI: how the name of an API is compared (RFC 8707 2, RFC 3986 6.2)."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from ..errors import InvalidTargetError

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def canonical(uri: str) -> str:
    """Return a resource URI as all its spellings are compared (RFC 3986 6.2.2, 6.2.3)."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise InvalidTargetError() from None
    if "#" in uri:
        raise InvalidTargetError("A resource has no fragment (RFC 8707 2).")
    netloc = parts.netloc.lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, ":"))
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), parts.query, ""))
