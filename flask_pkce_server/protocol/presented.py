"""Presented: reads the token that a request is about and the client that sends it at once."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import OAuth2Error
from ..models.token import PRESENTED_TOKEN
from ..wire.handle import digest, is_client_id, is_handle
from .client_authentication import credentials_of
from .contract import Server
from .feature import ClientAuthMethod
from .request import Request
from .state import request_state


def read_presented(
    server: Server, request: Request, methods: Mapping[str, ClientAuthMethod], *, may_lag: bool
) -> None:
    """Read the `token` of a request and its client with one statement, for `find_token`.

    With `may_lag`, they may be as they were some seconds ago (`PKCE_READ_ENGINE_URI`). Nothing is
    judged here: what is missing or malformed, the endpoint finds by itself.
    """
    text = request.form.get("token", "")
    try:
        request.check_form()
        caller = credentials_of(request, methods).client_id
    except OAuth2Error:
        return
    if not is_handle(text) or not is_client_id(caller):
        return
    token = server.store.find(PRESENTED_TOKEN, may_lag=may_lag, digest=digest(text), caller=caller)
    if token is None:
        return
    state = request_state()
    state.read_tokens[text] = token
    for client in (token.grant.client, token.caller):
        if client is not None:
            state.read_clients[client.client_id] = client
