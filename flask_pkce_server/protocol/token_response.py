"""Token response: the tokens and the body of a successful token response (RFC 6749 5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InvalidGrantError
from ..models.base import Base
from ..models.grant import Grant
from ..models.token import Token
from ..wire.handle import ACCESS, derive_handle, digest, new_handle
from .request import Request


class TokenResponse:
    """The tokens of one response, and the JSON that the client gets.

    `body` is the JSON; `rows` are stored in the same transaction. `access` is the row of the
    access token, which is valid for `lifetime` seconds, and has the scopes of the request, which
    are among the `granted_scopes` of the request. `parent` is the refresh token that is
    exchanged, if there is one: the new handles are derived from it with `successor_key`, so a
    retry gets the same tokens.
    """

    def __init__(
        self,
        request: Request,
        *,
        grant: Grant,
        user: Any,
        lifetime: int,
        now: int,
        parent: str | None,
        successor_key: bytes,
        audience: Sequence[str] = (),
        until: int | None = None,
        exchange: dict[str, Any] | None = None,
    ) -> None:
        self.request = request
        self.grant = grant
        self.user = user
        #: All scopes of the grant, even if the access token has fewer.
        self.scopes = request.granted_scopes
        self.now = now
        self.parent = parent
        self._successor_key = successor_key
        self._until = [end for end in (grant.until, until) if end is not None]
        self._exchange = exchange
        self.rows: list[Base] = []
        handle, self.access = self.add("access", ACCESS, lifetime, request.scopes)
        #: Refresh tokens are for all APIs of the grant.
        self.access.audience = list(audience)
        self.body: dict[str, Any] = {
            "access_token": handle,
            "token_type": "Bearer",
            "expires_in": self.access.expires_at - now,
            "scope": " ".join(sorted(request.scopes)),
        }

    def add(
        self, kind: str, prefix: str, lifetime: int, scopes: frozenset[str]
    ) -> tuple[str, Token]:
        """Add a token to `rows`; return its handle and its row.

        It is valid for `lifetime` seconds, but never longer than the user allowed the client.
        Raises `InvalidGrantError` if that time is over.
        """
        lifetime = min([lifetime, *(end - self.now for end in self._until)])
        if lifetime <= 0:
            raise InvalidGrantError("The time is over for which the user allowed it.")
        handle = (
            new_handle(prefix)
            if self.parent is None
            else derive_handle(prefix, self._successor_key, self.parent)
        )
        row = Token(
            digest=digest(handle),
            kind=kind,
            grant_id=self.grant.grant_id,
            grant=self.grant,
            issued_scope=scopes,
            audience=[],
            exchange=self._exchange,
            issued_at=self.now,
            expires_at=self.now + lifetime,
        )
        self.rows.append(row)
        return handle, row
