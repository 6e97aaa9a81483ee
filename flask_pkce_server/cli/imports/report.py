"""Report: what an import did, or would do, as text or as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import click

from ..output import print_json
from .imported import Loss, counted
from .takeover import Takeover

_MAX_LINE = 300


@dataclass(frozen=True)
class Report:
    """The outcome for every client of an export."""

    product: str
    dry_run: bool
    takeovers: tuple[Takeover, ...]
    #: Losses that belong to no client.
    losses: tuple[Loss, ...]

    @property
    def warnings(self) -> list[str]:
        """The warnings that apply to all imported clients together."""
        clients = [taken.client for taken in self.takeovers if taken.client is not None]
        if any(client.check_grant_type("authorization_code") for client in clients):
            return ["PKCE with S256 is required of all clients, including confidential ones."]
        return []

    def print_json(self) -> None:
        """Print the report as JSON."""
        print_json(
            {
                "from": self.product,
                "dry_run": self.dry_run,
                "clients": [_as_json(taken) for taken in self.takeovers],
                "not_carried": _losses_as_json(self.losses),
                "warnings": self.warnings,
            }
        )

    def print_lines(self) -> None:
        """Print the report as text."""
        for taken in self.takeovers:
            _print_client(taken)
        for loss in self.losses:
            _print_line(f"Not carried: {loss.what}. {loss.why}")
        for warning in self.warnings:
            _print_line(f"Warning: {warning}")
        count = Counter(taken.outcome for taken in self.takeovers)
        consents = sum(len(taken.consents) for taken in self.takeovers)
        click.echo(
            f"{count['imported']} imported, {count['left alone']} left alone, "
            f"{count['left out']} left out; {counted(consents, 'consent')}."
        )
        if self.dry_run:
            click.echo("Dry run: nothing was stored.")


def _print_client(taken: Takeover) -> None:
    title = f"{taken.client_id}: {taken.outcome}"
    _print_line(f"{title}. {taken.why}" if taken.why else title)
    for name, value in _carried(taken).items():
        if value in (None, [], False, ""):
            continue
        text = " ".join(value) if isinstance(value, list) else value
        _print_line(f"  {name:28}{'yes' if value is True else text}")
    for loss in taken.losses:
        _print_line(f"  Not carried: {loss.what}. {loss.why}")
    for warning in taken.warnings:
        _print_line(f"  Warning: {warning}")
    click.echo()


def _carried(taken: Takeover) -> dict[str, Any]:
    """Return what is stored of a client; nothing if the client is not imported."""
    if taken.client is None:
        return {}
    carried = taken.client.as_json()
    for made_here in ("client_id", "client_id_issued_at"):
        del carried[made_here]
    scope = carried["scope"]
    return {
        **carried,
        "scope": "all that is declared" if scope is None else scope,
        "secret": taken.secret,
        "consents": len(taken.consents),
    }


def _as_json(taken: Takeover) -> dict[str, Any]:
    return {
        "client_id": taken.client_id,
        "client_name": taken.client_name,
        "outcome": taken.outcome,
        "why": taken.why,
        "carried": _carried(taken),
        "not_carried": _losses_as_json(taken.losses),
        "warnings": taken.warnings,
    }


def _losses_as_json(losses: Iterable[Loss]) -> list[dict[str, str]]:
    return [{"what": loss.what, "why": loss.why} for loss in losses]


def _print_line(text: str) -> None:
    """Print a line of untrusted text: shortened, with unprintable characters escaped."""
    plain = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    click.echo(plain if len(plain) <= _MAX_LINE else f"{plain[:_MAX_LINE]}...")
