"""Telemetry: traces and metrics of the endpoints, through OpenTelemetry (no RFC).

Off until the host switches it on. Without that, OpenTelemetry is not even imported, and the
views are not wrapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from flask import Response

from ...errors import ConfigurationError
from ...protocol.contract import Server
from ...protocol.declarations import Route
from ...protocol.feature import Feature, Listener
from ...protocol.request import Request


class TelemetryFeature(Feature):
    """Spans and metrics that tell operators what the server does, and how long it takes."""

    name = "telemetry"
    opt_in = True

    def check_settings(self, server: Server) -> None:
        try:
            from . import fetches, pruning
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "opentelemetry":
                raise
            raise ConfigurationError(
                "The feature telemetry needs OpenTelemetry, which is not installed.",
                write='pip install "Flask-PKCE-Server[otel]"',
            ) from None
        server.fetcher = fetches.timed(server.fetcher)
        pruning.measure_lag(server)

    def wrap_view(
        self, server: Server, route: Route, view: Callable[..., Response]
    ) -> Callable[..., Response]:
        from . import view as views

        return views.measured(server, route, view)

    def translate_request(self, server: Server, request: Request) -> None:
        from . import view as views

        views.note(request)

    def listeners(self, server: Server) -> Iterable[Listener]:
        from . import misuse, pruning

        yield from misuse.LISTENERS
        yield from pruning.LISTENERS
