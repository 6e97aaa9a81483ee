"""Commands: `flask pkce prune` and `flask pkce doctor`."""

from __future__ import annotations

import click
from flask.cli import with_appcontext
from sqlalchemy.orm import Session

from ..models import (
    authorization_code,
    client_document,
    consent,
    device_code,
    guess,
    login_session,
    registration,
    spent_jti,
    token,
)
from ..protocol.server import current_server
from .doctor import problems_of_host
from .output import Clearly, as_json_option, print_json

_BATCH = 1000


@click.command("prune")
@with_appcontext
@as_json_option
def prune(as_json: bool) -> None:
    """Delete what has expired, and keys and codes that nothing depends on any more."""
    server, deleted = current_server, {}
    # Tokens first: a consumed code stays as long as one of its tokens lives.
    for name, of_table in {
        "tokens": token.prune,
        "authorization_codes": authorization_code.prune,
        "device_codes": device_code.prune,
        "guesses": guess.prune,
        "spent_jtis": spent_jti.prune,
        "session_clients": login_session.prune,
        "consents": consent.prune,
        # Last of them: one that nothing hangs on any more.
        "unused_clients": _prune_clients,
    }.items():
        deleted[name] = 0
        with Clearly():
            while done := server.store.write(
                lambda session: of_table(session, server.now(), _BATCH)  # noqa: B023 - run at once
            ):
                deleted[name] += done
    with Clearly():
        server.keys.read()
        deleted["signing_keys"] = server.store.write(server.keys.prune)
    if as_json:
        print_json({"deleted": deleted})
    else:
        parts = [f"{number} {name.replace('_', ' ')}" for name, number in deleted.items()]
        click.echo(f"Deleted {', '.join(parts)}.")


def _prune_clients(session: Session, now: int, limit: int) -> int:
    days = current_server.settings.registration_unused_days
    done = registration.prune(session, now - days * 86400, limit)
    return done + client_document.prune(session, now, limit)


@click.command("doctor")
@with_appcontext
@as_json_option
def doctor(as_json: bool) -> None:
    """Look the set-up over; exit 1 if something has to be changed."""
    server = current_server
    found = [*problems_of_host(server)]
    for feature in server.features:
        found += feature.problems(server)
    if as_json:
        print_json([vars(problem) for problem in found])
    else:
        for problem in found:
            click.echo(f"{problem.level:4}  {problem.about}")
            if problem.fix:
                click.echo(f"      Write: {problem.fix}")
    if any(problem.level == "FAIL" for problem in found):
        raise SystemExit(1)
