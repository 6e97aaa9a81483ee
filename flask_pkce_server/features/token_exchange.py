"""Token exchange: an API gets a narrower token to call another one with (RFC 8693).

A user's access token came to an API, which exchanges it for one of its own: for the same
user, with no more scopes, for no longer, and with its name in it. Only a client that an
operator registered for it does so, and only with tokens that are meant for an API which
that client serves, or are its own. What it is given descends from what it showed, and
ends with it, whatever ends that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc6749.grants import BaseGrant, TokenEndpointMixin
from sqlalchemy.orm import Session

from ..errors import (
    InvalidRequestError,
    InvalidScopeError,
    InvalidTargetError,
    UnauthorizedClientError,
)
from ..models import token as tokens
from ..models.client import Client
from ..models.token import EXCHANGED, UNTIL, Family, Token
from ..protocol.contract import Server
from ..protocol.feature import ClientField, Feature
from ..protocol.grant import Grant, check_as_read
from ..protocol.request import Request
from ..signals import tell, token_issued
from ..wire.handle import is_handle
from ..wire.names import TOKEN_EXCHANGE
from ..wire.resource_uri import canonical

# RFC 8693 3: the second one is for those of our access tokens that are JWTs.
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"
#: How many clients may stand between the app that the user let in and an API.
MOST_ACTORS = 4
#: What a user grants to the app that they let in, and nobody else has.
_OF_APPS = frozenset({"openid", "offline_access"})
_FROM, _TO = "token_exchange_from", "token_exchange_to"
# RFC 8693 2.2.2: the same for whatever is the matter with it; who found it learns nothing.
_UNFIT = (
    "The subject_token is no live access token of a user that this client may exchange: one "
    "for an API of its token_exchange_from, or its own."
)


class NarrowingExchangeGrant(Grant, BaseGrant, TokenEndpointMixin):
    """The grant of RFC 8693: what comes out is never more than what went in."""

    GRANT_TYPE = TOKEN_EXCHANGE

    def validate_token_request(self) -> None:
        """Check the client, its tokens, the targets and the scopes; nothing is written yet."""
        client, request = self.check_client(), self.request
        if client.is_public:
            # Whoever found a token could say to be it; once more where tokens are made.
            raise UnauthorizedClientError("Only a confidential client exchanges tokens.")
        if request.form.get("requested_token_type", ACCESS_TOKEN) not in (ACCESS_TOKEN, JWT):
            raise InvalidRequestError(f"requested_token_type is {ACCESS_TOKEN}, or left out.")
        token = self.shown("subject_token", _UNFIT)
        if token.is_machine or not may_exchange(self.server, client, token):
            raise InvalidRequestError(_UNFIT)
        if len(token.actors) >= MOST_ACTORS:
            raise InvalidRequestError("The subject_token was exchanged too often before.")
        self.check_actor(client)
        targets = targets_of(self.server, client, token, request)
        request.scopes = scopes_of(self.server, client, token, targets, request.payload.scope)
        request.granted_scopes = request.scopes
        request.granted_bindings = {**token.bindings, "resource": targets}
        # In the words of one of both parameters, for the rooms that read that.
        request.replace(resource=targets, audience=None)
        request.resources = tuple(targets)
        request.credential = token

    def shown(self, name: str, otherwise: str) -> Token:
        """Return the live access token that the parameter `name` holds, with its type.

        Raises `InvalidRequestError`, with the sentence `otherwise` where it is no such token.
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
        """Refuse an actor_token that does not say who asks, which it need not (RFC 8693 2.1)."""
        if not self.request.form.keys() & {"actor_token", "actor_token_type"}:
            return
        unfit = "The actor_token is no live token that this client got by client_credentials."
        actor = self.shown("actor_token", unfit)
        if not actor.is_machine or not actor.check_client(client):
            raise InvalidRequestError(unfit)

    def issue_tokens(self) -> dict[str, Any]:
        """Hold the token that was shown and give one that is made from it, in one transaction."""
        server, request = self.server, self.request
        token: Token = request.credential
        user = server.users.load(token.subject)
        if user is None:
            raise InvalidRequestError(_UNFIT)
        family = Family(token.family_id, token.client_id, token.subject, self.bindings(token))

        def exchange(session: Session) -> dict[str, Any]:
            now = server.now()
            if not tokens.hold(session, token, now):
                check_as_read(token, session.get(Token, token.digest), now)
                raise InvalidRequestError(_UNFIT)
            response = self.token_response(family=family, user=user, scopes=request.scopes, now=now)
            given = [row.kind for row in response.rows if isinstance(row, Token)]
            if given != ["access"] or "id_token" in response.body:
                raise AssertionError("an exchange was to give more than an access token")
            response.body["issued_token_type"] = self.issued_type(response.body["access_token"])
            session.add_all(response.rows)
            return response.body

        body = server.store.write(exchange)
        tell(
            token_issued,
            server.app,
            client_id=request.client.client_id,
            subject=token.subject,
            scopes=request.scopes,
            family_id=token.family_id,
        )
        return body

    def bindings(self, token: Token) -> dict[str, Any]:
        """Return what the new token is tied to: all that the shown one is, and who asked."""
        bound = {name: its for name, its in token.bindings.items() if name != "audience"}
        targets = list(self.request.resources)
        if targets != [self.server.issuer]:
            bound["audience"] = targets
        return {
            **bound,
            # It is good for no longer than what it is made from.
            UNTIL: token.expires_at,
            EXCHANGED: token.exchanged(self.request.client.client_id),
        }

    def issued_type(self, text: str) -> str:
        """Return the type of what is given (RFC 8693 2.2.1), the one that was asked for."""
        wanted = self.request.form.get("requested_token_type", ACCESS_TOKEN)
        if wanted == JWT and is_handle(text):
            raise InvalidRequestError("This client is given no JWTs; ask for an access_token.")
        return wanted


