"""Registrar: which client metadata may be registered, and by whom (RFC 7591 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_origin

from ..errors import InvalidRequestError
from ..models.client import Client
from ..models.pairwise import sector_of
from ..wire import redirect_uri as uris
from ..wire import shown_name
from ..wire.client_metadata import OPEN_AUTH_METHODS, Offer, Party
from ..wire.handle import is_client_id
from ..wire.names import AUTH_METHODS, TOKEN_EXCHANGE
from .contract import Server
from .feature import ClientAuthMethod, ClientField


class Registrar:
    """What this server offers clients, and the checks that every client must pass.

    The checks are the same for clients from a command, the developer portal, dynamic
    registration or a document.
    """

    def __init__(
        self,
        server: Server,
        *,
        grant_types: Iterable[str],
        auth_methods: Mapping[str, ClientAuthMethod],
        fields: Mapping[str, ClientField],
    ) -> None:
        self._server = server
        self.grant_types = list(grant_types)
        self.auth_methods = ["none", *auth_methods]
        self.fields = fields

    def offer(self, party: Party, scopes: Iterable[str]) -> Offer:
        """Return what `party` may register for a client.

        The offer has the declared scopes that are in `scopes`, or all if `scopes` is empty.
        """
        allowed, declared = frozenset(scopes), self._server.scopes
        methods = self.auth_methods
        if party == "client":
            # Only the methods that need no further metadata.
            methods = [name for name in OPEN_AUTH_METHODS if name in methods]
        return Offer(
            party=party,
            auth_methods=methods,
            grant_types=self.grant_types,
            scopes=[scope for scope in declared if not allowed or scope in allowed],
            all_scopes=not allowed,
            members={name: self.fields[name].kind for name in self.names_of(party)},
            auth_method_of={
                name: field.auth_method
                for name, field in self.fields.items()
                if field.auth_method is not None
            },
        )

    def names_of(self, party: Party) -> set[str]:
        """Return the names of the metadata members that `party` may set."""
        return {name for name, field in self.fields.items() if party in field.said_by}

    def replaced_by(self, names: Iterable[str]) -> set[str]:
        """Return the metadata members that those in `names` replace."""
        replaced = (self.fields[name].instead_of for name in names if name in self.fields)
        return {name for name in replaced if name is not None}

    def check(self, client: Client) -> None:
        """Refuse a client that must not be stored; raises `InvalidRequestError`."""
        check_columns(client)
        if client.redirect_uris and self._server.is_pairwise(client):
            # Pairwise subject identifiers need an unambiguous sector.
            sector_of(client)
        for name, value in client.client_metadata.items():
            self.check_member(client, name, value)

    def check_member(self, client: Client, name: str, value: Any) -> None:
        """Refuse an invalid member of a client's metadata; raises `InvalidRequestError`."""
        field = self.fields.get(name)
        if field is None:
            raise InvalidRequestError(f"No feature of this server reads {name}.")
        if not isinstance(value, get_origin(field.kind) or field.kind):
            raise InvalidRequestError(f"{name} is of another type.")
        if field.choices and value not in field.choices:
            raise InvalidRequestError(f"{name} is one of: {', '.join(field.choices)}.")
        if field.check is not None:
            field.check(self._server, client, value)


def check_columns(client: Client) -> None:
    """Refuse invalid values in the columns of a client; raises `InvalidRequestError`."""
    shown_name.check(client.client_name, "client_name")
    if not is_client_id(client.client_id):
        raise InvalidRequestError("A client_id has visible ASCII characters only.")
    if not 1 <= len(client.client_id) <= 255 or " " in client.client_id:
        raise InvalidRequestError("A client_id has 1 to 255 characters and no spaces.")
    if client.token_endpoint_auth_method not in AUTH_METHODS:
        raise InvalidRequestError(f"The auth method is one of: {', '.join(AUTH_METHODS)}.")
    if client.token_endpoint_auth_method == "private_key_jwt" and not (
        {"jwks", "jwks_uri"} & client.client_metadata.keys()
    ):
        raise InvalidRequestError("A client that uses private_key_jwt has jwks or a jwks_uri.")
    if client.is_public and client.check_grant_type("client_credentials"):
        # RFC 6749 4.4
        raise InvalidRequestError("A public client has no credentials to get tokens for.")
    if client.is_public and client.check_grant_type(TOKEN_EXCHANGE):
        # RFC 8693 2.1: anybody with a stolen token could claim to be that client.
        raise InvalidRequestError("A public client exchanges no tokens: anybody can say to be it.")
    if client.check_grant_type("authorization_code") and not client.redirect_uris:
        raise InvalidRequestError("A client that uses codes registers at least one redirect URI.")
    for uri in client.redirect_uris:
        uris.refuse_unfit(uri)
    for origin in client.origins:
        if uris.origin_of(origin) != origin:
            raise InvalidRequestError("An origin is scheme://host[:port] and nothing after it.")
