"""Commands: `flask pkce client`, `flask pkce prune`, `flask pkce doctor`."""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from .doctor import problems_of_host
from .errors import ConfigurationError, OAuth2Error
from .models import authorization_code, redirect_uri, token
from .models import client as clients
from .models.authorization_code import challenge_of
from .models.client import AUTH_METHODS, Client
from .models.handle import base64url, digest, new_secret
from .server import Server, current_server
from .signals import client_registered, tell

F = TypeVar("F", bound=Callable[..., Any])

_BATCH = 1000

pkce_commands = AppGroup("pkce", help="The OAuth 2.1 authorization server of this app.")
client_commands = AppGroup("client", help="Clients: the applications that may ask for access.")
pkce_commands.add_command(client_commands)

as_json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


def client_options(create: bool) -> Callable[[F], F]:
    """Add the options that say what a client is; those of `update` change only what is given."""

    def add(command: F) -> F:
        for option in reversed(
            (
                click.option("--name", required=create, help="What the consent page calls it."),
                click.option(
                    "--redirect-uri",
                    "redirect_uris",
                    multiple=True,
                    help="Where its browser comes back to; may be given more than once.",
                ),
                click.option(
                    "--scope", help="What it may ask for, space between; all where left out."
                ),
                click.option(
                    "--grant-type",
                    "grant_types",
                    multiple=True,
                    help="authorization_code and refresh_token where left out.",
                ),
                click.option(
                    "--origin",
                    "origins",
                    multiple=True,
                    help="A web origin its pages are on, besides those of its redirect URIs.",
                ),
                click.option(
                    "--skip-consent/--ask-consent",
                    "skip_consent",
                    default=None,
                    help="Never ask the user; for the host's own apps.",
                ),
            )
        ):
            command = option(command)
        return command

    return add


@client_commands.command("create")
@client_options(create=True)
@click.option(
    "--type",
    "client_type",
    type=click.Choice(["public", "confidential"]),
    required=True,
    help="public: in a browser or on a device. confidential: on a server, keeps a secret.",
)
@click.option("--auth-method", type=click.Choice(AUTH_METHODS), help="How it shows who it is.")
@click.option("--client-id", help="Chosen here instead of made up.")
@click.option("--client-secret", help="Chosen here instead of made up; 32 characters or more.")
@as_json_option
def create(
    *,
    name: str,
    redirect_uris: tuple[str, ...],
    scope: str | None,
    grant_types: tuple[str, ...],
    origins: tuple[str, ...],
    skip_consent: bool | None,
    client_type: str,
    auth_method: str | None,
    client_id: str | None,
    client_secret: str | None,
    as_json: bool,
) -> None:
    """Register a client; a secret is shown this once."""
    server = current_server
    method = auth_method or {"public": "none", "confidential": "client_secret_basic"}[client_type]
    if (method == "none") != (client_type == "public"):
        raise click.UsageError(f"A {client_type} client does not use --auth-method {method}.")
    with _Clearly():
        client, secret = clients.new_client(
            client_name=name,
            redirect_uris=redirect_uris,
            auth_method=method,
            grant_types=_grant_types(server, grant_types),
            scope=_scope(server, scope),
            origins=origins,
            skip_consent=bool(skip_consent),
            client_id=client_id,
            client_secret=client_secret,
            now=server.now(),
        )
        if server.find_client(client.client_id) is not None:
            raise click.ClickException(f"There is a client {client.client_id} already.")
        server.store.write(lambda session: clients.save(session, client))
    tell(client_registered, server.app, client_id=client.client_id)
    if as_json:
        _print_json(_shown(client, secret))
        return
    _print_client(client, secret)
    _print_first_steps(server, client, secret)


@client_commands.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """List the clients."""
    with _Clearly(), current_server.store.reading() as session:
        found = session.scalars(select(Client).order_by(Client.issued_at, Client.client_id)).all()
    if as_json:
        _print_json([client.as_json() for client in found])
        return
    for client in found:
        kind = "public" if client.is_public else "confidential"
        click.echo(f"{client.client_id}  {kind:12}  {client.client_name}")
    if not found:
        click.echo("No clients yet. Register one with: flask pkce client create")


@client_commands.command("show")
@click.argument("client_id")
@as_json_option
def show(client_id: str, as_json: bool) -> None:
    """Show a client."""
    client = _find(client_id)
    _print_json(client.as_json()) if as_json else _print_client(client)


@client_commands.command("update")
@click.argument("client_id")
@client_options(create=False)
@as_json_option
def update(
    client_id: str,
    *,
    name: str | None,
    redirect_uris: tuple[str, ...],
    scope: str | None,
    grant_types: tuple[str, ...],
    origins: tuple[str, ...],
    skip_consent: bool | None,
    as_json: bool,
) -> None:
    """Change a client; what is given replaces what was there."""
    server, client = current_server, _find(client_id)
    changes = {
        "client_name": name,
        "redirect_uris": list(redirect_uris) or None,
        "scope": _scope(server, scope),
        "grant_types": _grant_types(server, grant_types) if grant_types else None,
        "origins": list(origins) or None,
        "skip_consent": skip_consent,
    }
    for field, value in changes.items():
        if value is not None:
            setattr(client, field, value)
    with _Clearly():
        clients.check(client)
        server.store.write(lambda session: clients.save(session, session.merge(client)))
    _print_json(client.as_json()) if as_json else _print_client(client)


