"""Grant type: what all ways to tokens share, and the outcome of redeeming a code or a token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar, cast

from sqlalchemy.engine import Connection

from ..errors import GoneUserError, UnauthorizedClientError
from ..models.authorization_code import AuthorizationCode
from ..models.client import Client
from ..models.device_code import DeviceCode
from ..models.grant import Grant
from ..models.lookup import Lookup
from ..models.rows import insert_rows
from ..models.token import Token
from ..wire.handle import digest, is_handle
from .contract import Server
from .issuance import check_remainder, issuable
from .request import Request
from .state import request_state
from .token_response import TokenResponse

M = TypeVar("M", AuthorizationCode, DeviceCode, Token)

#: The purpose of the key from which the successors of refresh tokens are derived.
SUCCESSOR = "refresh successor"


class GrantNarrowed(Exception):
    """A scope was withdrawn after the code or token was read and before it was used."""


class ConsentWithdrawn(Exception):
    """A consent that an authorization rests on was withdrawn before its code was stored."""


def check_as_read(
    read: AuthorizationCode | Token, current: AuthorizationCode | Token | None, now: int
) -> None:
    """Raise `GrantNarrowed` if the grant of `current` is live at `now`, but has other scopes.

    `read` is the code or token as it was read first; `now` is in epoch seconds.
    """
    grant = None if current is None else current.grant
    if grant is not None and grant.is_live(now) and grant.scope != read.grant.scope:
        raise GrantNarrowed


class Outcome(Enum):
    """The outcome of redeeming a code or a refresh token."""

    #: It was consumed, and tokens were issued for it.
    ISSUED = "issued"
    #: It does not exist or is no longer valid.
    UNKNOWN = "unknown"
    #: It was consumed before; everything issued from it is revoked.
    REPLAYED = "replayed"


@dataclass(frozen=True)
class Redemption:
    """The result of a unit of work that redeems a code or a token."""

    outcome: Outcome
    #: The body of the token response; empty unless tokens were issued.
    body: dict[str, Any] = field(default_factory=dict)


UNKNOWN, REPLAYED = Redemption(Outcome.UNKNOWN), Redemption(Outcome.REPLAYED)


class GrantType:
    """The base of all grant types, inherited before Authlib's class.

    A subclass has two methods: `validate_token_request` checks the request and writes nothing,
    and `issue_tokens` issues the tokens in one transaction and returns the body of the
    response. `issue_tokens` raises `GrantNarrowed` if scopes were withdrawn meanwhile.
    """

    server: Server
    request: Request
    GRANT_TYPE: str
    TOKEN_RESPONSE_HEADER: Any
    authenticate_token_endpoint_client: Callable[[], Client]
    validate_token_request: Callable[[], None]
    issue_tokens: Callable[[], dict[str, Any]]

    def check_client(self) -> Client:
        """Authenticate the client and check that it may use this grant type.

        Raises `InvalidClientError` or `UnauthorizedClientError`.
        """
        client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("The client is not registered for this grant_type.")
        self.request.client = client
        return client

    def stored(self, lookup: Lookup[M], prefix: str, handle: str | None) -> M | None:
        """Return the code or token that `lookup` finds for a handle with `prefix`, or None.

        Its client is read with it: call this before `check_client`, and judge the result after.
        """
        if handle is None or not is_handle(handle, prefix):
            return None
        found: Any = self.server.store.find(lookup, digest=digest(handle))
        client = None if found is None or found.grant is None else found.grant.client
        if client is not None:
            request_state().read_clients[client.client_id] = client
        return cast("M | None", found)

    def rest_on(self, grant: Grant, *, is_spent: bool = False) -> None:
        """Note on the request what may be issued for `grant` today.

        If the code or token `is_spent`, nothing is refused: a second use has to be detected.
        Raises `InvalidGrantError` or `InvalidTargetError` if nothing may be issued.
        """
        request, left = self.request, issuable(self.server, grant)
        if not is_spent:
            check_remainder(grant, left)
        request.granted_scopes, request.granted_resources = left.scopes, left.resources

    def find_user(self, subject: str) -> Any:
        """Return the host's user; raises `GoneUserError` if the user no longer exists."""
        user = self.server.users.load(subject)
        if user is None:
            raise GoneUserError()
        return user

    def token_response(
        self,
        *,
        grant: Grant,
        user: Any,
        now: int,
        parent: str | None = None,
        successor_key: bytes | None = None,
        **details: Any,
    ) -> TokenResponse:
        """Make the token response and let the features complete it.

        `now` is in epoch seconds. `parent` is the handle of the refresh token that is exchanged,
        if there is one; `successor_key` is what its successor is derived with, by default with
        the current secret. `details` are further arguments of `TokenResponse`.
        """
        server, request = self.server, self.request
        response = TokenResponse(
            request,
            grant=grant,
            user=user,
            lifetime=server.settings.access_token_lifetime,
            now=now,
            parent=parent,
            successor_key=successor_key or (server.key(SUCCESSOR) if parent else b""),
            # A token for this server alone has no audience.
            audience=request.resources if set(request.resources) - {server.issuer} else (),
            **details,
        )
        server.hooks.complete_token_response(server, response)
        return response

    def issue(self, connection: Connection, **facts: Any) -> Redemption:
        """Make a `token_response` from `facts` and store its rows, inside a transaction."""
        response = self.token_response(**facts)
        insert_rows(connection, response.rows)
        return Redemption(Outcome.ISSUED, response.body)

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """Issue tokens, starting over with the remaining scopes if some were withdrawn."""
        while True:
            self.server.hooks.check_token_request(self.server, self.request)
            try:
                return 200, self.issue_tokens(), self.TOKEN_RESPONSE_HEADER
            except GrantNarrowed:
                # A code or token never regains a scope, so this loop ends.
                self.validate_token_request()
