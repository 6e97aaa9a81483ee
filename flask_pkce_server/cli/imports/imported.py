"""Imported: the contents of another product's export, in the terms of this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class UnfitExport(ValueError):
    """The file is not a valid export of the product; the message says where."""


@dataclass(frozen=True)
class Loss:
    """Something in the export that is not carried over, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Granted:
    """The scopes that one user granted to one client."""

    #: The ID of the user in the other product.
    subject: str
    scopes: frozenset[str]
    #: Epoch seconds; None if the export does not say.
    issued_at: int | None = None
    #: When the grant ends, in epoch seconds; None if it lasts until it is withdrawn.
    ended_at: int | None = None


@dataclass(frozen=True)
class Imported:
    """A client as the export describes it, not checked yet."""

    client_id: str
    #: None if the client has no name; its client_id is then used instead.
    client_name: str | None
    #: `none` for a public client; None if a confidential client may use either
    #: client_secret_basic or client_secret_post.
    auth_method: str | None
    redirect_uris: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    #: Named as in RFC 7591 2.
    grant_types: tuple[str, ...] = ()
    #: The scopes that the client may request; None for all declared scopes.
    scope: frozenset[str] | None = None
    skip_consent: bool = False
    #: Whether somebody else than the operator registered it there.
    is_third_party: bool = False
    #: Metadata that features of this package may read, by the name of the `ClientField`.
    metadata: Mapping[str, Any] = field(default_factory=dict)
    #: In plain text.
    secret: str | None = field(default=None, repr=False)
    #: SHA-256 in hexadecimal, or a hash for `models.foreign_secret`.
    secret_hash: str | None = field(default=None, repr=False)
    granted: tuple[Granted, ...] = ()
    losses: tuple[Loss, ...] = ()
    #: What the operator should know about values that are carried over.
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """A client in the export that is not taken over at all."""

    client_id: str
    why: str
    #: The number of user grants that the export has for this client.
    grants: int = 0


@dataclass(frozen=True)
class Export:
    """Everything that was read from a file."""

    clients: tuple[Imported, ...]
    left_out: tuple[LeftOut, ...] = ()
    #: Losses that belong to no client.
    losses: tuple[Loss, ...] = ()


def counted(number: int, noun: str) -> str:
    """Return `number` followed by `noun`, in the plural unless the number is 1."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
