"""Grant: what the grants of this package share, and what becomes of what is redeemed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from sqlalchemy.orm import Session

from ..errors import GoneUserError, UnauthorizedClientError
from ..models.authorization_code import AuthorizationCode
from ..models.client import Client
from ..models.token import Family, Token
from .contract import Server
from .request import Request
from .token_response import TokenResponse


class GrantNarrowed(Exception):
    """Something was taken back between the reading of a code or a token and its use."""


def check_as_read(
    read: AuthorizationCode | Token, current: AuthorizationCode | Token | None, now: int
) -> None:
    """Raise `GrantNarrowed` if what was `read` is live at `now` still, with other scopes."""
    if current is not None and current.is_live(now) and current.scope != read.scope:
        raise GrantNarrowed


class Outcome(Enum):
    """What became of a code or a refresh token that a client presented."""

    #: It was consumed, and tokens were given for it.
    ISSUED = "issued"
    #: There is no such thing, or it is over.
    UNKNOWN = "unknown"
    #: It was consumed before; all that it gave is revoked.
    REPLAYED = "replayed"


@dataclass(frozen=True)
class Redemption:
    """What a unit of work that redeems a code or a token returns."""

    outcome: Outcome
    #: The token response, where tokens were issued.
    body: dict[str, Any] = field(default_factory=dict)


UNKNOWN, REPLAYED = Redemption(Outcome.UNKNOWN), Redemption(Outcome.REPLAYED)


class Grant:
    """What the grants of this package share; mixed in before Authlib's class.

    A subclass has two methods of its own: one checks a request while nothing is written yet,
    the other issues the tokens in one transaction and returns the body of the answer. The
    latter raises `GrantNarrowed` where there is less to give than was read.
    """

    server: Server
    request: Request
    GRANT_TYPE: str
    TOKEN_RESPONSE_HEADER: Any
    authenticate_token_endpoint_client: Callable[[], Client]
    validate_token_request: Callable[[], None]
    issue_tokens: Callable[[], dict[str, Any]]

    def check_client(self) -> Client:
        """Authenticate the client and see that it may use this grant."""
        client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("The client is not registered for this grant_type.")
        self.request.client = client
        return client

    def find_user(self, subject: str) -> Any:
        """Return the host's user; raises `GoneUserError` if they are gone."""
        user = self.server.users.load(subject)
        if user is None:
            raise GoneUserError()
        return user

    def token_response(
        self,
        *,
        family: Family,
        user: Any,
        scopes: frozenset[str],
        now: int,
        access_scopes: frozenset[str] | None = None,
        parent: str | None = None,
    ) -> TokenResponse:
        """Make what the client is to be given, and let the features complete it."""
        server = self.server
        response = TokenResponse(
            self.request,
            family=family,
            user=user,
            scopes=scopes,
            access_scopes=scopes if access_scopes is None else access_scopes,
            lifetime=server.settings.access_token_lifetime,
            now=now,
            parent=parent,
            successor_key=b"" if parent is None else server.key("refresh successor"),
        )
        server.hooks.complete_token_response(server, response)
        return response

    def issue(self, session: Session, **facts: Any) -> Redemption:
        """Store what `token_response` makes of `facts`, as part of a unit of work."""
        response = self.token_response(**facts)
        session.add_all(response.rows)
        return Redemption(Outcome.ISSUED, response.body)

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """Issue tokens for what was checked; for what is left of it, where less is by now."""
        while True:
            self.server.hooks.check_token_request(self.server, self.request)
            try:
                return 200, self.issue_tokens(), self.TOKEN_RESPONSE_HEADER
            except GrantNarrowed:
                # Nothing that was taken back comes again, so this ends.
                self.validate_token_request()
