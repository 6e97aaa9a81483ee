"""Consents: what users granted in another product, as far as it holds here."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...models.client import Client
from ...protocol.contract import Server
from .imported import Granted, counted
from .takeover import Takeover


def take_consents(
    server: Server,
    granted: Iterable[Granted],
    client: Client,
    is_user: Callable[[str], bool],
    taken: Takeover,
) -> None:
    """Take over what users granted, as far as they and the scopes are here.

    `is_user` says whether there is a user of that subject here.
    """
    now = server.now()
    allowed = server.scopes.keys() if client.scope is None else server.scopes.keys() & client.scope
    scopes: dict[str, frozenset[str]] = {}
    since: dict[str, int] = {}
    strangers, lost, ended = set(), frozenset[str](), 0
    for one in granted:
        if one.ended_at is not None and one.ended_at <= now:
            ended += 1
            continue
        subject = one.subject
        if not is_user(subject):
            strangers.add(subject)
            continue
        lost |= one.scopes - allowed
        scopes[subject] = scopes.get(subject, frozenset()) | (one.scopes & allowed)
        issued_at = now if one.issued_at is None or not 0 < one.issued_at <= now else one.issued_at
        since[subject] = min(issued_at, since.get(subject, now))
    taken.consents = [(subject, its, since[subject]) for subject, its in scopes.items() if its]
    for number, noun, why in (
        (len(strangers), "consent", "Their users are not here."),
        (ended, "access token", "Expired, and not to be renewed: no consent stands."),
        (len(scopes) - len(taken.consents), "consent", "Nothing is left of what they allow."),
    ):
        if number:
            taken.lose(counted(number, noun), why)
    if lost:
        why = "Not declared here, or not allowed to this client."
        taken.lose(f"scopes {listed(lost)} of consents", why)


def listed(scopes: Iterable[str]) -> str:
    """Return scopes as a person reads them."""
    return ", ".join(sorted(scopes))
