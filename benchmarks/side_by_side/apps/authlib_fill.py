"""Creates the tables of Authlib's server, the user and the clients.

It takes one argument: JSON of the user, and of the clients by client_id.
"""

from __future__ import annotations

import json
import sys

from .authlib import create_app
from .authlib_models import OAuth2Client, User, db


def main() -> None:
    """Fill the database."""
    user, clients = json.loads(sys.argv[1])
    with create_app().app_context():
        db.create_all()
        db.session.add(User(**user))
        for client_id, (secret, metadata) in clients.items():
            client = OAuth2Client(client_id=client_id, client_secret=secret)
            client.set_client_metadata(metadata)
            db.session.add(client)
        db.session.commit()


if __name__ == "__main__":
    main()
