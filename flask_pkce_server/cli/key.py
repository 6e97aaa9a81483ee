"""Commands: `flask pkce key list` and `flask pkce key rotate`."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from ..protocol.contract import current_server
from ..signals import key_rotated, tell
from .output import ReadableErrors, as_json_option, date, print_json

key_commands = AppGroup("key", help="Keys: what ID tokens and other JWTs are signed with.")


@key_commands.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """List the signing keys: next, active and retired."""
    with ReadableErrors():
        keys = current_server.keys.listed()
    if as_json:
        print_json(
            [
                {
                    "kid": key.kid,
                    "alg": key.algorithm,
                    "state": state,
                    "issued_at": key.issued_at,
                    "active_from": key.active_from,
                    "readable": key.private is not None,
                }
                for key, state in keys
            ]
        )
        return
    if not keys:
        click.echo("No keys yet. They are created when the first one is needed.")
    for key, state in keys:
        note = "" if key.private is not None else "  (encrypted with another secret)"
        since = date(key.active_from)
        click.echo(f"{key.kid}  {key.algorithm:6} {state:8} signs from {since}{note}")


@key_commands.command("rotate")
@click.option(
    "--compromised",
    is_flag=True,
    help="Delete the old keys and sign with the new ones at once: what the old ones signed "
    "is no longer valid.",
)
@as_json_option
def rotate(compromised: bool, as_json: bool) -> None:
    """Publish new keys, which start to sign after PKCE_JWKS_LEAD seconds."""
    server = current_server
    with ReadableErrors():
        kids = server.keys.rotate(compromised=compromised)
    tell(key_rotated, server.app, kids=kids, compromised=compromised)
    if as_json:
        print_json({"kids": kids})
        return
    when = "now" if compromised else f"within {server.settings.jwks_lead} seconds"
    for kid in kids:
        click.echo(f"{kid}  signs {when}")
