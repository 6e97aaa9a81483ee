"""Commands: `flask pkce prune` and `flask pkce doctor`."""

from __future__ import annotations

from collections import Counter
from functools import partial

import click
from flask.cli import with_appcontext

from ..models import guess
from ..protocol.contract import Server, current_server
from ..signals import rows_pruned, tell
from .doctor import problems_of_host
from .output import ReadableErrors, as_json_option, print_json

_BATCH = 1000


@click.command("prune")
@with_appcontext
@as_json_option
def prune(as_json: bool) -> None:
    """Delete expired rows, and keys and codes that nothing depends on any more."""
    server = current_server
    deleted: Counter[str] = Counter()
    with ReadableErrors():
        while any((batch := _prune_some(server)).values()):
            deleted.update(batch)
    deleted.update(batch)
    tell(rows_pruned, server.app, deleted=dict(deleted))
    if as_json:
        print_json({"deleted": deleted})
    else:
        parts = [f"{name} {number}" for name, number in deleted.items() if number]
        click.echo(f"Rows deleted: {', '.join(parts) or 'none'}.")


def _prune_some(server: Server) -> dict[str, int]:
    prune_guesses = partial(guess.prune, now=server.now(), limit=_BATCH)
    return {**server.hooks.prune(server, _BATCH), "limits": server.store.write(prune_guesses)}


@click.command("doctor")
@with_appcontext
@as_json_option
def doctor(as_json: bool) -> None:
    """Check the setup; exit with status 1 if something must be changed."""
    server = current_server
    problems = [*problems_of_host(server)]
    problems += server.hooks.problems(server)
    if as_json:
        print_json([vars(problem) for problem in problems])
    else:
        for problem in problems:
            click.echo(f"{problem.level:4}  {problem.about}")
            if problem.fix:
                click.echo(f"      Write: {problem.fix}")
    if any(problem.level == "FAIL" for problem in problems):
        raise SystemExit(1)
