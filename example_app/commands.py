"""The app's own commands; those of the server are `flask pkce`."""

from __future__ import annotations

import click
from flask.cli import AppGroup
from sqlalchemy.exc import IntegrityError

from .extensions import db
from .models import User

user = AppGroup("user", help="Manage the users of this app.")


@user.command("create")
@click.argument("username")
@click.option(
    "--password",
    prompt=True,
    hide_input=True,
    confirmation_prompt=True,
    help="Asked for if it is left out, so that it stays out of the shell's history.",
)
@click.option("--email", required=True)
@click.option("--email-verified", is_flag=True, help="You know that the address is theirs.")
@click.option("--name", help="Default: the username.")
def create(
    username: str, password: str, email: str, email_verified: bool, name: str | None
) -> None:
    """Create a user."""
    new_user = User(
        username=username, name=name or username, email=email, email_verified=email_verified
    )
    new_user.set_password(password)
    db.session.add(new_user)
    try:
        db.session.commit()
    except IntegrityError:
        raise click.ClickException(f"The user {username} already exists.") from None
    click.echo(f"Created {username}.")
