"""Commands of the app itself; those of the server are `flask pkce`."""

from __future__ import annotations

import click
from flask.cli import AppGroup
from sqlalchemy.exc import IntegrityError

from .extensions import db
from .models import User

user = AppGroup("user", help="The people who keep notes here.")


@user.command("create")
@click.argument("username")
@click.option("--password", required=True)
@click.option("--email", required=True)
@click.option("--name", help="The username where left out.")
def create(username: str, password: str, email: str, name: str | None) -> None:
    """Create a user."""
    made = User(username=username, name=name or username, email=email)
    made.set_password(password)
    db.session.add(made)
    try:
        db.session.commit()
    except IntegrityError:
        raise click.ClickException(f"There is a user {username} already.") from None
    click.echo(f"Created {username}.")
