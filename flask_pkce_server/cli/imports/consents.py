"""Consents: what users granted in another product, limited to users and scopes known here."""

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
    """Add to `taken` the consents whose users and scopes exist here, and losses for the rest.

    `is_user` says whether the host app has a user with a given subject.
    """
    now = server.now()
    allowed = server.scopes.keys() if client.scope is None else server.scopes.keys() & client.scope
    scopes: dict[str, frozenset[str]] = {}
    since: dict[str, int] = {}
    unknown_subjects, lost_scopes, ended = set(), frozenset[str](), 0
    for grant in granted:
        if grant.ended_at is not None and grant.ended_at <= now:
            ended += 1
            continue
        subject = grant.subject
        if not is_user(subject):
            unknown_subjects.add(subject)
            continue
        lost_scopes |= grant.scopes - allowed
        scopes[subject] = scopes.get(subject, frozenset()) | (grant.scopes & allowed)
        issued_at = (
            now if grant.issued_at is None or not 0 < grant.issued_at <= now else grant.issued_at
        )
        since[subject] = min(issued_at, since.get(subject, now))
    taken.consents = [
        (subject, granted_scopes, since[subject])
        for subject, granted_scopes in scopes.items()
        if granted_scopes
    ]
    for number, noun, why in (
        (len(unknown_subjects), "consent", "Their users are not here."),
        (ended, "access token", "Expired, and not to be renewed: no consent stands."),
        (len(scopes) - len(taken.consents), "consent", "Nothing is left of what they allow."),
    ):
        if number:
            taken.lose(counted(number, noun), why)
    if lost_scopes:
        why = "Not declared here, or not allowed to this client."
        taken.lose(f"scopes {listed(lost_scopes)} of consents", why)


def listed(scopes: Iterable[str]) -> str:
    """Return scopes as readable text: sorted, with commas."""
    return ", ".join(sorted(scopes))
