"""App draft: what a user typed about an app, and what is wrong with it."""

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

    def judge(self, server: Server) -> bool:
        """Find what is wrong with what was typed; return whether it can be registered."""
        if not shown_name.is_fit(self.name):
            self.wrong["name"] = translatable(
                "A name has 1 to 255 characters, all of which one can see."
            )
        self._judge_uris()
        for name, value in self.links.items():
            try:
                server.registrar.check_member(Client(), name, value)
            except InvalidRequestError:
                self.wrong[name] = translatable("This is not an https URL.")
        return not self.wrong

    def _judge_uris(self) -> None:
        if len(set(filter(None, map(str.strip, self.redirect_uris.splitlines())))) > _MOST_URIS:
            # None of them is looked at: each would cost time, and a finding on the page.
            self.wrong["redirect_uris"] = translatable("There may be 50 redirect URIs at most.")
            return
        self.uris, self.findings = lint(self.kind, self.redirect_uris)
        if any(finding.wrong for finding in self.findings):
            self.wrong["redirect_uris"] = translatable("Not every line can be registered.")
        elif self.kind.has_browser and not self.uris:
            self.wrong["redirect_uris"] = translatable(
                "It needs a place that the browser comes back to."
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


def read_draft(kinds: Iterable[AppKind], scopes: Collection[str]) -> Draft:
    """Return what is in the submitted form, limited to `kinds` and `scopes` and not yet judged."""
    typed = flask.request.form
    by_name = {kind.name: kind for kind in kinds}
    return Draft(
        by_name.get(typed.get("kind", ""), next(iter(by_name.values()))),
        name=shown_name.collapse_blanks(typed.get("name", "")),
        redirect_uris=typed.get("redirect_uris", ""),
        links={name: value for name in LINKS if (value := typed.get(name, "").strip())},
        scopes=frozenset(typed.getlist("scope")) & frozenset(scopes),
    )
