"""Command: `flask pkce import` takes over clients and consents from another product.

Each product has a module that reads its export. Imported clients pass the same checks as
clients that an operator registers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

import click
from flask.cli import with_appcontext
from sqlalchemy.orm import Session

from ...models.client import Client
from ...protocol.contract import Server, current_server
from ...signals import client_registered, tell
from ...wire import strict_json
from ..output import ReadableErrors, as_json_option
from . import auth0, django_oauth_toolkit, doorkeeper, keycloak, okta
from .admission import take_over
from .imported import Export, UnfitExport
from .report import Report
from .takeover import Takeover

PRODUCTS: dict[str, Callable[[Any], Export]] = {
    "auth0": auth0.read,
    "okta": okta.read,
    "keycloak": keycloak.read,
    "doorkeeper": doorkeeper.read,
    "django-oauth-toolkit": django_oauth_toolkit.read,
}


@click.command("import")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--from",
    "product",
    type=click.Choice(list(PRODUCTS)),
    required=True,
    help="The product that wrote FILE.",
)
@click.option(
    "--auth-method",
    type=click.Choice(["client_secret_basic", "client_secret_post"]),
    default="client_secret_basic",
    show_default=True,
    help="How confidential clients send their secret if FILE does not say.",
)
@click.option("--dry-run", is_flag=True, help="Report what would be done without storing anything.")
@as_json_option
@with_appcontext
def import_(file: BinaryIO, product: str, auth_method: str, dry_run: bool, as_json: bool) -> None:
    """Take over clients and consents from FILE, the export of another product.

    Clients that already exist are left alone. Whatever is not taken over is reported with the
    reason.
    """
    server = current_server
    try:
        export = PRODUCTS[product](_content(file))
    except UnfitExport as error:
        raise click.ClickException(
            f"{file.name} is not a readable {product} export: {error}."
        ) from None
    with ReadableErrors():
        takeovers = _takeovers(server, export, product, auth_method)
        if not dry_run:
            server.store.write(lambda session: _save(session, takeovers))
    for taken in takeovers:
        if taken.outcome == "imported" and not dry_run:
            tell(client_registered, server.app, client_id=taken.client_id)
    report = Report(product, dry_run, tuple(takeovers), export.losses)
    report.print_json() if as_json else report.print_lines()


def _content(file: BinaryIO) -> Any:
    try:
        return strict_json.loads(file.read())
    except OSError as error:
        raise UnfitExport(f"it cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise UnfitExport("it is not JSON") from None


def _takeovers(server: Server, export: Export, product: str, auth_method: str) -> list[Takeover]:
    """Return the outcome for each client of the export, without storing anything."""
    subjects: dict[str, bool] = {}

    def is_user(subject: str) -> bool:
        if subject not in subjects:
            subjects[subject] = _is_user(server, subject)
        return subjects[subject]

    takeovers: dict[str, Takeover] = {}
    left_out: list[Takeover] = []
    for client in export.clients:
        taken = Takeover(
            client.client_id, client.client_name or client.client_id, len(client.granted)
        )
        if client.client_id in takeovers:
            left_out.append(taken.leave_out("The file has it twice; this one comes later."))
            continue
        if _is_here(server, client.client_id):
            taken.leave_out("There is a client of this id already.", "left alone")
        else:
            taken = take_over(
                server, client, product=product, auth_method=auth_method, is_user=is_user
            )
        takeovers[client.client_id] = taken
    for omitted in export.left_out:
        left_out.append(
            Takeover(omitted.client_id, omitted.client_id, omitted.grants).leave_out(omitted.why)
        )
    return [*takeovers.values(), *left_out]


def _is_here(server: Server, client_id: str) -> bool:
    # Not `find_client`: a feature may look up a client over the network.
    with server.store.reading() as session:
        return session.get(Client, client_id) is not None


def _is_user(server: Server, subject: str) -> bool:
    """Say whether a user of the host app has the other product's user ID as their subject."""
    if not 1 <= len(subject) <= 255:
        return False
    try:
        user = server.users.load(subject)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        # The host app's user loader may not accept IDs of this form.
        return False
    # Loading is not enough: a loader that calls int() reads "1_2" as 12.
    return user is not None and server.users.subject_of(user) == subject


def _save(session: Session, takeovers: list[Takeover]) -> None:
    for taken in takeovers:
        taken.save(session)
