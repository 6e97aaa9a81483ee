"""Pruning: measures how far `flask pkce prune` lags behind, and counts what it deletes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakSet

from flask import Flask
from opentelemetry.metrics import CallbackOptions, Observation
from sqlalchemy.exc import SQLAlchemyError

from ...models import statistics
from ...protocol.contract import Server
from ...signals import rows_pruned
from . import instruments

_servers: WeakSet[Any] = WeakSet()


def measure_lag(server: Server) -> None:
    """Measure the lag of `server` whenever metrics are collected."""
    _servers.add(server)


def _lag(options: CallbackOptions) -> Iterable[Observation]:
    """Return how many seconds ago the oldest row expired that is still there."""
    servers: list[Server] = list(_servers)
    lags = [lag for lag in map(_lag_of, servers) if lag is not None]
    return [Observation(max(lags))] if lags else []


def _lag_of(server: Server) -> int | None:
    """Return the lag of one server; None if the database does not say."""
    try:
        # The metrics are collected by a thread of their own.
        with server.app.app_context(), server.store.reading() as session:
            return statistics.overdue(session, server.now())
    except SQLAlchemyError:
        return None


def _count(app: Flask, deleted: Mapping[str, int]) -> None:
    for feature, number in deleted.items():
        instruments.pruned.add(number, {instruments.FEATURE: feature})


instruments.meter.create_observable_gauge(
    "pkce.prune.lag", [_lag], "s", "Seconds since the oldest token expired that is still stored."
)

LISTENERS = ((rows_pruned, _count),)
