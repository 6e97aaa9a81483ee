"""Request: what a device asks for, checked when it starts and again for its user."""

from __future__ import annotations

from ...errors import ConsentRequiredError, InvalidRequestError
from ...protocol.contract import Server
from ...protocol.request import Request

#: Client authentication, user code and code_challenge: the user does not decide on these.
_NOT_KEPT = {
    "client_id", "client_secret", "client_assertion", "client_assertion_type", "user_code",
    "code_challenge", "code_challenge_method",
}  # fmt: skip


_MAX_PARAMETER_CHARACTERS = 4000


def parameters_of(request: Request) -> dict[str, list[str]]:
    """Return the parameters of a device's request that are kept until its user has decided.

    Raises `InvalidRequestError` if they are too long.
    """
    kept = {
        name: values for name, values in request.payload.datalist.items() if name not in _NOT_KEPT
    }
    if sum(len(text) for name, values in kept.items() for text in (name, *values)) > (
        _MAX_PARAMETER_CHARACTERS
    ):
        raise InvalidRequestError(
            f"The request of a device has at most {_MAX_PARAMETER_CHARACTERS} characters."
        )
    return kept


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
