"""What a developer does first with a new client: an authorize URL and a curl line."""

from __future__ import annotations

import secrets
import shlex
from urllib.parse import urlencode

import click

from ..models.authorization_code import challenge_of
from ..models.client import Client
from ..models.handle import base64url
from ..server import Server


def print_first_steps(server: Server, client: Client, secret: str | None) -> None:
    """Print an authorize URL that works as it is, and the curl line that redeems its code."""
    if not client.redirect_uris:
        return
    verifier, uri = base64url(secrets.token_bytes(32)), client.redirect_uris[0]
    # What a user of a first try need not read: the rest of OpenID Connect.
    usual = {*server.settings.scopes, "openid", "offline_access"}
    allowed = usual if client.scope is None else client.scope
    request = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": uri,
        "scope": " ".join(scope for scope in server.scopes if scope in allowed),
        "state": secrets.token_hex(8),
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    click.echo("\nOpen this in a browser:\n")
    click.echo(f"  {server.url_of('authorize')}?{urlencode(request)}\n")
    click.echo("Then put the code from the address bar in the place of CODE, within a minute:\n")
    parts = ["curl", server.url_of("token")]
    body = {
        "grant_type": "authorization_code",
        "redirect_uri": uri,
        "code_verifier": verifier,
        "code": "CODE",
    }
    if client.token_endpoint_auth_method == "client_secret_basic":
        parts += ["-u", f"{client.client_id}:{secret}"]
    else:
        body["client_id"] = client.client_id
    if client.token_endpoint_auth_method == "client_secret_post":
        body["client_secret"] = secret or ""
    for name, value in body.items():
        parts += ["--data-urlencode", f"{name}={value}"]
    click.echo("  " + shlex.join(parts))
