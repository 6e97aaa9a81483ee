"""App draft: what somebody typed about an app, read and looked over."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import flask
from sqlalchemy.orm import Session

from ...errors import InvalidRequestError
from ...i18n import translatable
from ...models import client_storage as clients
from ...models.client import Client
from ...protocol.contract import Server
from ...wire import shown_name
from .kind import AppKind, Finding, lint

#: The pages of an app, under their names of RFC 7591 2.
LINKS = ("client_uri", "policy_uri", "tos_uri")
_MOST_URIS = 50


@dataclass
class Draft:
    """What was typed about an app, and what is to be said about it."""

    kind: AppKind
    name: str = ""
    redirect_uris: str = ""
    #: The links that were given, by their names.
    links: dict[str, str] = field(default_factory=dict)
    scopes: frozenset[str] = frozenset()
    #: The redirect URIs that are good, and what is to be said of the lines.
    uris: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    #: What is wrong, by field; `form` is all of it.
    wrong: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: AppKind, client: Client) -> Draft:
        """Return what is registered of `client`, to be changed."""
        lines = "\n".join(client.redirect_uris)
        return cls(
            kind,
            name=client.client_name,
            redirect_uris=lines,
            links={name: client.client_metadata.get(name, "") for name in LINKS},
            scopes=client.scope or frozenset(),
            findings=lint(kind, lines)[1],
        )

    def save(self, session: Session, client_id: str) -> None:
        """Change the stored client to what was typed, and nothing else of it.

        What the operator has checked is not checked any more.
        """
        client = session.get_one(Client, client_id)
        before = Draft.of(self.kind, client)
        client.client_name, client.redirect_uris = self.name, self.uris
        client.scope = self.scopes
        others = {n: v for n, v in client.client_metadata.items() if n not in LINKS}
        metadata = {**others, **self.links}
        client.client_metadata = metadata
        if Draft.of(self.kind, client) != before:
            client.client_metadata = {n: v for n, v in metadata.items() if n != "verified"}
        clients.save(session, client)


def read_draft(server: Server, kinds: Iterable[AppKind], scopes: Collection[str]) -> Draft:
    """Return what the form of this request says, of one of `kinds` and some of `scopes`."""
    typed = flask.request.form
    by_name = {kind.name: kind for kind in kinds}
    kind = by_name.get(typed.get("kind", ""), next(iter(by_name.values())))
    draft = Draft(
        kind,
        name=typed.get("name", "").strip(),
        redirect_uris=typed.get("redirect_uris", ""),
        links={name: value for name in LINKS if (value := typed.get(name, "").strip())},
        scopes=frozenset(typed.getlist("scope")) & frozenset(scopes),
    )
    draft.uris, draft.findings = lint(kind, draft.redirect_uris)
    if not shown_name.is_fit(draft.name):
        draft.wrong["name"] = translatable(
            "A name has 1 to 255 characters, all of which one can see."
        )
    if len(draft.uris) > _MOST_URIS:
        draft.wrong["redirect_uris"] = translatable("There may be 50 redirect URIs at most.")
    elif any(finding.wrong for finding in draft.findings):
        draft.wrong["redirect_uris"] = translatable("Not every line can be registered.")
    elif kind.has_browser and not draft.uris:
        draft.wrong["redirect_uris"] = translatable(
            "It needs a place that the browser comes back to."
        )
    for name, value in draft.links.items():
        try:
            server.registrar.check_member(Client(), name, value)
        except InvalidRequestError:
            draft.wrong[name] = translatable("This is not an https URL.")
    return draft
