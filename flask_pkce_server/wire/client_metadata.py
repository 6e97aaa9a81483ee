"""Client metadata: what clients register, checked and completed with defaults (RFC 7591 2).

The input is JSON from strangers: values can have any type, and members that only the operator
may set can be present. Only the members named here and in the `Offer` are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_origin

from ..errors import InvalidClientMetadataError, InvalidRedirectUriError, InvalidRequestError
from . import redirect_uri as uris
from . import shown_name
from .handle import digest
from .names import DEVICE_CODE as DEVICE

#: The grant types of unverified clients: each of them involves a user.
OPEN_GRANTS = ("authorization_code", "refresh_token", DEVICE)
#: The client authentication methods that need no further metadata.
OPEN_AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post")
APPLICATION_TYPES = ("native", "web")
#: Who sets client metadata: the operator, a client that registers itself, or the document that
#: describes a client.
Party = Literal["operator", "client", "document"]
#: The members that each party sets by its `scope`. The scope of a document is ignored.
_SAID_AS_SCOPE: Mapping[Party, set[str]] = {
    "operator": set(),
    "client": {"default_scope"},
    "document": set(),
}
_MAX_TEXT = 2000
_MAX_ORIGIN = 255
_MAX_ITEMS = 50
#: Levels of nesting in a JSON object; a JWK Set whose keys contain lists has five.
_DEEPEST = 10
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_URI = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Offer:
    """What the server offers to clients that supply their own metadata."""

    party: Party
    auth_methods: Collection[str]
    grant_types: Collection[str]
    scopes: Collection[str]
    #: Whether clients may ask for every declared scope, including future ones.
    all_scopes: bool
    #: The further members that the party may set, with their types.
    members: Mapping[str, Any]
    #: The members that apply to one client authentication method only, with that method.
    auth_method_of: Mapping[str, str]

    def members_for(self, auth_method: str) -> dict[str, Any]:
        """Return the members that apply to a client with `auth_method`, with their types."""
        return {
            name: kind
            for name, kind in self.members.items()
            if self.auth_method_of.get(name, auth_method) == auth_method
        }


@dataclass(frozen=True)
class ClientMetadata:
    """The metadata that is stored for a client."""

    client_name: str
    redirect_uris: list[str]
    auth_method: str
    grant_types: list[str]
    scope: frozenset[str] | None
    #: The further members, under the names of RFC 7591 2, and `default_scope`.
    members: dict[str, Any]
    #: The names of all members that the party could have set: their old values are dropped.
    replaced: frozenset[str]

    def digest(self) -> bytes:
        """Return a digest that is equal for equal metadata, whatever its order."""
        content = {
            **{name: value for name, value in vars(self).items() if name != "replaced"},
            "redirect_uris": sorted(self.redirect_uris),
            "scope": None if self.scope is None else sorted(self.scope),
        }
        return digest(json.dumps(content, sort_keys=True))


def read(
    metadata: Mapping[str, Any], offer: Offer, auth_method: str | None = None
) -> ClientMetadata:
    """Return the metadata to store for a client that sends `metadata`.

    Missing, null and empty members get defaults; `auth_method` is that of its parameter.
    Raises `InvalidRedirectUriError` or `InvalidClientMetadataError` (RFC 7591 3.2.2).
    """
    redirect_uris = _redirect_uris(metadata)
    grant_types = _grant_types(metadata, offer)
    if "authorization_code" in grant_types and not redirect_uris:
        raise InvalidRedirectUriError("redirect_uris is missing: at least one is needed.")
    members = {name: _line(metadata, name, kind) for name, kind in offer.members.items()}
    members = {name: value for name, value in members.items() if value is not None}
    # OIDC Registration 2 defaults to `web`, but native apps rely on being recognized.
    is_native = not any(uris.is_web(uri) for uri in redirect_uris)
    members.setdefault("application_type", "native" if is_native else "web")
    if auth_method is None:
        # RFC 7591 2 defaults to client_secret_basic, but an installed app keeps no secret.
        public = is_native or members["application_type"] == "native"
        auth_method = "none" if public else "client_secret_basic"
    auth_method = _text(metadata, "token_endpoint_auth_method") or auth_method
    if auth_method not in offer.auth_methods:
        raise InvalidClientMetadataError(
            f"token_endpoint_auth_method is one of: {', '.join(offer.auth_methods)}."
        )
    members |= _default_scope(metadata, offer)
    return ClientMetadata(
        client_name=_name(metadata, redirect_uris),
        redirect_uris=redirect_uris,
        auth_method=auth_method,
        grant_types=grant_types,
        scope=None if offer.all_scopes else frozenset(offer.scopes),
        members=members,
        replaced=frozenset(offer.members) | _SAID_AS_SCOPE[offer.party],
    )


def _redirect_uris(metadata: Mapping[str, Any]) -> list[str]:
    try:
        redirect_uris = _texts(metadata, "redirect_uris")
        for uri in redirect_uris:
            uris.refuse_unfit(uri)
            if len(uris.origin_of(uri) or "") > _MAX_ORIGIN:
                raise InvalidRequestError("The host in a redirect URI is too long.")
    except InvalidRequestError as error:
        raise InvalidRedirectUriError(error.description) from None
    except InvalidClientMetadataError as error:
        raise InvalidRedirectUriError(error.description) from None
    return list(dict.fromkeys(redirect_uris))


def _grant_types(metadata: Mapping[str, Any], offer: Offer) -> list[str]:
    requested = _texts(metadata, "grant_types") or ["authorization_code"]
    # RFC 7591 2: a server may drop what it does not offer, and shows the rest in its answer.
    accepted = [grant for grant in OPEN_GRANTS if grant in requested and grant in offer.grant_types]
    if not {"authorization_code", DEVICE} & {*accepted}:
        raise InvalidClientMetadataError(
            "grant_types has none that lets a user sign in, as authorization_code does."
        )
    response_types = _texts(metadata, "response_types") or ["code"]
    if "authorization_code" in accepted and "code" not in response_types:
        raise InvalidClientMetadataError("response_types is code; this server has no other.")
    return accepted


def _default_scope(metadata: Mapping[str, Any], offer: Offer) -> dict[str, str]:
    """Return the scopes for requests that name none; the client may ask for all offered ones.

    A client registers the scopes that it knows of. MCP clients learn from an API later that they
    need another one, and ask the user for it. A limit would only make clients register again.
    """
    requested = frozenset((_text(metadata, "scope") or "").split(" ")) - {""}
    scopes = requested & frozenset(offer.scopes)
    if requested and not scopes:
        raise InvalidClientMetadataError("scope has none that such clients may ask for here.")
    return {"default_scope": " ".join(sorted(scopes))} if scopes else {}


def _name(metadata: Mapping[str, Any], redirect_uris: list[str]) -> str:
    # Default to the host of the first redirect URI, which at least does not mislead users.
    hosts = [uris.shown_host(uri) for uri in redirect_uris]
    name = shown_name.collapse_blanks(_text(metadata, "client_name") or "")
    name = name or (hosts or [""])[0]
    if not name:
        raise InvalidClientMetadataError("client_name is missing: users read who asks.")
    try:
        shown_name.check(name, "client_name")
    except InvalidRequestError as error:
        raise InvalidClientMetadataError(error.description) from None
    return name


def _line(metadata: Mapping[str, Any], name: str, kind: Any) -> Any:
    if get_origin(kind) is dict:
        return _keys(metadata, name)
    if kind is bool:
        return _flag(metadata, name)
    value = _text(metadata, name) if kind is str else _texts(metadata, name) or None
    texts = [value] if isinstance(value, str) else value or []
    if name.endswith(("_uri", "_uris")) and not all(map(_URI.fullmatch, texts)):
        raise InvalidClientMetadataError(f"{name} has a character in it that URIs do not have.")
    return value


def _flag(metadata: Mapping[str, Any], name: str) -> bool | None:
    value = metadata.get(name)
    if not isinstance(value, bool | None):
        raise InvalidClientMetadataError(f"{name} is true or false.")
    return value


def _keys(metadata: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return the JSON object in the member `name`, a set of keys; they are plain ASCII."""
    value = metadata.get(name)
    if value is None:
        return None
    try:
        text = json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        text = "\\"
    if not isinstance(value, dict) or "\\" in text or not _is_storable(value, _DEEPEST):
        raise InvalidClientMetadataError(f"{name} is a JSON object with plain texts in it.")
    return value


def _is_storable(value: Any, levels: int) -> bool:
    """Return whether every database can store `value`: not too deep, and no huge numbers."""
    if isinstance(value, int):
        return abs(value) < 2**63
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_storable(item, levels - 1) for item in inner)


def _text(metadata: Mapping[str, Any], name: str) -> str | None:
    """Return the text in the member `name`; None if it is missing, null or empty."""
    value = metadata.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > _MAX_TEXT or _UNSEEN.search(value):
        raise InvalidClientMetadataError(f"{name} is a text of 1 to {_MAX_TEXT} characters.")
    return value


def _texts(metadata: Mapping[str, Any], name: str) -> list[str]:
    value = metadata.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > _MAX_ITEMS:
        raise InvalidClientMetadataError(f"{name} is a list of {_MAX_ITEMS} texts at most.")
    texts = [_text({name: item}, name) for item in value]
    if None in texts:
        raise InvalidClientMetadataError(f"{name} is a list of texts, none of them empty.")
    return [text for text in texts if text is not None]
