"""PAR: a client pushes its authorization request to the server (RFC 9126).

The browser then carries a reference instead of the request: nobody can read or change the
request there, and it may be long. A reference is valid for `PKCE_PAR_LIFETIME` seconds and for
its client only, and is used up when a code is issued for it. A user who has to sign in first
has more time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import flask
from flask import Response
from sqlalchemy import delete
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..errors import InvalidRequestError, OAuth2Error
from ..http.rate_limit import RateLimit
from ..interaction import authorization
from ..models.base import Base, Digest, EpochSeconds, Identifier, changed_rows
from ..models.pruning import Expired, Prunable
from ..protocol.contract import Server
from ..protocol.declarations import Route
from ..protocol.feature import EVERYBODY, ClientField, Feature
from ..protocol.request import Payload, Request
from ..wire.handle import digest, is_handle, new_handle

#: Rate limit of public clients, whose client_id anybody can use; others have no limit.
PUSHES = RateLimit("pushed_authorization_request", 100)

_HANDLE = "fpk_pr_"
_REFERENCE = "urn:ietf:params:oauth:request_uri:"
_MAX_CHARACTERS = 16384
#: Parameters with client credentials, which are not needed later and so not stored.
_CREDENTIALS = {"client_secret", "client_assertion", "client_assertion_type"}


class InvalidRequestUriError(OAuth2Error):
    """RFC 9101 7: the request_uri does not refer to a valid request."""

    error = "invalid_request_uri"
    description = "The request_uri is unknown, expired, used, or another client's. Start again."


class RequestTooLarge(InvalidRequestError):
    """RFC 9126 2.3: the pushed request is larger than the server accepts."""

    description = f"A pushed request has at most {_MAX_CHARACTERS} characters."
    status_code = 413


class PushedRequest(Base):
    """The parameters of a pushed authorization request that is not used up yet."""

    __tablename__ = "pkce_pushed_request"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    client_id: Mapped[str] = mapped_column(Identifier, index=True)
    parameters: Mapped[dict[str, Any]]
    #: Epoch seconds by which the browser must bring it; the user may then still sign in.
    expires_at: Mapped[int] = mapped_column(EpochSeconds, index=True)


class ParFeature(Feature):
    """RFC 9126: pushed authorization requests."""

    name = "par"
    models = (PushedRequest,)
    client_fields = (
        ClientField(
            "require_pushed_authorization_requests",
            "Whether it always pushes its authorization requests; others are refused then.",
            kind=bool,
            said_by=EVERYBODY,
        ),
    )

    def routes(self, server: Server) -> Iterable[Route]:
        yield Route("par", "/par", push, ("POST",), "endpoint")

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {
            "pushed_authorization_request_endpoint": server.url_of("par"),
            "require_pushed_authorization_requests": server.settings.par_required,
        }

    def translate_request(self, server: Server, request: Request) -> None:
        uri = request.payload.data.get("request_uri", "")
        if flask.request.endpoint != "pkce.authorize" or not uri.startswith(_REFERENCE):
            return
        request.payload.check("client_id", "request_uri")
        pushed = _find(server, uri.removeprefix(_REFERENCE), request)
        # Ignore all other parameters that the browser carries (RFC 9126 4, RFC 9101 5).
        request.carried = Payload([("client_id", pushed.client_id), ("request_uri", uri)])
        request.payload = Payload(
            (name, value) for name, values in pushed.parameters.items() for value in values
        )
        request.notes[self.name] = pushed
        request.used_up.append(lambda session: _use_up(session, pushed))

    def check_authorization_request(self, server: Server, request: Request) -> None:
        required = server.settings.par_required or request.client.client_metadata.get(
            "require_pushed_authorization_requests", False
        )
        if required and self.name not in request.notes and not request.on_device:
            raise InvalidRequestError("This authorization request has to be pushed (RFC 9126).")

    def prune(self, server: Server) -> Iterable[Prunable]:
        yield Expired(PushedRequest.expires_at, server.now() - server.settings.authorize_lifetime)


def push(server: Server) -> Response:
    """Store an authorization request of a client and return a reference to it (RFC 9126 2)."""
    request = server.create_oauth2_request(None)
    client = server.authenticate_client(request, endpoint="pushed_authorization_request")
    if "request_uri" in request.payload.data:
        raise InvalidRequestError("A pushed request has no request_uri.")
    request.replace(client_id=client.client_id)
    kept = request.payload.without(_CREDENTIALS)
    if kept.size > _MAX_CHARACTERS:
        raise RequestTooLarge()
    request.notes["par"] = None
    authorization.check(server, request)
    handle, now = new_handle(_HANDLE), server.now()
    limits = PUSHES.ask_of(server, client)
    row = {
        "digest": digest(handle),
        "client_id": client.client_id,
        "parameters": kept.datalist,
        "expires_at": now + server.settings.par_lifetime,
    }

    def store(session: Session) -> None:
        session.add(PushedRequest(**row))

    server.ephemeral.write(store, limits, now)
    response = flask.jsonify(
        request_uri=_REFERENCE + handle, expires_in=server.settings.par_lifetime
    )
    response.status_code = 201
    return response


def _find(server: Server, handle: str, request: Request) -> PushedRequest:
    """Return the pushed request with this handle; raises `InvalidRequestUriError`."""
    pushed = None
    if is_handle(handle, _HANDLE):
        pushed = server.store.get(PushedRequest, digest(handle))
    # A reference that the browser brought in time stays valid while the user signs in.
    extra_seconds = server.settings.authorize_lifetime if request.resumed else 0
    if pushed is None or server.now() >= pushed.expires_at + extra_seconds:
        raise InvalidRequestUriError()
    if pushed.client_id != request.payload.client_id:
        raise InvalidRequestUriError()
    return pushed


def _use_up(session: Session, pushed: PushedRequest) -> bool:
    """Delete a pushed request; return whether this call deleted it.

    Of several concurrent calls only one returns True, so that only one code is issued.
    """
    return changed_rows(session, delete(PushedRequest).filter_by(digest=pushed.digest)) == 1
