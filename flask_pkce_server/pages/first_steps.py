"""First steps: a URL, a command and code with which a developer can try a new client."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from flask import render_template

from ..models.client import Client
from ..protocol.contract import Server
from ..wire.code_challenge import challenge_of
from ..wire.handle import base64url
from ..wire.names import JWT_BEARER_ASSERTION as ASSERTION_TYPE


@dataclass(frozen=True)
class FirstSteps:
    """A sign-in that the developer can try at once."""

    #: The URL to open in a browser.
    authorize_url: str
    #: The command that redeems the authorization code from the browser.
    curl: str


def usual_scopes(server: Server, client: Client) -> list[str]:
    """Return the scopes to try first: the client's own, or else the most common ones."""
    usual = {*server.settings.scopes, "openid", "offline_access"}
    allowed = usual if client.scope is None else client.scope
    return [scope for scope in server.scopes if scope in allowed]


def first_steps(server: Server, client: Client, secret: str) -> FirstSteps:
    """Return the first steps for a client with a redirect URI.

    `secret` appears in the command as it is given, a placeholder or the real client_secret.
    """
    verifier, uri = base64url(secrets.token_bytes(32)), client.redirect_uris[0]
    request = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": uri,
        "scope": " ".join(usual_scopes(server, client)),
        "state": secrets.token_hex(8),
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    body = {
        "grant_type": "authorization_code",
        "redirect_uri": uri,
        "code_verifier": verifier,
        "code": "CODE",
    }
    curl = token_line(server, client, secret, body)
    return FirstSteps(f"{server.url_of('authorize')}?{urlencode(request)}", curl)


def token_line(server: Server, client: Client, secret: str, body: Mapping[str, str]) -> str:
    """Return the curl command by which `client` sends `body` to the token endpoint."""
    parts, body = ["curl", server.url_of("token")], dict(body)
    if client.token_endpoint_auth_method == "client_secret_basic":
        parts += ["-u", f"{client.client_id}:{secret}"]
    else:
        body["client_id"] = client.client_id
    if client.token_endpoint_auth_method == "client_secret_post":
        body["client_secret"] = secret
    if client.token_endpoint_auth_method == "private_key_jwt":
        body["client_assertion_type"] = ASSERTION_TYPE
        body["client_assertion"] = "ASSERTION"
    for name, value in body.items():
        parts += ["--data-urlencode", f"{name}={value}"]
    return shlex.join(parts)


def snippet(server: Server, client: Client, name: str, steps: FirstSteps | None) -> str:
    """Return the snippet `templates/pkce/snippets/<name>.txt`, filled in for `client`."""
    redirect_uri = next(iter(client.redirect_uris), "")
    return render_template(
        f"pkce/snippets/{name}.txt",
        issuer=server.issuer,
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        redirect_path=urlsplit(redirect_uri).path or "/",
        scope=" ".join(usual_scopes(server, client)),
        steps=steps,
        metadata=server.metadata(),
    )
