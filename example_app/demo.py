"""The demo's first data: tables, clients and, on this computer only, a user."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from flask_pkce_server import current_server
from flask_pkce_server.models.client import Client
from flask_pkce_server.models.client_storage import new_client, save
from flask_pkce_server.wire.names import DEVICE_CODE as DEVICE
from flask_pkce_server.wire.redirect_uri import is_loopback

from .extensions import db
from .models import Note, User

PLAYGROUND = "playground"
TELEVISION = "television"
REACT = "react"
#: The origin on which `make demo-react` serves the React sample.
REACT_ORIGIN = "http://127.0.0.1:5173"


def fill_once() -> None:
    """Create what is missing; several workers may start at once.

    A slower worker finds that a table or a row exists already, and tries again.
    """
    for _ in range(10):
        try:
            db.create_all()
            _fill()
        except (IntegrityError, OperationalError, ProgrammingError):
            db.session.rollback()
            time.sleep(0.1)
        else:
            return
    db.create_all()
    _fill()


def is_demo() -> bool:
    """Say whether the issuer is on this computer, so that all may know a password."""
    return is_loopback(current_server.issuer)


def _fill() -> None:
    if is_demo() and db.session.scalar(db.select(User).limit(1)) is None:
        demo = User(
            username="demo", name="Dora Demo", email="demo@example.com", email_verified=True
        )
        demo.set_password("demo")
        db.session.add(demo)
        db.session.flush()
        for text in ("Water the fern", "A code works only once", "Ask Ada about the verifier"):
            db.session.add(Note(user_id=demo.id, text=text))
    db.session.commit()

    def register(session: Session) -> None:
        for client_id, registration in _clients(current_server.issuer).items():
            if session.get(Client, client_id) is None:
                client, _ = new_client(
                    client_id=client_id,
                    auth_method="none",
                    now=current_server.now(),
                    **registration,
                )
                save(session, client)

    current_server.store.write(register)


def _clients(issuer: str) -> dict[str, dict[str, Any]]:
    """Return the clients' registrations by client_id; all clients are public."""
    page = f"{issuer.rstrip('/')}/playground"
    clients: dict[str, dict[str, Any]] = {
        PLAYGROUND: {
            "client_name": "The playground",
            "redirect_uris": [page],
            "grant_types": ["authorization_code", "refresh_token"],
            "client_metadata": {"post_logout_redirect_uris": [page]},
        },
        TELEVISION: {
            "client_name": "The television",
            "redirect_uris": [],
            "grant_types": [DEVICE, "refresh_token"],
        },
    }
    # Only if the issuer is on this computer, where the sample is the demo's own. Not on
    # localhost: to a browser that is another site, and a frame there gets no session cookie.
    if urlsplit(issuer).hostname == "127.0.0.1":
        clients[REACT] = {
            "client_name": "The React sample",
            "redirect_uris": [REACT_ORIGIN],
            "grant_types": ["authorization_code", "refresh_token"],
            # Otherwise users of public clients on the loopback are asked every time
            # (RFC 8252 8.6), so silent renewal would get consent_required.
            "skip_consent": True,
            "client_metadata": {"post_logout_redirect_uris": [REACT_ORIGIN]},
        }
    return clients
