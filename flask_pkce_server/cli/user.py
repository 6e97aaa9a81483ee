"""User: what the operator can end for one user."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from ..protocol.contract import current_server
from .output import ReadableErrors, as_json_option, print_json

user_commands = AppGroup("user", help="The users of the host app.")


@user_commands.command("revoke")
@click.argument("subject")
@as_json_option
def revoke(subject: str, as_json: bool) -> None:
    """Revoke everything that a user has granted, for example after their account was taken over.

    SUBJECT identifies the user in tokens; by default, it is the primary key.
    """
    with ReadableErrors():
        revoked = current_server.forget_subject(subject)
    if as_json:
        print_json({"revoked": subject if revoked else None})
    elif revoked:
        click.echo(f"All access that {subject} had granted is revoked.")
    else:
        click.echo(f"No app has access to the account of {subject}.")
