"""Request: what a device asks for, checked when it starts and again for its user."""

from __future__ import annotations

from ...errors import ConsentRequiredError
from ...protocol.contract import Server
from ...protocol.request import Request


def check_request(server: Server, request: Request) -> None:
    """Check what a device asks for; its client is known, its user only after the first check.

    The same request is checked when the device starts, when its code is typed and when the
    user decides, so that each parameter means what it means in a browser. Raises an
    `OAuth2Error`.
    """
    request.on_device = True
    server.hooks.complete_authorization_request(server, request)
    request.scopes = server.scopes.asked_by(
        request.client, request.payload.scope, request.payload.datalist.get("resource", [])
    )
    server.hooks.check_authorization_request(server, request)
    if request.must_not_ask:
        # prompt=none cannot be met: the user of a device always has to be asked.
        raise ConsentRequiredError()
