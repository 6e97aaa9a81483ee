"""First request: what can be judged only once the host app is complete."""

from __future__ import annotations

from flask import Flask, request_started

from ..protocol.server import FeatureServer
from ..resource_server.guards import note_app, refuse_open_views
from .csrf import spare_requests_without_session


def await_first_request(server: FeatureServer) -> None:
    """Have the views of the app looked at when its first request comes.

    If a view is registered without its guard, that request and all others fail with
    `ConfigurationError`.
    """

    def look(app: Flask) -> None:
        refuse_open_views(app)
        spare_requests_without_session(server)
        request_started.disconnect(look, app)

    note_app(server.app)
    request_started.connect(look, server.app)
    server.keep(look)
