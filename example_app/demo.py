"""What the demo starts with: tables, the user demo/demo, some notes, the clients."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from flask_pkce_server.models.client import Client, new_client, save
from flask_pkce_server.wire.names import DEVICE_CODE as DEVICE

from .extensions import db
from .models import Note, User

PLAYGROUND = "playground"
TELEVISION = "television"
REACT = "react"
#: Where `make demo-react` serves that one.
REACT_ORIGIN = "http://127.0.0.1:5173"


def fill_once() -> None:
    """Make what is missing; several workers may start at once.

    Whoever comes second finds a table or a row there already, and looks again.
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


def _fill() -> None:
    if db.session.scalar(db.select(User).limit(1)) is None:
        demo = User(username="demo", name="Dora Demo", email="demo@example.com")
        demo.set_password("demo")
        db.session.add(demo)
        db.session.flush()
        for text in ("Water the fern", "A code is good once", "Ask Ada about the verifier"):
            db.session.add(Note(user_id=demo.id, text=text))
    db.session.commit()
    from flask_pkce_server.protocol.contract import current_server

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
    """Return the registrations of the clients by their client_id; all are public ones."""
    page = f"{issuer.rstrip('/')}/playground"
    found: dict[str, dict[str, Any]] = {
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
    # On this computer only, where it is the demo's own. And not on localhost: to a browser
    # that is another site, and the session does not come along in a frame there.
    if urlsplit(issuer).hostname == "127.0.0.1":
        found[REACT] = {
            "client_name": "The React sample",
            "redirect_uris": [REACT_ORIGIN],
            "grant_types": ["authorization_code", "refresh_token"],
            # About public clients on the loopback users are asked each time (RFC 8252 8.6),
            # so its silent renewal would be answered consent_required.
            "skip_consent": True,
            "client_metadata": {"post_logout_redirect_uris": [REACT_ORIGIN]},
        }
    return found