@client_commands.command("delete")
@click.argument("client_id")
@as_json_option
def delete(client_id: str, as_json: bool) -> None:
    """Delete a client and every code, token and consent that it has."""
    _find(client_id)
    current_server.store.write(lambda session: clients.remove(session, client_id))
    _print_json({"deleted": client_id}) if as_json else click.echo(f"Deleted {client_id}.")


@client_commands.command("rotate-secret")
@click.argument("client_id")
@as_json_option
def rotate_secret(client_id: str, as_json: bool) -> None:
    """Give a client a new secret; the old one ends at once."""
    client = _find(client_id)
    if client.is_public:
        raise click.ClickException(f"{client_id} is a public client and has no secret.")
    secret = new_secret()
    client.secret_digest = digest(secret)
    current_server.store.write(lambda session: session.merge(client))
    if as_json:
        _print_json(_shown(client, secret))
    else:
        click.echo(f"client_secret  {secret}   (shown this once)")


@pkce_commands.command("prune")
@as_json_option
def prune(as_json: bool) -> None:
    """Delete expired tokens, and codes that nothing depends on any more."""
    server, deleted = current_server, {}
    # Tokens first: a consumed code stays as long as one of its tokens lives.
    for name, of_table in {
        "tokens": token.prune,
        "authorization_codes": authorization_code.prune,
    }.items():
        deleted[name] = 0
        with _Clearly():
            while done := server.store.write(
                lambda session: of_table(session, server.now(), _BATCH)  # noqa: B023 - run at once
            ):
                deleted[name] += done
    if as_json:
        _print_json({"deleted": deleted})
    else:
        click.echo(f"Deleted {deleted['tokens']} tokens, {deleted['authorization_codes']} codes.")


@pkce_commands.command("doctor")
@as_json_option
def doctor(as_json: bool) -> None:
    """Look the set-up over; exit 1 if something has to be changed."""
    server = current_server
    found = [*problems_of_host(server)]
    for feature in server.features:
        found += feature.problems(server)
    if as_json:
        _print_json([vars(problem) for problem in found])
    else:
        for problem in found:
            click.echo(f"{problem.level:4}  {problem.about}")
            if problem.fix:
                click.echo(f"      Write: {problem.fix}")
    if any(problem.level == "FAIL" for problem in found):
        raise SystemExit(1)


def _scope(server: Server, text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    scopes = frozenset(text.split())
    unknown = scopes - server.scopes.keys()
    if unknown:
        raise click.ClickException(
            f"Not declared in PKCE_SCOPES: {' '.join(sorted(unknown))}. "
            f"Declared: {' '.join(server.scopes)}"
        )
    return scopes


def _grant_types(server: Server, wanted: tuple[str, ...]) -> list[str]:
    known = server.metadata()["grant_types_supported"]
    for grant_type in wanted:
        if grant_type not in known:
            raise click.ClickException(
                f"There is no grant type {grant_type} here. There is: {', '.join(known)}"
            )
    return list(wanted) or [
        grant_type for grant_type in ("authorization_code", "refresh_token") if grant_type in known
    ]


def _find(client_id: str) -> Client:
    with _Clearly():
        client = current_server.find_client(client_id)
    if client is None:
        raise click.ClickException(
            f"There is no client {client_id}. List them with: flask pkce client list"
        )
    return client


class _Clearly:
    """Turn the errors that an operator can do something about into a line of text."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OAuth2Error):
            raise click.ClickException(str(error.description)) from None
        if isinstance(error, ConfigurationError):
            raise click.ClickException(str(error)) from None
        if isinstance(error, DBAPIError):
            reason = str(error.orig).partition("\n")[0]
            raise click.ClickException(
                f"The database refused: {reason}. Are the tables there? flask pkce doctor"
            ) from None


def _shown(client: Client, secret: str | None) -> dict[str, Any]:
    return {**client.as_json(), **({} if secret is None else {"client_secret": secret})}


def _print_json(content: Any) -> None:
    click.echo(json.dumps(content, indent=2))


def _print_client(client: Client, secret: str | None = None) -> None:
    for name, value in client.as_json().items():
        text = " ".join(value) if isinstance(value, list) else value
        click.echo(f"{name:28}{'all that is declared' if text is None else text}")
    if secret is not None:
        click.echo(f"{'client_secret':28}{secret}   (shown this once)")
    for uri in client.redirect_uris:
        for warning in redirect_uri.warnings(uri):
            click.echo(f"Mind: {warning}")


def _print_first_steps(server: Server, client: Client, secret: str | None) -> None:
    """Print an authorize URL that works as it is, and the curl line that redeems its code."""
    if not client.redirect_uris:
        return
    verifier, uri = base64url(secrets.token_bytes(32)), client.redirect_uris[0]
    allowed = server.scopes.keys() if client.scope is None else client.scope
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
