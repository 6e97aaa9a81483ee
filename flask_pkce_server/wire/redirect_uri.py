"""Redirect URI: which URIs may be registered, and which of them a request matches.

RFC 9700 2.1 and 4.1: exact match. RFC 8252 7.3: on the loopback interface the port may
vary. RFC 8252 7.1: a URI with a private-use scheme is kept byte for byte.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ..errors import InvalidRequestError
from ..i18n import translatable

#: Schemes that could run code or read files in the redirected browser.
_DANGEROUS = {
    "about", "blob", "data", "file", "filesystem", "ftp", "intent", "jar", "javascript",
    "mailto", "mhtml", "tel", "urn", "vbscript", "view-source", "ws", "wss",
}  # fmt: skip
#: Parameters that the server appends: a URI that has one already would have it twice.
_RESPONSE_PARAMETERS = {"code", "state", "iss", "error", "error_description", "error_uri"}
_MAX_URI = 2000
#: The warning about a scheme that any app can claim.
PLAIN_SCHEME = translatable(
    "The scheme {scheme}: has no dot. Another app can claim it as easily; prefer one made from "
    "your domain, as com.example.app: is (RFC 8252 7.1)."
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# The characters of RFC 3986; none of them can end a header or a tag.
_CHARACTERS = re.compile(r"(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
# A name or an IPv4 address, or an IPv6 address in brackets, and perhaps a port. No other
# characters: the origin of a redirect URI goes into a Content Security Policy. Some products
# have an underscore in the name of a host.
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_AUTHORITY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{{1,5}})?")


def refuse_unfit(uri: str) -> None:
    """Refuse a redirect URI that must not be registered.

    Raises `InvalidRequestError`, with a description of what to change.
    """
    if not 1 <= len(uri) <= _MAX_URI:
        raise InvalidRequestError(translatable("A redirect URI is a text of 1 to 2000 characters."))
    if "#" in uri:
        raise InvalidRequestError(
            translatable("A redirect URI has no fragment: leave out the # and the rest.")
        )
    if "*" in uri:
        raise InvalidRequestError(
            translatable("A redirect URI has no wildcard: register each URI as it is.")
        )
    if not _CHARACTERS.fullmatch(uri):
        raise InvalidRequestError(
            translatable(
                "A redirect URI has only the characters of RFC 3986; percent-encode the others."
            )
        )
    parts = _split(uri)
    if parts is None or not _SCHEME.match(uri):
        raise InvalidRequestError(
            translatable("A redirect URI is absolute: it starts with its scheme.")
        )
    if parts.scheme in _DANGEROUS:
        raise InvalidRequestError(
            translatable("A redirect URI of this scheme would run in the browser itself.")
        )
    if "@" in parts.netloc:
        raise InvalidRequestError(translatable("A redirect URI has no user or password in it."))
    if parts.scheme in ("http", "https") and not _AUTHORITY.fullmatch(parts.netloc):
        raise InvalidRequestError(translatable("A redirect URI of http or https names a host."))
    if parts.scheme == "http" and not is_loopback(uri):
        raise InvalidRequestError(
            translatable("A redirect URI is https; http only on this computer's loopback.")
        )
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if _RESPONSE_PARAMETERS.intersection(names):
        raise InvalidRequestError(
            translatable("A redirect URI has no code, state, iss or error in its query.")
        )
    if any(part in (".", "..") for part in parts.path.split("/")):
        raise InvalidRequestError(translatable("A redirect URI has no . or .. in its path."))


def warnings(uri: str) -> list[str]:
    """Return warnings about a `uri` that is allowed but not recommended."""
    return [PLAIN_SCHEME.format(scheme=urlsplit(uri).scheme)] if has_plain_scheme(uri) else []


def has_plain_scheme(uri: str) -> bool:
    """Return whether `uri` has a private-use scheme that no domain is part of (RFC 8252 7.1)."""
    scheme = urlsplit(uri).scheme
    return scheme not in ("http", "https") and "." not in scheme


def matches(registered: str, presented: str) -> bool:
    """Return whether the `presented` URI matches the `registered` one.

    They must be equal, except for the port of a loopback URI (RFC 8252 7.3) and for the slash
    of a loopback URI without a path: VS Code registers it one way and sends it the other.
    """
    if presented == registered:
        return True
    if not (is_loopback(registered) and is_loopback(presented)):
        return False
    return _without_port(registered) == _without_port(presented)


def is_loopback(uri: str) -> bool:
    """Return whether `uri` is an http URI on 127.0.0.1, [::1] or localhost."""
    parts = _split(uri)
    if parts is None or not uri.startswith("http://") or "@" in parts.netloc:
        return False
    return is_loopback_host(parts.hostname or "")


def is_loopback_host(host: str) -> bool:
    """Return whether `host` is 127.0.0.1, ::1 or localhost, in exactly these spellings.

    Nobody needs other spellings of these addresses (2130706433, ::ffff:127.0.0.1), and
    attackers have used them to bypass checks.
    """
    return host in ("localhost", "127.0.0.1", "::1")


def is_private_use(uri: str) -> bool:
    """Return whether `uri` leads to a native app by a private-use scheme (RFC 8252 7.1)."""
    return urlsplit(uri).scheme not in ("http", "https")


def is_web(uri: str) -> bool:
    """Return whether `uri` leads to a server, and not to an app on the user's device."""
    return not is_private_use(uri) and not is_loopback(uri)


def origin_of(uri: str) -> str | None:
    """Return the web origin of an http or https URI, as a browser writes it, or None."""
    parts = urlsplit(uri)
    if is_private_use(uri) or not parts.hostname or not _AUTHORITY.fullmatch(parts.netloc):
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def shown_host(uri: str) -> str:
    """Return what to show to users of `uri`: its host, or a private-use scheme."""
    parts = urlsplit(uri)
    return f"{parts.scheme}:" if is_private_use(uri) else parts.netloc


def _split(uri: str) -> SplitResult | None:
    # Check the characters first: urlsplit silently drops tabs and newlines.
    if not _CHARACTERS.fullmatch(uri):
        return None
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _without_port(uri: str) -> str:
    parts = urlsplit(uri)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    # Keep the raw rest, so that "/cb", "/cb?" and "/cb;x" stay three different URIs. Only a
    # host and port spelled as browsers write them, in lower case, may differ in the port.
    rest = uri[len(f"{parts.scheme}://{parts.netloc}") :]
    is_normal = parts.netloc == f"{host}:{parts.port}" or parts.netloc == host
    return f"http://{host}{rest or '/'}" if is_normal else uri