def check_known(server: Server, client: Client, value: Any) -> None:
    """Refuse an API that this server has no tokens for."""
    try:
        known = server.resources.known.keys() >= set(map(canonical, value))
    except (InvalidTargetError, AttributeError, TypeError):
        known = False
    if not known:
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
    """Say whether `token` came to `client` by right: sent to an API of it, or its own."""
    serves = set(map(canonical, client.client_metadata.get(_FROM, ())))
    return token.check_client(client) or not serves.isdisjoint(
        map(canonical, token.audience or [server.issuer])
    )


def targets_of(server: Server, client: Client, token: Token, request: Request) -> list[str]:
    """Return the APIs that the new token is for; those of `token` where none is named.

    Raises `InvalidTargetError` (RFC 8693 2.2.2).
    """
    known, given = server.resources.known, request.payload.datalist
    audience = [canonical(uri) for uri in token.audience or [server.issuer]]
    further = [canonical(uri) for uri in client.client_metadata.get(_TO, ())]
    named = [canonical(uri) for name in ("resource", "audience") for uri in given.get(name, ())]
    targets = dict.fromkeys(named or audience)
    if not targets.keys() <= {*audience, *further} & known.keys():
        raise InvalidTargetError(
            "The subject_token is not for this resource or audience, nor is that one of the "
            "token_exchange_to of the client."
        )
    return [known[uri] for uri in targets]


def scopes_of(
    server: Server, client: Client, token: Token, targets: list[str], text: str | None
) -> frozenset[str]:
    """Return the scopes of the new token: of those of `token`, what `targets` have.

    And of these what the client asks for as `text`. Raises `InvalidScopeError`.
    """
    fit = token.scope & server.scopes.at(targets) - _OF_APPS
    named = (text or "").strip(" ")
    allowed = fit if client.scope is None else fit & client.scope
    asked = server.scopes.asked_by(client, named) if named else allowed
    if not asked <= fit and server.scopes.refuses_unknown:
        raise InvalidScopeError("A scope is not one that the subject_token has for this target.")
    if not asked & fit:
        raise InvalidScopeError("The subject_token has no scope for this target.")
    return asked & fit
