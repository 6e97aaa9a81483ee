"""Token exchange: an API gets a narrower token for calling another API (RFC 8693).

An API exchanges a user's access token that was sent to it for a token of its own: for the
same user, with no more scopes, with no later expiry, and naming the API's client as an actor.
Only a client that an operator registered for it may do so, and only with tokens for an API
that it serves, or with its own tokens. The new token descends from the exchanged one:
whatever revokes that one revokes it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc6749.grants import BaseGrant, TokenEndpointMixin
from sqlalchemy.engine import Connection

from ..errors import (
    InvalidRequestError,
    InvalidScopeError,
    InvalidTargetError,
    UnauthorizedClientError,
)
from ..models import token as tokens
from ..models.client import Client
from ..models.rows import insert_rows
from ..models.token import STORED_TOKEN, Token
from ..protocol.contract import Server
from ..protocol.feature import ClientField, Feature
from ..protocol.grant_type import GrantType, check_as_read
from ..protocol.request import Request
from ..signals import tell, token_issued
from ..wire.handle import is_handle
from ..wire.names import TOKEN_EXCHANGE
from ..wire.resource_uri import canonical

# RFC 8693 3: the second one is for those of our access tokens that are JWTs.
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"
#: How many clients may come between the app that the user authorized and an API.
MOST_ACTORS = 4
#: Scopes for the app that the user authorized; exchanged tokens never have them.
_OF_APPS = frozenset({"openid", "offline_access"})
_FROM, _TO = "token_exchange_from", "token_exchange_to"
# RFC 8693 2.2.2: one text for every fault, so that the finder of a token learns nothing.
_UNFIT = (
    "The subject_token is no live access token of a user that this client may exchange: one "
    "for an API of its token_exchange_from, or its own."
)


class NarrowingExchangeGrant(GrantType, BaseGrant, TokenEndpointMixin):
    """The grant of RFC 8693: the new token never allows more than the exchanged one."""

    GRANT_TYPE = TOKEN_EXCHANGE

    def validate_token_request(self) -> None:
        """Check the client, its tokens, the targets and the scopes; write nothing."""
        client, request = self.check_client(), self.request
        if client.is_public:
            # Anybody who found a token could pose as this client. Registration refuses it too.
            raise UnauthorizedClientError("Only a confidential client exchanges tokens.")
        if request.form.get("requested_token_type", ACCESS_TOKEN) not in (ACCESS_TOKEN, JWT):
            raise InvalidRequestError(f"requested_token_type is {ACCESS_TOKEN}, or left out.")
        token = self.shown("subject_token", _UNFIT)
        if token.is_machine or not may_exchange(self.server, client, token):
            raise InvalidRequestError(_UNFIT)
        if len(token.actors) >= MOST_ACTORS:
            raise InvalidRequestError("The subject_token was exchanged too often before.")
        self.check_actor(client)
        self.rest_on(token.grant)
        targets = targets_of(self.server, client, token, request)
        request.scopes = scopes_of(self.server, client, token, targets, request.payload.scope)
        request.granted_scopes = request.scopes
        request.granted_resources = tuple(targets)
        # Name all targets in `resource`, the one parameter that other features read.
        request.replace(resource=targets, audience=None)
        request.resources = tuple(targets)
        request.credential = token

    def shown(self, name: str, otherwise: str) -> Token:
        """Return the live access token in the parameter `name`, after checking `<name>_type`.

        Raises `InvalidRequestError`, with the text `otherwise` if it is not such a token.
        """
        text, kind = self.request.form.get(name), self.request.form.get(f"{name}_type")
        if not text or not kind:
            raise InvalidRequestError(f"{name} and {name}_type come together; one is missing.")
        if kind not in (ACCESS_TOKEN, JWT) or (kind == JWT and is_handle(text)):
            raise InvalidRequestError(f"{name}_type is {ACCESS_TOKEN}; no others are taken here.")
        token = self.server.find_token(text)
        if token is None or token.kind != "access" or not token.is_live(self.server.now()):
            raise InvalidRequestError(otherwise)
        return token

    def check_actor(self, client: Client) -> None:
        """Refuse an actor_token that is not a machine token of `client` (RFC 8693 2.1).

        The parameter is optional.
        """
        if not self.request.form.keys() & {"actor_token", "actor_token_type"}:
            return
        unfit = "The actor_token is no live token that this client got by client_credentials."
        actor = self.shown("actor_token", unfit)
        if not actor.is_machine or not actor.check_client(client):
            raise InvalidRequestError(unfit)

    def issue_tokens(self) -> dict[str, Any]:
        """Lock the presented token and issue one derived from it, in one transaction."""
        server, request = self.server, self.request
        token: Token = request.credential
        user = server.users.load(token.subject)
        if user is None:
            raise InvalidRequestError(_UNFIT)
        chain = token.exchanged(request.client.client_id)

        def exchange(connection: Connection) -> dict[str, Any]:
            now = server.now()
            if not tokens.hold(connection, token, now):
                check_as_read(token, STORED_TOKEN.first(connection, digest=token.digest), now)
                raise InvalidRequestError(_UNFIT)
            response = self.token_response(
                # The new token expires no later than the exchanged one.
                grant=token.grant,
                user=user,
                now=now,
                until=token.expires_at,
                exchange=chain,
            )
            kinds = [row.kind for row in response.rows if isinstance(row, Token)]
            if kinds != ["access"] or "id_token" in response.body:
                raise AssertionError("an exchange was to give more than an access token")
            response.body["issued_token_type"] = self.issued_type(response.body["access_token"])
            insert_rows(connection, response.rows)
            return response.body

        body = server.store.transaction(exchange)
        tell(
            token_issued,
            server.app,
            client_id=request.client.client_id,
            subject=token.subject,
            scopes=request.scopes,
            grant_id=token.grant_id,
        )
        return body

    def issued_type(self, text: str) -> str:
        """Return the type of the new token, which is the requested one (RFC 8693 2.2.1).

        Raises `InvalidRequestError` if a JWT was requested and the token is not one.
        """
        requested_type = self.request.form.get("requested_token_type", ACCESS_TOKEN)
        if requested_type == JWT and is_handle(text):
            raise InvalidRequestError("This client is given no JWTs; ask for an access_token.")
        return requested_type


def check_known(server: Server, client: Client, value: Any) -> None:
    """Refuse an API for which this server issues no tokens."""
    try:
        are_known = server.resources.known.keys() >= set(map(canonical, value))
    except (InvalidTargetError, AttributeError, TypeError):
        are_known = False
    if not are_known:
        raise InvalidRequestError(
            "Tokens are exchanged between APIs that this server knows: the issuer, and those of "
            "PKCE_JWT_ACCESS_TOKEN_RESOURCES, pkce.resource and pkce.mcp."
        )


class TokenExchangeFeature(Feature):
    """RFC 8693: the token exchange grant."""

    name = "token_exchange"
    opt_in = True

    client_fields = (
        ClientField(
            _FROM,
            "An API that it serves: it may exchange the access tokens that come there.",
            kind=list[str],
            check=check_known,
        ),
        ClientField(
            _TO,
            "An API that it may get tokens for by exchanging.",
            kind=list[str],
            check=check_known,
        ),
    )

    grants = (NarrowingExchangeGrant,)

    def describe_token(self, server: Server, token: Token) -> Mapping[str, Any]:
        # RFC 8693 4.1
        return token.act


def may_exchange(server: Server, client: Client, token: Token) -> bool:
    """Return whether `token` is for an API that `client` serves, or is a token of `client`."""
    served = set(map(canonical, client.client_metadata.get(_FROM, ())))
    return token.check_client(client) or not served.isdisjoint(
        map(canonical, token.audience or [server.issuer])
    )


def targets_of(server: Server, client: Client, token: Token, request: Request) -> list[str]:
    """Return the URIs of the APIs that the new token is for; by default, those of `token`.

    Raises `InvalidTargetError` (RFC 8693 2.2.2).
    """
    uris, values = server.resources.known, request.payload.datalist
    audience = [canonical(uri) for uri in token.audience or [server.issuer]]
    exchangeable = [canonical(uri) for uri in client.client_metadata.get(_TO, ())]
    named = [canonical(uri) for name in ("resource", "audience") for uri in values.get(name, ())]
    targets = dict.fromkeys(named or audience)
    if not targets.keys() <= {*audience, *exchangeable} & uris.keys():
        raise InvalidTargetError(
            "The subject_token is not for this resource or audience, nor is that one of the "
            "token_exchange_to of the client."
        )
    return [uris[uri] for uri in targets]


def scopes_of(
    server: Server, client: Client, token: Token, targets: list[str], text: str | None
) -> frozenset[str]:
    """Return the scopes of the new token: those of `token` that `targets` have.

    If the client requests scopes by `text`, only these of them. Raises `InvalidScopeError`.
    """
    available = token.scope & server.scopes.at(targets) - _OF_APPS
    text = (text or "").strip(" ")
    allowed = available if client.scope is None else available & client.scope
    requested = server.scopes.asked_by(client, text) if text else allowed
    if not requested <= available and server.scopes.refuses_unknown:
        raise InvalidScopeError("A scope is not one that the subject_token has for this target.")
    if not requested & available:
        raise InvalidScopeError("The subject_token has no scope for this target.")
    return requested & available
