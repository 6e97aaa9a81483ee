"""Routing: mounts the routes of the features in the app."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import flask
from flask import Response

from ..errors import ConfigurationError
from ..protocol.server import FeatureServer
from .body import bound
from .endpoint import answer

_VARIABLE = re.compile(r"<[^>]*>")
_STATIC = Path(__file__).parent.parent / "pages" / "static" / "pkce"


def mount(server: FeatureServer, prefix: str) -> None:
    """Add the routes of all features and their aliases, below `prefix` or at the root.

    The endpoints of an issuer with a path are below that path. A proxy may strip the path or
    pass it on to the app; the routes work in both cases. Raises `ConfigurationError`.
    """
    moved = server.settings.endpoints
    settings = {f'PKCE_ENDPOINTS["{name}"]': path for name, path in moved.items()}
    for key, path in {"PKCE_URL_PREFIX": prefix or "/-", **settings}.items():
        if not path.startswith("/") or path.endswith("/"):
            raise ConfigurationError(
                f"{key} is {path!r}, and a path starts with a slash and does not end with one.",
                write=f"/{path.strip('/')}",
            )
    for route in server.hooks.routes(server).values():
        default = route.path if route.at_root else prefix + route.path
        path = moved.get(route.name, default)
        if _VARIABLE.findall(path) != _VARIABLE.findall(default):
            raise ConfigurationError(
                f'PKCE_ENDPOINTS["{route.name}"] is {path!r}, and has other variables in it than '
                "its view takes.",
                write=f"{path} with the variables of {default}",
            )
        server.routes[f"pkce.{route.name}"], server.paths[route.name] = route, path
        view = server.hooks.wrap_view(server, route, answer(route))
        _add_rules(server, path, route.name, view)
    mount_aliases(server)
    for name in moved.keys() - server.paths.keys():
        raise ConfigurationError(
            f'PKCE_ENDPOINTS names "{name}", and there is no such endpoint.',
            write=f"one of: {', '.join(sorted(server.paths))}",
        )
    # Only for our endpoints: views of the host don't pay for it.
    server.app.url_value_preprocessors.setdefault("pkce", []).append(bound)
    static = f"{prefix}/static/<path:filename>"
    server.app.add_url_rule(static, "pkce.static", _static_file, merge_slashes=False)


def mount_aliases(server: FeatureServer) -> None:
    """Mount the aliases of all features that are not mounted yet."""
    for path, name in server.hooks.aliases(server):
        # The default equals `path`: an alias of a route that does not exist is skipped.
        if path != server.paths.get(name, path):
            mounted = {rule.rule for rule in server.app.url_map.iter_rules(f"pkce.{name}")}
            if path not in mounted:
                _add_rules(server, path, name)


def _add_rules(
    server: FeatureServer, path: str, name: str, view: Callable[..., Response] | None = None
) -> None:
    """Route `path` to the endpoint `name`, and the same path below the issuer's path."""
    for mounted in dict.fromkeys((path, server.issuer.path + path)):
        server.app.add_url_rule(
            mounted,
            f"pkce.{name}",
            view,
            # All methods, so that we answer a wrong method too, in the way of the route.
            methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
            provide_automatic_options=False,
            strict_slashes=False,
            # Werkzeug would redirect `/oauth//token` to a URL made from the Host header.
            merge_slashes=False,
        )


def _static_file(filename: str) -> Response:
    return flask.send_from_directory(_STATIC, filename, max_age=3600)
