"""Commands: `flask pkce client create|list|show|update|delete|rotate-secret`."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..models import client_secret
from ..models import client_storage as clients
from ..models.client import Client
from ..pages.first_steps import first_steps, token_line
from ..protocol.contract import current_server
from ..signals import client_registered, tell
from ..wire import redirect_uri
from ..wire.handle import digest, new_secret
from ..wire.names import AUTH_METHODS
from .client_options import (
    ClientCommand,
    client_options,
    client_secret_option,
    read_grant_types,
    read_members,
    read_scope,
)
from .output import ReadableErrors, as_json_option, date, print_json, print_lines

client_commands = AppGroup("client", help="Clients: the applications that may ask for access.")


@client_commands.command("create", cls=ClientCommand)
@client_options(create=True)
@click.option(
    "--type",
    "client_type",
    type=click.Choice(["public", "confidential"]),
    required=True,
    help="public: in a browser or on a device. confidential: on a server, keeps a secret.",
)
@click.option("--auth-method", type=click.Choice(AUTH_METHODS), help="How it authenticates.")
@click.option("--client-id", help="Use this value instead of a generated one.")
@client_secret_option
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
    **metadata: Any,
) -> None:
    """Register a client; its secret is shown only once."""
    server = current_server
    method = auth_method or {"public": "none", "confidential": "client_secret_basic"}[client_type]
    if (method == "none") != (client_type == "public"):
        raise click.UsageError(f"A {client_type} client does not use --auth-method {method}.")
    with ReadableErrors():
        client, secret = clients.new_client(
            client_name=name,
            redirect_uris=redirect_uris,
            auth_method=method,
            grant_types=read_grant_types(server, grant_types)
            if redirect_uris or grant_types or not metadata.get("resource_server")
            else [],
            scope=read_scope(server, scope),
            origins=origins,
            skip_consent=bool(skip_consent),
            client_id=client_id,
            client_secret=client_secret,
            client_metadata=read_members(metadata),
            now=server.now(),
        )
        server.registrar.check(client)
        if _known(client.client_id) is not None:
            raise click.ClickException(f"The client {client.client_id} exists already.")
        server.store.write(lambda session: clients.save(session, client))
    tell(client_registered, server.app, client_id=client.client_id)
    if as_json:
        print_json(_shown(client, secret))
        return
    _print_client(client, secret)
    if client.redirect_uris:
        steps = first_steps(server, client, secret or "")
        click.echo(f"\nOpen this in a browser:\n\n  {steps.authorize_url}\n")
        click.echo("Then replace CODE with the code from the address bar, within a minute:\n")
        click.echo(f"  {steps.curl}")
    elif client.check_grant_type("client_credentials"):
        body = {"grant_type": "client_credentials"}
        click.echo("\nThis command gets a token; add scope=... for what the token may do:\n")
        click.echo(f"  {token_line(server, client, secret or '', body)}")


@client_commands.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """List the clients."""
    with ReadableErrors(), current_server.store.reading() as session:
        rows = session.scalars(select(Client).order_by(Client.issued_at, Client.client_id)).all()
    if as_json:
        print_json([client.as_json() for client in rows])
        return
    for client in rows:
        kind = "public" if client.is_public else "confidential"
        click.echo(f"{client.client_id}  {kind:12}  {client.client_name}")
    if not rows:
        click.echo("No clients yet. Register one with: flask pkce client create")


@client_commands.command("show")
@click.argument("client_id")
@as_json_option
def show(client_id: str, as_json: bool) -> None:
    """Show a client."""
    client = _find(client_id)
    print_json(client.as_json()) if as_json else _print_client(client)


@client_commands.command("update", cls=ClientCommand)
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
    **metadata: Any,
) -> None:
    """Change a client; each option given replaces the stored value."""
    server, client = current_server, _find(client_id)
    changes = {
        "client_name": name,
        "redirect_uris": list(redirect_uris) or None,
        "scope": read_scope(server, scope),
        "grant_types": read_grant_types(server, grant_types) if grant_types else None,
        "origins": list(origins) or None,
        "skip_consent": skip_consent,
    }
    for field, value in changes.items():
        if value is not None:
            setattr(client, field, value)
    members = read_members(metadata)
    described = server.registrar.names_of("document") & members.keys()
    described |= {"client_name", "redirect_uris", "scope", "grant_types"} & {
        field for field, value in changes.items() if value is not None
    }
    if client.document is not None and described:
        names = ", ".join(sorted(described))
        raise click.ClickException(f"The client's document sets this: {names}.")
    replaced = server.registrar.replaced_by(members)
    kept = {key: value for key, value in client.client_metadata.items() if key not in replaced}
    client.client_metadata = {**kept, **members}
    with ReadableErrors():
        server.registrar.check(client)
        server.store.write(lambda session: clients.save(session, session.merge(client)))
    print_json(client.as_json()) if as_json else _print_client(client)


@client_commands.command("delete")
@click.argument("client_id")
@as_json_option
def delete(client_id: str, as_json: bool) -> None:
    """Delete a client with all its codes, tokens and consents."""
    _find(client_id)
    current_server.store.write(lambda session: clients.remove(session, client_id))
    print_json({"deleted": client_id}) if as_json else click.echo(f"Deleted {client_id}.")


@client_commands.command("rotate-secret")
@click.argument("client_id")
@click.option("--keep", is_flag=True, help="Keep the old secret valid until the next rotation.")
@as_json_option
def rotate_secret(client_id: str, keep: bool, as_json: bool) -> None:
    """Issue a new client secret; the old one stops working at once unless --keep is given."""
    server, client = current_server, _find(client_id)
    if client.is_public:
        raise click.ClickException(f"{client_id} is a public client and has no secret.")
    if not client.has_secret:
        raise click.ClickException(f"{client_id} signs with its own key and has no secret.")
    secret, now = new_secret(), server.now()

    def rotate(session: Session) -> bool:
        if keep:
            return client_secret.add(session, client_id, digest(secret), now)
        return client_secret.replace(session, client_id, digest(secret), now)

    if keep and client.secret_digest is None:
        raise click.ClickException(
            f"{client_id} has only an imported secret, which cannot be kept. Leave out --keep."
        )
    if not server.store.write(rotate):
        raise click.ClickException(
            f"{client_id} has two secrets already. Without --keep, both stop working."
        )
    client = _find(client_id)
    if as_json:
        print_json(_shown(client, secret))
    else:
        click.echo(f"client_secret  {secret}   (shown this once)")


def _find(client_id: str) -> Client:
    with ReadableErrors():
        client = _known(client_id)
    if client is None:
        raise click.ClickException(
            f"There is no client {client_id}. List them with: flask pkce client list"
        )
    return client


def _known(client_id: str) -> Client | None:
    """Return the stored client, or else one that a feature finds; None if there is neither.

    The database comes first: a described client can be deleted after its document is gone.
    """
    with current_server.store.reading() as session:
        stored = session.get(Client, client_id)
    return stored or current_server.find_client(client_id)


def _shown(client: Client, secret: str | None) -> dict[str, Any]:
    return {**client.as_json(), **({} if secret is None else {"client_secret": secret})}


def _print_client(client: Client, secret: str | None = None) -> None:
    members = client.as_json()
    members["scope"] = members["scope"] or "all that is declared"
    members["client_id_issued_at"] = date(client.issued_at)
    print_lines(members)
    if secret is not None:
        click.echo(f"{'client_secret':28}{secret}   (shown this once)")
    for uri in client.redirect_uris:
        for warning in redirect_uri.warnings(uri):
            click.echo(f"Warning: {warning}")
