"""Redirect URI: which may be registered, and which of them a request means.

RFC 9700 2.1 and 4.1: exact match. RFC 8252 7.3: on the loopback interface the port may
vary. RFC 8252 7.1: a private-use scheme is kept byte for byte.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ..errors import InvalidRequestError
from ..i18n import translatable

#: Schemes that run code or read files in the browser that is sent there.
_DANGEROUS = {
    "about", "blob", "data", "file", "filesystem", "ftp", "intent", "jar", "javascript",
    "mailto", "mhtml", "tel", "urn", "vbscript", "view-source", "ws", "wss",
}  # fmt: skip
#: What we append: a URI that has one of these already would carry two of them.
_OURS = {"code", "state", "iss", "error", "error_description", "error_uri"}
_MAX_URI = 2000
#: What is said of a scheme that anybody may take.
PLAIN_SCHEME = translatable(
    "The scheme {scheme}: has no dot. Another app can claim it as easily; prefer one made from "
    "your domain, as com.example.app: is (RFC 8252 7.1)."
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# RFC 3986: the characters of a URI, and nothing that could end a header or a tag.
_CHARACTERS = re.compile(r"(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")


def refuse_unfit(uri: str) -> None:
    """Refuse a redirect URI that must not be registered.

    Raises `InvalidRequestError`, whose description says what to change.
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
    if parts.scheme in ("http", "https") and not parts.hostname:
        raise InvalidRequestError(translatable("A redirect URI of http or https names a host."))
    if parts.scheme == "http" and not is_loopback(uri):
        raise InvalidRequestError(
            translatable("A redirect URI is https; http only on this computer's loopback.")
        )
    if _OURS.intersection(name for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise InvalidRequestError(
            translatable("A redirect URI has no code, state, iss or error in its query.")
        )
    if any(part in (".", "..") for part in parts.path.split("/")):
        raise InvalidRequestError(translatable("A redirect URI has no . or .. in its path."))


def warnings(uri: str) -> list[str]:
    """Say what is allowed in `uri` but better otherwise."""
    return [PLAIN_SCHEME.format(scheme=urlsplit(uri).scheme)] if has_plain_scheme(uri) else []


def has_plain_scheme(uri: str) -> bool:
    """Say whether the scheme of `uri` is private, and not made from a domain (RFC 8252 7.1)."""
    scheme = urlsplit(uri).scheme
    return scheme not in ("http", "https") and "." not in scheme


def matches(registered: str, presented: str) -> bool:
    """Say whether `presented` is the URI that was `registered`.

    Character for character, but for the port of a loopback URI (RFC 8252 7.3), and for the
    slash of one without a path: VS Code registers it in one way and comes in the other.
    """
    if presented == registered:
        return True
    if not (is_loopback(registered) and is_loopback(presented)):
        return False
    return _without_port(registered) == _without_port(presented)


def is_loopback(uri: str) -> bool:
    """Say whether `uri` is http on 127.0.0.1, [::1] or localhost."""
    parts = _split(uri)
    if parts is None or not uri.startswith("http://") or "@" in parts.netloc:
        return False
    return is_loopback_host(parts.hostname or "")


def is_loopback_host(host: str) -> bool:
    """Say whether `host` is 127.0.0.1, ::1 or localhost, in just these spellings.

    Other spellings of the same address (2130706433, ::ffff:127.0.0.1) are not needed by
    anybody, and have been used to get past checks.
    """
    return host in ("localhost", "127.0.0.1", "::1")


def is_private_use(uri: str) -> bool:
    """Say whether `uri` leads to an app by a scheme of its own (RFC 8252 7.1)."""
    return urlsplit(uri).scheme not in ("http", "https")


def is_web(uri: str) -> bool:
    """Say whether `uri` leads to a server, and not to an app on the user's own device."""
    return not is_private_use(uri) and not is_loopback(uri)


def origin_of(uri: str) -> str | None:
    """Return the web origin of an http or https URI, as a browser writes it."""
    parts = urlsplit(uri)
    if is_private_use(uri) or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def shown_host(uri: str) -> str:
    """Return what a person should read of `uri`: its host, or its scheme if it has none."""
    parts = urlsplit(uri)
    return f"{parts.scheme}:" if is_private_use(uri) else parts.netloc


def _split(uri: str) -> SplitResult | None:
    # urlsplit drops tabs and newlines silently: look at the characters first.
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
    # The raw tail, so that "/cb", "/cb?" and "/cb;x" stay three different URIs. A browser
    # writes the host in lower case, and so it must have been registered.
    tail = uri[len(f"{parts.scheme}://{parts.netloc}") :]
    spelled = parts.netloc == f"{host}:{parts.port}" or parts.netloc == host
    return f"http://{host}{tail or '/'}" if spelled else uri
