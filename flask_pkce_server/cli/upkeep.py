"""Commands: `flask pkce prune` and `flask pkce doctor`."""

from __future__ import annotations

import time
from collections import Counter, deque

import click
from flask.cli import with_appcontext

from ..models import guess
from ..models.pruning import BATCH, Prunable
from ..protocol.contract import current_server
from ..signals import rows_pruned, tell
from .doctor import problems_of_host
from .output import ReadableErrors, as_json_option, print_json


@click.command("prune")
@click.option("--limit", type=click.IntRange(1), help="Delete this many rows at most.")
@click.option(
    "--sleep",
    type=click.FloatRange(0),
    default=0.05,
    show_default=True,
    metavar="SECONDS",
    help="Wait after each batch, so that others are not slowed down.",
)
@with_appcontext
@as_json_option
def prune(limit: int | None, sleep: float, as_json: bool) -> None:
    """Delete expired rows, and keys and codes that nothing depends on any more."""
    server = current_server
    limits = ("limits", guess.expired(server.now()))
    with ReadableErrors():
        deleted, is_complete = _prune([*server.hooks.prune(server), limits], limit, sleep)
    tell(rows_pruned, server.app, deleted=dict(deleted))
    if as_json:
        print_json({"deleted": deleted, "complete": is_complete})
    else:
        parts = [f"{name} {number}" for name, number in deleted.items() if number]
        click.echo(f"Rows deleted: {', '.join(parts) or 'none'}.")
        if not is_complete:
            click.echo("The limit is reached, and more rows may have expired.")


def _prune(
    prunables: list[tuple[str, Prunable]], limit: int | None, sleep: float
) -> tuple[Counter[str], bool]:
    """Delete up to `limit` rows, one batch of each kind in turn, with pauses of `sleep` seconds.

    Return how many by name, and whether nothing is left.
    """
    store, waiting = current_server.store, deque(prunables)
    deleted = Counter({name: 0 for name, _ in prunables})
    while waiting and (limit is None or deleted.total() < limit):
        name, rows = waiting.popleft()
        size = BATCH if limit is None else min(limit - deleted.total(), BATCH)
        deleted[name] += rows.delete_some(store, size)
        if not rows.is_done:
            waiting.append((name, rows))
            time.sleep(sleep)
    for _, rows in waiting:
        rows.delete_some(store, 0)
    return deleted, all(rows.is_done for _, rows in waiting)


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
