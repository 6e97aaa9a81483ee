"""Token: the endpoint where a client exchanges a grant for tokens (RFC 6749 3.2).

Each grant is a separate feature. This feature has the endpoint, and the two client
authentication methods with a secret (RFC 6749 2.3.1): `client_secret_basic` in a header and
`client_secret_post` in the body.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from flask import Response

from ..errors import InvalidClientError
from ..models import login_session
from ..models import token as tokens
from ..models.pruning import Prunable
from ..protocol.contract import Server
from ..protocol.declarations import Route
from ..protocol.feature import ClientAuthMethod, Feature
from ..protocol.request import Request


class TokenFeature(Feature):
    """RFC 6749 3.2: the token endpoint."""

    name = "token"
    core = True

    def client_auth_methods(self, server: Server) -> Iterable[ClientAuthMethod]:
        yield ClientAuthMethod("client_secret_basic", read_basic)
        yield ClientAuthMethod("client_secret_post", read_post)

    def prune(self, server: Server) -> Iterable[Prunable]:
        yield from tokens.expired(server.now())
        yield login_session.expired(server.now())

    def routes(self, server: Server) -> Iterable[Route]:
        yield Route("token", "/token", token, ("POST",), "endpoint")

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {
            "token_endpoint": server.url_of("token"),
            "token_endpoint_auth_methods_supported": server.registrar.auth_methods,
            "grant_types_supported": server.registrar.grant_types,
        }


def token(server: Server) -> Response:
    """Respond to a token request."""
    return server.create_token_response()


def read_basic(request: Request) -> tuple[str, str] | None:
    """Return the client_id and the secret of a Basic header, or None if there is none.

    Both are form-encoded (RFC 6749 2.3.1). Raises `InvalidClientError` if they are malformed.
    """
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidClientError("The Basic credentials cannot be read.") from None
    client_id, _, secret = (unquote_plus(half) for half in text.partition(":"))
    if not client_id or not (client_id + secret).isprintable():
        raise InvalidClientError("The Basic credentials cannot be read.")
    return client_id, secret


def read_post(request: Request) -> tuple[str, str] | None:
    """Return the client_id and the secret of the body, or None if it has no secret."""
    form = request.form
    return (form.get("client_id", ""), form["client_secret"]) if "client_secret" in form else None
