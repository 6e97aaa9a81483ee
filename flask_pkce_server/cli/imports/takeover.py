"""Takeover: one client of an export, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy.orm import Session

from ...models import client_storage as clients
from ...models import consent, foreign_secret
from ...models.client import Client
from .imported import Loss, counted

Outcome = Literal["imported", "left alone", "left out"]


@dataclass
class Takeover:
    """A client on its way into the registry, what comes with it and what does not."""

    client_id: str
    client_name: str
    #: How many grants of users the export has for it.
    grants: int = 0
    outcome: Outcome = "imported"
    #: Why it is left alone or left out.
    why: str = ""
    client: Client | None = None
    #: How its secret is kept: empty where it has none.
    secret: str = ""
    secret_hash: str | None = field(default=None, repr=False)
    #: What its users granted it: subject, scopes, since when (epoch seconds).
    consents: list[tuple[str, frozenset[str], int]] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    #: What is carried, and the operator should know of.
    warnings: list[str] = field(default_factory=list)

    def lose(self, what: str, why: str) -> None:
        """Note that something of it is not carried."""
        self.losses.append(Loss(what, why))

    def leave_out(self, why: str, outcome: Outcome = "left out") -> Takeover:
        """Give the client up; nothing of it is stored."""
        self.outcome, self.why, self.client, self.consents = outcome, why, None, []
        if self.grants:
            self.lose(counted(self.grants, "grant"), "Without the client there is no consent.")
        return self

    def save(self, session: Session) -> None:
        """Store the client and what comes with it."""
        if self.client is None:
            return
        clients.save(session, self.client)
        if self.secret_hash is not None:
            foreign_secret.add(session, self.client_id, self.secret_hash)
        for subject, scopes, issued_at in self.consents:
            consent.remember(session, subject, self.client_id, scopes, issued_at)
