"""Token response: the tokens and the body of a successful token response (RFC 6749 5.1)."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidGrantError
from ..models.base import Base
from ..models.token import UNTIL, Family, Token
from ..wire.handle import ACCESS, derive_handle, new_handle
from .request import Request


class TokenResponse:
    """The tokens of one response, and the JSON that the client gets.

    `body` is the JSON; `rows` are stored in the same transaction. `access` is the row of the
    access token, which is valid for `lifetime` seconds. `parent` is the refresh token that is
    exchanged, if there is one: the new handles are derived from it with `successor_key`, so a
    retry gets the same tokens.
    """

    def __init__(
        self,
        request: Request,
        *,
        family: Family,
        user: Any,
        scopes: frozenset[str],
        access_scopes: frozenset[str],
        lifetime: int,
        now: int,
        parent: str | None,
        successor_key: bytes,
    ) -> None:
        self.request = request
        self.family = family
        self.user = user
        self.scopes = scopes
        self.now = now
        self.parent = parent
        self._successor_key = successor_key
        self.rows: list[Base] = []
        handle, self.access = self.add("access", ACCESS, lifetime, access_scopes)
        self.body: dict[str, Any] = {
            "access_token": handle,
            "token_type": "Bearer",
            "expires_in": self.access.expires_at - now,
            "scope": " ".join(sorted(access_scopes)),
        }

    def add(
        self, kind: str, prefix: str, lifetime: int, scopes: frozenset[str]
    ) -> tuple[str, Token]:
        """Add a token to `rows`; return its handle and its row.

        It is valid for `lifetime` seconds, but never longer than the user allowed the client.
        Raises `InvalidGrantError` if that time is over.
        """
        until = self.family.bindings.get(UNTIL)
        if until is not None:
            lifetime = min(lifetime, until - self.now)
            if lifetime <= 0:
                raise InvalidGrantError("The time is over for which the user allowed it.")
        handle = (
            new_handle(prefix)
            if self.parent is None
            else derive_handle(prefix, self._successor_key, self.parent)
        )
        row = self.family.token(kind, handle, scope=scopes, issued_at=self.now, lifetime=lifetime)
        self.rows.append(row)
        return handle, row
