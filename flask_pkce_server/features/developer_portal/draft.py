"""App draft: what a user typed about an app, parsed and checked."""

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
from ...wire.client_metadata import ClientMetadata
from .kind import AppKind, Finding, lint

#: The links to an app's pages, by their names in RFC 7591 2.
LINKS = ("client_uri", "policy_uri", "tos_uri")
_MOST_URIS = 50


@dataclass
class Draft:
    """What a user typed about an app, with the findings about it."""

    kind: AppKind
    name: str = ""
    redirect_uris: str = ""
    #: The links that were typed, by name.
    links: dict[str, str] = field(default_factory=dict)
    scopes: frozenset[str] = frozenset()
    #: The valid redirect URIs, and the findings about the typed lines.
    uris: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    #: The error messages by field; `form` is for the form as a whole.
    wrong: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: AppKind, client: Client) -> Draft:
        """Return a draft with what is registered for `client`, ready to be edited."""
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
        """Update the stored client with what was typed, and leave the rest unchanged.

        If anything differs, the client is no longer verified and no longer skips consent.
        """
        client = session.get_one(Client, client_id)
        client.restate(
            ClientMetadata(
                client_name=self.name,
                redirect_uris=self.uris,
                auth_method=client.token_endpoint_auth_method,
                grant_types=client.grant_types,
                scope=self.scopes,
                members=dict(self.links),
                replaced=frozenset(LINKS),
            )
        )
        clients.save(session, client)


def read_draft(server: Server, kinds: Iterable[AppKind], scopes: Collection[str]) -> Draft:
    """Return the draft in the submitted form, limited to `kinds` and `scopes`."""
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
