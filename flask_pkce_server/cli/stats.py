"""Command: `flask pkce stats`."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import with_appcontext
from sqlalchemy.orm import Session

from ..models import statistics
from ..protocol.contract import Server, current_server
from .output import ReadableErrors, as_json_option, print_json, print_lines

_UNITS = (("days", 86400), ("hours", 3600), ("minutes", 60))


@click.command("stats")
@with_appcontext
@as_json_option
def stats(as_json: bool) -> None:
    """Count clients, grants, tokens and codes; show keys, sizes and what waits for prune.

    Large tables are sampled, not read as a whole: what is then printed with "about" may be off
    by a few percent, and rare things by more.
    """
    server = current_server
    with ReadableErrors():
        with server.store.reading() as session:
            found = _counts(session, server)
        found["keys"] = _keys(server)
    if as_json:
        print_json(found)
        return
    print_lines(_sentences(found))
    for key in found["keys"]:
        age = _time(key["age_seconds"])
        click.echo(f"{'signing key':28}{key['kid']}  {key['alg']:6} {key['state']:8} {age} old")


def _counts(session: Session, server: Server) -> dict[str, Any]:
    now = server.now()
    bind = session.get_bind()
    of_grants, grants = statistics.count_grants(session, now)
    of_tokens, tokens = statistics.count_tokens(session, now)
    return {
        "database": {
            "name": bind.dialect.name,
            "bytes": statistics.size_in_bytes(session),
        },
        "clients": statistics.count_clients(session),
        "grants": {**grants, "sampled": of_grants.share},
        "tokens": {**tokens, "sampled": of_tokens.share},
        "codes": statistics.count_codes(session, now),
        "prune": {"overdue_seconds": statistics.overdue(session, now)},
    }


def _keys(server: Server) -> list[dict[str, Any]]:
    now = server.now()
    return [
        {
            "kid": key.kid,
            "alg": key.algorithm,
            "state": state,
            "age_seconds": max(0, now - key.issued_at),
        }
        for key, state in server.keys.listed()
    ]


def _sentences(found: dict[str, Any]) -> dict[str, str]:
    """Return what was `found` as text, by its name."""
    database, clients, codes = found["database"], found["clients"], found["codes"]
    size, overdue = database["bytes"], found["prune"]["overdue_seconds"]
    grants, tokens = _numbers(found["grants"]), _numbers(found["tokens"])
    return {
        "database": database["name"] + ("" if size is None else f", {size / 2**20:,.1f} MiB"),
        "clients": f"{clients['registered_by_operator']:,} registered by an operator, "
        f"{clients['self_registered']:,} self-registered, {clients['described']:,} described",
        "grants in use": f"{grants['in_use']}, of {grants['users']} users",
        "tokens alive": f"{tokens['access_alive']} access, {tokens['refresh_alive']} refresh",
        "tokens issued": f"{tokens['issued_last_hour']} in the last hour, "
        f"{tokens['issued_last_day']} in the last day, of {tokens['stored']} stored",
        "codes waiting": f"{codes['authorization_codes']:,} authorization codes, "
        f"{codes['device_codes']:,} device codes",
        "expired tokens": f"the oldest has waited for prune for {_time(overdue)}"
        if overdue
        else "none",
    }


def _numbers(part: dict[str, Any]) -> dict[str, str]:
    """Return the numbers of `part` as text; those of a sample are rounded and say so."""
    if part["sampled"] == 1:
        return {name: f"{value:,}" for name, value in part.items()}
    return {name: f"about {float(f'{value:.2g}'):,.0f}" for name, value in part.items()}


def _time(seconds: int) -> str:
    """Return `seconds` as text, in the largest unit of which there are two or more."""
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} seconds"
