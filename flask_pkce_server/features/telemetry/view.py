"""View: measures each request to an endpoint, in a span of its own.

Nothing that a stranger chose gets into an attribute, and nothing secret: no token, code, user
or URL. Exceptions are not recorded, since their texts may contain values.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import flask
from flask import Response
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode

from ...protocol.contract import Server
from ...protocol.declarations import Route
from ...protocol.request import Request
from ...protocol.state import request_state
from . import instruments
from .instruments import CLIENT, ENDPOINT, ERROR, GRANT_TYPE, STATUS


@dataclass
class _Call:
    """One call of a view."""

    #: What the view made of the request, translated from the words of other products.
    request: Request | None = None


_call: ContextVar[_Call | None] = ContextVar("pkce_telemetry_call", default=None)


def note(request: Request) -> None:
    """Note the `request` that the current view handles."""
    call = _call.get()
    if call is not None:
        call.request = request


def measured(
    server: Server, route: Route, view: Callable[..., Response]
) -> Callable[..., Response]:
    """Return a view that calls `view` in a span and counts what it answers."""
    name = f"pkce.{route.name}"

    @functools.wraps(view)
    def measuring(**values: Any) -> Response:
        if flask.request.method == "OPTIONS":
            return view(**values)
        has_parent = trace.get_current_span().get_span_context().is_valid
        kind = SpanKind.INTERNAL if has_parent else SpanKind.SERVER
        call, response, started = _Call(), None, time.perf_counter()
        restore = _call.set(call)
        try:
            with instruments.tracer.start_as_current_span(
                name, kind=kind, record_exception=False, set_status_on_exception=False
            ) as span:
                try:
                    response = view(**values)
                finally:
                    _report(server, route, call, response, span, time.perf_counter() - started)
        finally:
            _call.reset(restore)
        return response

    return measuring


def _report(
    server: Server,
    route: Route,
    call: _Call,
    response: Response | None,
    span: Span,
    seconds: float,
) -> None:
    """Count a call and describe it in `span`; without a `response`, it raised in debug mode."""
    state = request_state()
    facts: dict[str, str] = {ENDPOINT: route.name}
    if route.name == "token" and call.request is not None:
        asked = call.request.payload.grant_type
        if asked:
            facts[GRANT_TYPE] = asked if asked in server.registrar.grant_types else "other"
    status = 500 if response is None else response.status_code
    if state.error is not None:
        facts[ERROR] = state.error.error
    elif status >= 400:
        facts[ERROR] = "server_error" if status >= 500 else str(status)
    instruments.endpoint_duration.record(seconds, facts)
    # While a token is judged, `state` has the client that the token is of.
    client = (call.request and call.request.authenticated) or state.client
    if client is not None:
        # A new one: some SDKs keep what they were given.
        facts = {**facts, CLIENT: instruments.label_of(client)}
    if ERROR in facts:
        instruments.refused.add(1, facts)
    elif route.name == "token":
        instruments.issued.add(1, facts)
    if span.is_recording():
        span.set_attributes({**facts, STATUS: status})
        if status >= 500:
            span.set_status(StatusCode.ERROR)
