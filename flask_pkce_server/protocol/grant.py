"""Grant: what the grants of this package share, and what they give."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import GoneUserError, InvalidGrantError, UnauthorizedClientError
from ..models.authorization_code import AuthorizationCode
from ..models.base import Base
from ..models.client import Client
from ..models.token import UNTIL, Family, Token
from ..wire.handle import ACCESS, derive_handle, new_handle
from .request import Request

if TYPE_CHECKING:
    from .server import Server


class GrantNarrowed(Exception):
    """Something was taken back between the reading of a code or a token and its use."""


def check_as_read(
    read: AuthorizationCode | Token, current: AuthorizationCode | Token | None, now: int
) -> None:
    """Raise `GrantNarrowed` if what was `read` is live at `now` still, with other scopes."""
    if current is not None and current.is_live(now) and current.scope != read.scope:
        raise GrantNarrowed


class TokenResponse:
    """What a token request is about to be given.

    `body` is the JSON of the answer, `rows` are stored with it; `access` is the row of the
    access token. `parent` is the refresh token that is exchanged; what is made from it is
    the same every time.
    """

    def __init__(
        self,
        grant: Grant,
        *,
        family: Family,
        user: Any,
        scopes: frozenset[str],
        access_scopes: frozenset[str],
        parent: str | None,
        now: int,
    ) -> None:
        self.server: Server = grant.server
        self.request: Request = grant.request
        self.family = family
        self.user = user
        self.scopes = scopes
        self.parent = parent
        self.now = now
        self.rows: list[Base] = []
        handle, self.access = self.add(
            "access", ACCESS, self.server.settings.access_token_lifetime, access_scopes
        )
        self.body: dict[str, Any] = {
            "access_token": handle,
            "token_type": "Bearer",
            "expires_in": self.access.expires_at - now,
            "scope": " ".join(sorted(access_scopes)),
        }

    def add(
        self, kind: str, prefix: str, lifetime: int, scopes: frozenset[str]
    ) -> tuple[str, Token]:
        """Add a token to what is stored; return its handle and its row.

        It is good for `lifetime` seconds, but never longer than the user allowed the app.
        Raises `InvalidGrantError` where that is over.
        """
        until = self.family.bindings.get(UNTIL)
        if until is not None:
            lifetime = min(lifetime, until - self.now)
            if lifetime <= 0:
                raise InvalidGrantError("The time is over for which the user allowed it.")
        handle = (
            new_handle(prefix)
            if self.parent is None
            else derive_handle(prefix, self.server.key("refresh successor"), self.parent)
        )
        row = self.family.token(kind, handle, scope=scopes, issued_at=self.now, lifetime=lifetime)
        self.rows.append(row)
        return handle, row


class Grant:
    """What the grants of this package share; mixed in before Authlib's class."""

    server: Server
    request: Request
    GRANT_TYPE: str
    TOKEN_RESPONSE_HEADER: Any
    authenticate_token_endpoint_client: Callable[[], Client]
    #: What is each one's own: to check a request, while nothing is written yet; and to issue
    #: the tokens, in one transaction, and return the body of the answer. The latter raises
    #: `GrantNarrowed` where there is less to give than was read.
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
        """Make what the client is to be given, and let the rooms complete it."""
        response = TokenResponse(
            self,
            family=family,
            user=user,
            scopes=scopes,
            access_scopes=scopes if access_scopes is None else access_scopes,
            parent=parent,
            now=now,
        )
        for feature in self.server.features:
            feature.complete_token_response(response)
        return response

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """Issue tokens for what was checked; for what is left of it, where less is by now."""
        while True:
            try:
                return 200, self.issue_tokens(), self.TOKEN_RESPONSE_HEADER
            except GrantNarrowed:
                # Nothing that was taken back comes again, so this ends.
                self.validate_token_request()
