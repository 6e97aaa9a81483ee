"""Authorization: the order of checks on an authorization request, and the response.

RFC 6749 4.1.1 and 4.1.2. The features that answer at the endpoint decide what to ask the user.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response

from ..errors import InvalidClientError, InvalidRequestError, OAuth2Error
from ..models import standing
from ..models.client import Client
from ..pages.policy import allow_here
from ..protocol.contract import Server
from ..protocol.error_response import described
from ..protocol.request import Request
from ..protocol.state import request_state
from ..wire.handle import is_client_id
from ..wire.redirect_uri import origin_of
from .login import end_session_of_another

_MAX_STATE = 2048


def check(server: Server, request: Request) -> Any:
    """Validate an authorization request and return its grant.

    This is the only place that validates one. Raises `OAuth2Error`: send it to the client if
    `request.valid_redirect_uri` is set, otherwise show it to the user.
    """
    request.payload.check("client_id", "redirect_uri")
    if request.user is not None:
        # The host app may not have reported that another user signed in.
        end_session_of_another(server, request.user)
    # The page needs it even if the parameters are not in its URL but put aside or pushed.
    request_state().ui_locales = request.payload.data.get("ui_locales")
    request.client = client = _find_client(server, request)
    _check_state(request)
    request.valid_redirect_uri = client.resolve_redirect_uri(request.payload.redirect_uri)
    # From here on, errors go to the client.
    _check_payload(server, request, client, request.valid_redirect_uri)
    # Before the scopes are read: the scopes of a request without any depend on this hook.
    server.hooks.complete_authorization_request(server, request)
    # This checks the response type, the scopes and PKCE.
    grant = server.get_consent_grant(request, end_user=request.user)
    server.hooks.check_authorization_request(server, request)
    return grant


def _find_client(server: Server, request: Request) -> Client:
    client_id = request.payload.client_id
    if not client_id:
        raise InvalidRequestError("client_id is missing.")
    if request.user is not None and is_client_id(client_id):
        read_consents(server, request, client_id)
    client = server.find_client(client_id)
    if client is None:
        raise InvalidClientError(
            "No app is registered here under this client_id. If it once was: remove the "
            "connection in the app and add it again."
        )
    if client.suspended:
        raise InvalidClientError("The operator of this server has suspended this app.")
    return client


def read_consents(server: Server, request: Request, client_id: str) -> None:
    """Read what the user of `request` granted to the client, with the client itself."""
    login = request.login(server.users)
    facts = {"client_id": client_id, "subject": login.subject, "sid": login.sid}
    client, request.consents = server.store.read(
        lambda connection: standing.read(connection, **facts, now=server.now())
    )
    request_state().read_clients[client_id] = client


def _check_state(request: Request) -> None:
    if len(request.payload.state or "") > _MAX_STATE:
        # Shown to the user, since a `state` this long cannot be sent back unchanged.
        raise InvalidRequestError(f"state has at most {_MAX_STATE} characters.")


def _check_payload(server: Server, request: Request, client: Client, uri: str) -> None:
    """Refuse malformed parameters, using the requested response mode if that is usable."""
    name = request.payload.data.get("response_mode", "query")
    mode = server.response_modes.get(name)
    fits = mode is not None and mode.fits(client, uri)
    if fits:
        request.response_mode = name
    request.payload.check()
    if mode is None:
        raise InvalidRequestError("response_mode has a value that this server does not know.")
    if not fits:
        raise InvalidRequestError("This response_mode needs another kind of redirect URI.")


def respond(server: Server, request: Request, grant: Any, user: Any) -> Response:
    """Issue a code for `user`, or answer access_denied if `user` is None.

    This does not call Authlib's method, which would validate the request again. `check` has
    validated it in the same HTTP request, and the grant refuses to issue without that.
    """
    try:
        params = grant.create_authorization_response(request.valid_redirect_uri, user)
    except OAuth2Error as error:
        return send_back_error(server, request, error)
    return send_back(server, request, params)


def send_back_error(server: Server, request: Request, error: OAuth2Error) -> Response:
    """Send `error` to the client through the browser (RFC 6749 4.1.2.1)."""
    request_state().error = error
    params = {"error": error.error, "error_description": described(error)}
    return send_back(server, request, params)


def send_back(server: Server, request: Request, params: Mapping[str, str]) -> Response:
    """Send the browser back to the client; no other function does.

    Adds the unchanged `state` (RFC 6749 4.1.2) and `iss` (RFC 9207 2) to the redirect URI,
    which stays byte for byte as it is.
    """
    if request.valid_redirect_uri is None:
        raise AssertionError("a redirect URI that was not validated")
    fields = dict(params)
    if request.payload.state:
        fields["state"] = request.payload.state
    fields["iss"] = server.issuer
    origin = origin_of(request.valid_redirect_uri)
    if origin is not None and "none" in request.payload.data.get("prompt", "").split():
        # A client may load a prompt=none request in a frame of its own page.
        allow_here(frame_ancestors=origin)
    mode = server.response_modes[request.response_mode]
    return mode.send(request.valid_redirect_uri, fields)
