"""Resource URI: the URI of an API, in a form to compare (RFC 8707 2, RFC 3986 6.2)."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from ..errors import InvalidTargetError

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def canonical(uri: str) -> str:
    """Return the canonical spelling of a resource URI (RFC 3986 6.2.2, 6.2.3).

    Raises `InvalidTargetError` if `uri` is malformed or has a fragment.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise InvalidTargetError() from None
    if "#" in uri:
        raise InvalidTargetError("A resource has no fragment (RFC 8707 2).")
    netloc = parts.netloc.lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, ":"))
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), parts.query, ""))
