"""Takeover: one client of an export, and the outcome of importing it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy.orm import Session

from ...models import client_storage as clients
from ...models import consent, foreign_secret
from ...models.client import Client
from ...models.consent import Asked
from .imported import Loss, counted

Outcome = Literal["imported", "left alone", "left out"]


@dataclass
class Takeover:
    """A client that is being imported, with what is carried over and what is lost."""

    client_id: str
    client_name: str
    #: The number of user grants that the export has for this client.
    grants: int = 0
    outcome: Outcome = "imported"
    #: Why the client is left alone or left out; empty if it is imported.
    why: str = ""
    client: Client | None = None
    #: How the secret is carried over, for the report; empty if it is not.
    secret: str = ""
    secret_hash: str | None = field(default=None, repr=False)
    #: The subject, the scopes and the time in epoch seconds of each consent.
    consents: list[tuple[str, frozenset[str], int]] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    #: What the operator should know about values that are carried over.
    warnings: list[str] = field(default_factory=list)

    def lose(self, what: str, why: str) -> None:
        """Record that `what` is not carried over, and why."""
        self.losses.append(Loss(what, why))

    def leave_out(self, why: str, outcome: Outcome = "left out") -> Takeover:
        """Drop the client, so that `save` stores nothing; return this takeover."""
        self.outcome, self.why, self.client, self.consents = outcome, why, None, []
        if self.grants:
            self.lose(counted(self.grants, "grant"), "Without the client there is no consent.")
        return self

    def save(self, session: Session) -> None:
        """Store the client with its secret hash and consents, unless it was dropped."""
        if self.client is None:
            return
        clients.save(session, self.client)
        if self.secret_hash is not None:
            foreign_secret.add(session, self.client_id, self.secret_hash)
        for subject, scopes, issued_at in self.consents:
            consent.remember(session, Asked(subject, self.client_id, scopes), issued_at)
