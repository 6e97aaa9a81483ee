"""Challenge: what a client is told without a good token (RFC 6750 3, RFC 9728 5)."""

from __future__ import annotations

import flask
from authlib.oauth2.rfc6749.errors import MissingAuthorizationError, UnsupportedTokenTypeError
from flask import Response

from ..errors import InsufficientScopeError, OAuth2Error
from ..protocol.contract import current_server
from ..protocol.resources import Resource


def challenge(
    error: OAuth2Error, scopes: tuple[str, ...], resource: Resource | None = None
) -> Response:
    """Return the 401 or 403 that tells a client what is missing (RFC 6750 3).

    Without a token there is no error code, since the client has done nothing wrong
    (RFC 6750 3.1). The description comes last: client SDKs look for `scope=` with a
    regular expression. One of a resource says where its metadata is (RFC 9728 5.1).
    """
    missing = isinstance(error, MissingAuthorizationError | UnsupportedTokenTypeError)
    fields = {} if missing else {"error": error.error}
    # All that the call needs: some clients forget what they had.
    needed = " ".join((*(resource.required if resource else ()), *scopes)).split()
    if needed:
        fields["scope"] = " ".join(dict.fromkeys(needed))
    metadata = None if resource is None else current_server.metadata_url_of(resource)
    if metadata is not None:
        where = {"resource_metadata": metadata}
        fields = {**where, **fields} if missing else {**fields, **where}
    if not missing:
        fields["error_description"] = error.description
    # RFC 7235 2.1: a scheme alone is no challenge.
    fields = fields or {"realm": current_server.issuer}
    response = flask.jsonify(
        error="invalid_request" if missing else error.error,
        error_description="Send an access token as Authorization: Bearer."
        if missing
        else error.description,
    )
    response.status_code = 403 if isinstance(error, InsufficientScopeError) else 401
    response.headers["WWW-Authenticate"] = "Bearer " + ", ".join(
        f'{name}="{value}"' for name, value in fields.items()
    )
    response.headers["Cache-Control"] = "no-store"
    return response
