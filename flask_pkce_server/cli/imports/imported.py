"""Imported: what an export of another product says, in the words of this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class UnfitExport(ValueError):
    """The file is not what that product exports; the text says where."""


@dataclass(frozen=True)
class Loss:
    """Something of a client that is not taken over, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Granted:
    """What one user allowed one client."""

    #: The id of the user in that product.
    subject: str
    scopes: frozenset[str]
    #: Epoch seconds; None where the export does not say.
    issued_at: int | None = None
    #: When it ended, in epoch seconds; None if it stands until it is withdrawn.
    ended_at: int | None = None


@dataclass(frozen=True)
class Imported:
    """A client as its export tells of it; nothing of it is checked yet."""

    client_id: str
    #: None where it has none: its client_id stands for it.
    client_name: str | None
    #: `none` for a public client; None where a confidential one may use either of the
    #: two ways to send a secret.
    auth_method: str | None
    redirect_uris: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    #: Under their names in RFC 7591 2.
    grant_types: tuple[str, ...] = ()
    #: What it may ask for; None for all that is declared.
    scope: frozenset[str] | None = None
    skip_consent: bool = False
    #: What the rooms of this package read of it, under the names of their client fields.
    metadata: Mapping[str, Any] = field(default_factory=dict)
    #: In clear.
    secret: str | None = field(default=None, repr=False)
    #: SHA-256 in hexadecimal, or what `models.foreign_secret` reads.
    secret_hash: str | None = field(default=None, repr=False)
    granted: tuple[Granted, ...] = ()
    losses: tuple[Loss, ...] = ()
    #: What is carried, and the operator should know of.
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """A client of the export that is not taken over at all."""

    client_id: str
    why: str
    #: How many grants of users the export has for it.
    grants: int = 0


@dataclass(frozen=True)
class Export:
    """All that a file says."""

    clients: tuple[Imported, ...]
    left_out: tuple[LeftOut, ...] = ()
    #: Losses that belong to no client.
    losses: tuple[Loss, ...] = ()


def counted(number: int, noun: str) -> str:
    """Return how many of something there are."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
