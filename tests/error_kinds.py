"""The OAuth errors of the package, those that live with a feature included."""

from __future__ import annotations

from authlib.oauth2.base import OAuth2Error

import flask_pkce_server.features  # noqa: F401 - loads every feature, and so its errors
from flask_pkce_server import errors


def _below(base: type[OAuth2Error]) -> list[type[OAuth2Error]]:
    kinds = base.__subclasses__()
    return [*kinds, *(deeper for kind in kinds for deeper in _below(kind))]


_shared = {getattr(errors, name) for name in errors.__all__ if name != "ConfigurationError"}
_own = {kind for kind in _below(OAuth2Error) if kind.__module__.startswith("flask_pkce_server")}
ERROR_KINDS = sorted(_shared | _own, key=lambda kind: kind.__name__)
