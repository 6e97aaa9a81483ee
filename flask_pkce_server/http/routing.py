"""Mounting: where the routes of the rooms lie in the app."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import flask
from flask import Response

from ..errors import ConfigurationError
from ..protocol.server import Server
from .endpoint import behind_door

_VARIABLE = re.compile(r"<[^>]*>")
_STATIC = Path(__file__).parent.parent / "pages" / "static" / "pkce"


def mount(server: Server, prefix: str) -> None:
    """Add the routes of all rooms and their aliases: below `prefix` or at the root.

    An issuer with a path names its endpoints below that path. A proxy may take the path
    away before the app sees it, or may not: the routes are there in both cases.
    """
    moved = server.settings.endpoints
    written = {f'PKCE_ENDPOINTS["{name}"]': path for name, path in moved.items()}
    for key, path in {"PKCE_URL_PREFIX": prefix or "/-", **written}.items():
        if not path.startswith("/") or path.endswith("/"):
            raise ConfigurationError(
                f"{key} is {path!r}, and a path starts with a slash and does not end with one.",
                write=f"/{path.strip('/')}",
            )
    for route in (route for feature in server.features for route in feature.routes(server)):
        usual = route.path if route.at_root else prefix + route.path
        path = moved.get(route.name, usual)
        if _VARIABLE.findall(path) != _VARIABLE.findall(usual):
            raise ConfigurationError(
                f'PKCE_ENDPOINTS["{route.name}"] is {path!r}, and has other variables in it than '
                "its view takes.",
                write=f"{path} with the variables of {usual}",
            )
        server.routes[route.name], server.paths[route.name] = route, path
        _add_rules(server, path, route.name, behind_door(route))
    mount_aliases(server)
    for name in moved.keys() - server.routes.keys():
        raise ConfigurationError(
            f'PKCE_ENDPOINTS names "{name}", and there is no such endpoint.',
            write=f"one of: {', '.join(sorted(server.routes))}",
        )
    server.app.add_url_rule(f"{prefix}/static/<path:filename>", "pkce.static", _static_file)


def mount_aliases(server: Server) -> None:
    """Mount the further paths that rooms want for routes, as far as they are not yet."""
    for feature in server.features:
        for path, name in feature.aliases(server).items():
            if name in server.routes and path != server.paths[name]:
                known = {rule.rule for rule in server.app.url_map.iter_rules(f"pkce.{name}")}
                if path not in known:
                    _add_rules(server, path, name)


def _add_rules(
    server: Server, path: str, name: str, view: Callable[..., Response] | None = None
) -> None:
    """Route `path` to the view of a name, below the path of the issuer too."""
    issuer_path = urlsplit(server.issuer).path.rstrip("/")
    for mounted in dict.fromkeys((path, issuer_path + path)):
        server.app.add_url_rule(
            mounted,
            f"pkce.{name}",
            view,
            # All of them: a wrong method is answered behind the door, in its manners.
            methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
            provide_automatic_options=False,
            strict_slashes=False,
        )


def _static_file(filename: str) -> Response:
    return flask.send_from_directory(_STATIC, filename, max_age=3600)
