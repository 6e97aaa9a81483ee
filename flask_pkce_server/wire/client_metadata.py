"""Client metadata: what a client says of itself, checked and filled (RFC 7591 2).

What comes is JSON of strangers: of any type, and with members that are the operator's to
say. Only those that are named here are read.
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

#: The grants of clients that nobody checked: a user stands behind each of them.
OPEN_GRANTS = ("authorization_code", "refresh_token", DEVICE)
#: Those that need nothing else to be registered.
OPEN_AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post")
APPLICATION_TYPES = ("native", "web")
#: Who may say something of a client: the operator, the client itself when it registers, or the
#: document that describes it.
Party = Literal["operator", "client", "document"]
#: What a client that registers itself says by `scope`. A document names no scopes.
_SAID_AS_SCOPE: Mapping[Party, set[str]] = {
    "operator": set(),
    "client": {"default_scope"},
    "document": set(),
}
_MAX_TEXT = 2000
_MAX_ORIGIN = 255
_MAX_ITEMS = 50
#: Levels of a JSON object: a set of keys with lists in them has five.
_DEEPEST = 10
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_URI = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Offer:
    """What a server has for clients that say themselves what they are."""

    party: Party
    auth_methods: Collection[str]
    grant_types: Collection[str]
    scopes: Collection[str]
    #: Whether a client that names no scope may ask for all that are ever declared.
    all_scopes: bool
    #: The types of the further members that the party may say, by their names.
    members: Mapping[str, Any]
    #: Those that mean something beside one client authentication method alone.
    auth_method_of: Mapping[str, str]

    def members_for(self, auth_method: str) -> dict[str, Any]:
        """Return the members that mean something of a client with `auth_method`."""
        return {
            name: kind
            for name, kind in self.members.items()
            if self.auth_method_of.get(name, auth_method) == auth_method
        }


@dataclass(frozen=True)
class ClientMetadata:
    """What is registered of a client."""

    client_name: str
    redirect_uris: list[str]
    auth_method: str
    grant_types: list[str]
    scope: frozenset[str] | None
    #: The further members, under the names of RFC 7591 2; and its `default_scope`.
    members: dict[str, Any]
    #: The names of all that could have been said: what was said before under them is over.
    replaced: frozenset[str]

    def digest(self) -> bytes:
        """Return what is the same for two clients that say the same, in whatever order."""
        said = {
            **{name: value for name, value in vars(self).items() if name != "replaced"},
            "redirect_uris": sorted(self.redirect_uris),
            "scope": None if self.scope is None else sorted(self.scope),
        }
        return digest(json.dumps(said, sort_keys=True))


def read(said: Mapping[str, Any], offer: Offer, auth_method: str | None = None) -> ClientMetadata:
    """Return what is registered for a client that says `said`.

    What is left out, null or empty is filled; `auth_method` is taken where none is named.
    Raises `InvalidRedirectUriError` or `InvalidClientMetadataError` (RFC 7591 3.2.2).
    """
    redirect_uris = _redirect_uris(said)
    grant_types = _grant_types(said, offer)
    if "authorization_code" in grant_types and not redirect_uris:
        raise InvalidRedirectUriError("redirect_uris is missing: at least one is needed.")
    members = {name: _line(said, name, kind) for name, kind in offer.members.items()}
    members = {name: value for name, value in members.items() if value is not None}
    # OIDC Registration 2 has `web` as the default; native apps rely on better sense.
    is_native = not any(uris.is_web(uri) for uri in redirect_uris)
    members.setdefault("application_type", "native" if is_native else "web")
    if auth_method is None:
        # RFC 7591 2 has client_secret_basic; an app that people install keeps no secret.
        public = is_native or members["application_type"] == "native"
        auth_method = "none" if public else "client_secret_basic"
    auth_method = _text(said, "token_endpoint_auth_method") or auth_method
    if auth_method not in offer.auth_methods:
        raise InvalidClientMetadataError(
            f"token_endpoint_auth_method is one of: {', '.join(offer.auth_methods)}."
        )
    members |= _default_scope(said, offer)
    return ClientMetadata(
        client_name=_name(said, redirect_uris),
        redirect_uris=redirect_uris,
        auth_method=auth_method,
        grant_types=grant_types,
        scope=None if offer.all_scopes else frozenset(offer.scopes),
        members=members,
        replaced=frozenset(offer.members) | _SAID_AS_SCOPE[offer.party],
    )


def _redirect_uris(said: Mapping[str, Any]) -> list[str]:
    try:
        found = _texts(said, "redirect_uris")
        for uri in found:
            uris.refuse_unfit(uri)
            if len(uris.origin_of(uri) or "") > _MAX_ORIGIN:
                raise InvalidRequestError("The host in a redirect URI is too long.")
    except InvalidRequestError as error:
        raise InvalidRedirectUriError(error.description) from None
    except InvalidClientMetadataError as error:
        raise InvalidRedirectUriError(error.description) from None
    return list(dict.fromkeys(found))


def _grant_types(said: Mapping[str, Any], offer: Offer) -> list[str]:
    asked = _texts(said, "grant_types") or ["authorization_code"]
    # RFC 7591 2: a server may replace what it does not give, and says so in its answer.
    given = [one for one in OPEN_GRANTS if one in asked and one in offer.grant_types]
    if not {"authorization_code", DEVICE} & {*given}:
        raise InvalidClientMetadataError(
            "grant_types has none that lets a user sign in, as authorization_code does."
        )
    response_types = _texts(said, "response_types") or ["code"]
    if "authorization_code" in given and "code" not in response_types:
        raise InvalidClientMetadataError("response_types is code; this server has no other.")
    return given


def _default_scope(said: Mapping[str, Any], offer: Offer) -> dict[str, str]:
    """Return what a client asks for when it names no scope; it may ask for all of the offer.

    It registers what it knows of by then. MCP clients learn from an API that they need one
    scope more, and ask the user for that; and who could be kept from registering again?
    """
    asked = frozenset((_text(said, "scope") or "").split(" ")) - {""}
    scopes = asked & frozenset(offer.scopes)
    if asked and not scopes:
        raise InvalidClientMetadataError("scope has none that such clients may ask for here.")
    return {"default_scope": " ".join(sorted(scopes))} if scopes else {}


def _name(said: Mapping[str, Any], redirect_uris: list[str]) -> str:
    # The host of where it is, if it says nothing: that at least is true.
    hosts = [uris.shown_host(uri) for uri in redirect_uris]
    name = (_text(said, "client_name") or "").strip() or (hosts or [""])[0]
    if not name:
        raise InvalidClientMetadataError("client_name is missing: users read who asks.")
    try:
        shown_name.check(name, "client_name")
    except InvalidRequestError as error:
        raise InvalidClientMetadataError(error.description) from None
    return name


def _line(said: Mapping[str, Any], name: str, kind: Any) -> Any:
    if get_origin(kind) is dict:
        return _keys(said, name)
    if kind is bool:
        return _flag(said, name)
    value = _text(said, name) if kind is str else _texts(said, name) or None
    texts = [value] if isinstance(value, str) else value or []
    if name.endswith(("_uri", "_uris")) and not all(map(_URI.fullmatch, texts)):
        raise InvalidClientMetadataError(f"{name} has a character in it that URIs do not have.")
    return value


def _flag(said: Mapping[str, Any], name: str) -> bool | None:
    value = said.get(name)
    if not isinstance(value, bool | None):
        raise InvalidClientMetadataError(f"{name} is true or false.")
    return value


def _keys(said: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return the JSON object that is called `name`: one of keys, which are plain ASCII."""
    value = said.get(name)
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
    """Say whether every database stores `value`: MariaDB nothing deep, MySQL no huge number."""
    if isinstance(value, int):
        return abs(value) < 2**63
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_storable(one, levels - 1) for one in inner)


def _text(said: Mapping[str, Any], name: str) -> str | None:
    """Return the text that is called `name`; null and nothing count as left out."""
    value = said.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > _MAX_TEXT or _UNSEEN.search(value):
        raise InvalidClientMetadataError(f"{name} is a text of 1 to {_MAX_TEXT} characters.")
    return value


def _texts(said: Mapping[str, Any], name: str) -> list[str]:
    value = said.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > _MAX_ITEMS:
        raise InvalidClientMetadataError(f"{name} is a list of {_MAX_ITEMS} texts at most.")
    found = [_text({name: one}, name) for one in value]
    if None in found:
        raise InvalidClientMetadataError(f"{name} is a list of texts, none of them empty.")
    return [one for one in found if one is not None]
