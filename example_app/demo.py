"""What the demo starts with: tables, the user demo/demo, some notes, the playground's client."""

from __future__ import annotations

import time

from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from flask_pkce_server.models.client import Client, new_client, save

from .extensions import db
from .models import Note, User

PLAYGROUND = "playground"


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
    from flask_pkce_server.server import current_server

    def register(session: Session) -> None:
        if session.get(Client, PLAYGROUND) is None:
            page = f"{current_server.issuer.rstrip('/')}/playground"
            client, _ = new_client(
                client_id=PLAYGROUND,
                client_name="The playground",
                redirect_uris=[page],
                auth_method="none",
                grant_types=["authorization_code", "refresh_token"],
                client_metadata={"post_logout_redirect_uris": [page]},
                now=current_server.now(),
            )
            save(session, client)

    current_server.store.write(register)
