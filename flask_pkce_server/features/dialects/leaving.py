"""Leaving: logout as some products do it, without an ID token of the session.

Any site could send a browser to such a URL. So the user is asked, unless the browser comes from
a page of a client that the session signed in to. Afterwards the browser is sent only to a
logout URI that some client registered.
"""

from __future__ import annotations

import flask
from sqlalchemy import or_, select

from ...models import participation
from ...models.client import Client
from ...models.client_origin import ClientOrigin
from ...protocol.contract import Server
from ...protocol.request import Request
from ...users.sign_in import noted_login
from ...wire.redirect_uri import matches, origin_of


def leave(server: Server, request: Request, uri_name: str = "post_logout_redirect_uri") -> None:
    """Translate a logout request whose parameter `uri_name` says where to go afterwards.

    A request that names no client is assigned to the client that registered that URI. A
    request that names no URI goes to the first one that its client registered.
    """
    # Check the parameters before they are used in look-ups.
    request.payload.check("client_id", uri_name)
    data = request.payload.data
    uri, client_id = data.get(uri_name), data.get("client_id")
    if client_id is not None and uri is None:
        client = server.find_client(client_id)
        uri = next(iter(_registered(client)), None)
    elif client_id is None and uri is not None and "id_token_hint" not in data:
        client_id = _find_client(server, uri)
    request.replace(**{uri_name: None})
    request.replace(client_id=client_id, post_logout_redirect_uri=uri)
    with server.store.reading() as session:
        if client_id is not None and participation.takes_part(session, _sid(server), client_id):
            request.sent_from = web_origin(flask.request.headers.get("Referer", ""))


def _sid(server: Server) -> str:
    login = noted_login()
    return "" if login is None else login.sid


def _find_client(server: Server, uri: str) -> str | None:
    """Return the client_id of the client that registered the logout URI `uri`, None if none did.

    Search the clients that have pages on the origin of `uri`, and those of the session.
    """
    of_origin = select(ClientOrigin.client_id).where(ClientOrigin.origin == web_origin(uri))
    of_session = participation.clients_of(_sid(server))
    candidate = or_(Client.client_id.in_(of_origin), Client.client_id.in_(of_session))
    with server.store.reading() as session:
        clients = session.scalars(select(Client).where(candidate).order_by(Client.client_id)).all()
    return next(
        (
            client.client_id
            for client in clients
            if any(matches(registered, uri) for registered in _registered(client))
        ),
        None,
    )


def _registered(client: Client | None) -> list[str]:
    metadata = {} if client is None else client.client_metadata
    return list(metadata.get("post_logout_redirect_uris", ()))


def web_origin(uri: str) -> str | None:
    """Return the web origin of an http or https URL, None for anything else."""
    try:
        return origin_of(uri) if uri.isprintable() else None
    except ValueError:
        return None
