"""Challenge: the response to a request without a valid token (RFC 6750 3, RFC 9728 5)."""

from __future__ import annotations

import flask
from authlib.oauth2.rfc6749.errors import MissingAuthorizationError, UnsupportedTokenTypeError
from flask import Response

from ..errors import InsufficientScopeError, OAuth2Error
from ..protocol.contract import current_server
from ..protocol.resources import Resource
from ..protocol.state import request_state


def challenge(
    error: OAuth2Error, scopes: tuple[str, ...], resource: Resource | None = None
) -> Response:
    """Return the 401 or 403 response with a WWW-Authenticate header (RFC 6750 3).

    Without a token the header has no error code, since the client has done nothing wrong
    (RFC 6750 3.1). The description comes last, because client SDKs look for `scope=` with a
    regular expression. For a resource, the header has the URL of its metadata (RFC 9728 5.1).
    """
    request_state().error = error
    is_missing = isinstance(error, MissingAuthorizationError | UnsupportedTokenTypeError)
    fields = {} if is_missing else {"error": error.error}
    # All scopes that the request needs: some clients forget the scopes they had.
    needed = " ".join((*(resource.required if resource else ()), *scopes)).split()
    if needed:
        fields["scope"] = " ".join(dict.fromkeys(needed))
    metadata = None if resource is None else current_server.metadata_url_of(resource)
    if metadata is not None:
        location = {"resource_metadata": metadata}
        fields = {**location, **fields} if is_missing else {**fields, **location}
    if not is_missing:
        fields["error_description"] = error.description
    # RFC 7235 2.1: a challenge needs more than the scheme.
    fields = fields or {"realm": current_server.issuer}
    response = flask.jsonify(
        error="invalid_request" if is_missing else error.error,
        error_description="Send an access token as Authorization: Bearer."
        if is_missing
        else error.description,
    )
    response.status_code = 403 if isinstance(error, InsufficientScopeError) else 401
    response.headers["WWW-Authenticate"] = "Bearer " + ", ".join(
        f'{name}="{value}"' for name, value in fields.items()
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
