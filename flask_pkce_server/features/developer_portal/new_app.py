"""New app: registers what a user typed, once for each form that was shown to them."""

from __future__ import annotations

from typing import Any

from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy.orm import Session

from ...models import client_owner
from ...models import client_storage as clients
from ...models.client import Client
from ...models.client_owner import Outcome
from ...protocol.contract import Server
from ...signals import client_registered, tell
from ...wire import shown_name
from ...wire.handle import new_identifier
from .draft import Draft

#: Seconds for which a form can be sent.
_FORM_LIFETIME = 3600


def new_id(server: Server, subject: str) -> str:
    """Return a client_id for an app of the user `subject`, to be carried by the form.

    It is signed, so that nobody can register an app under the client_id of another one.
    """
    return _signer(server).dumps([subject, new_identifier(), server.now()])


def read_id(server: Server, subject: str, signed: str) -> str | None:
    """Return the client_id that `new_id` made for this user, None if it has expired."""
    try:
        signed_for, client_id, signed_at = _signer(server).loads(signed)
    except BadData:
        return None
    is_live = signed_for == subject and signed_at + _FORM_LIFETIME > server.now()
    return client_id if is_live else None


def register(
    server: Server, user: Any, draft: Draft, client_id: str
) -> tuple[Outcome, Client, str | None]:
    """Register the app that `draft` describes; return what became of it, and its secret.

    Raises `InvalidRequestError` if a feature refuses the client.
    """
    kind, developer = draft.kind, shown_name.collapse_blanks(server.users.name_of(user))
    subject, limit = server.users.subject_of(user), server.settings.developer_portal_max_apps
    client, secret = clients.new_client(
        client_id=client_id,
        client_name=draft.name,
        redirect_uris=draft.uris,
        auth_method=kind.auth_method,
        grant_types=kind.grant_types,
        scope=draft.scopes,
        self_registered=True,
        client_metadata={
            "app_kind": kind.name,
            **draft.links,
            **({"developer": developer} if shown_name.is_fit(developer) else {}),
        },
        now=server.now(),
    )
    server.registrar.check(client)

    def store(session: Session) -> Outcome:
        return client_owner.add(session, client, subject, limit)

    outcome = server.store.write(store)
    if outcome is Outcome.STORED:
        tell(client_registered, server.app, client_id=client_id)
    return outcome, client, secret


def _signer(server: Server) -> URLSafeSerializer:
    return URLSafeSerializer(server.accepted_keys("developer portal"))
