"""Require: lets requests reach a view only with a valid access token (RFC 6750).

A view that belongs to a declared resource (RFC 9728) accepts only tokens for that resource, not
tokens for the app as a whole.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, cast

import flask
from flask import Response, current_app
from werkzeug.local import LocalProxy

from ..errors import (
    ConfigurationError,
    InsufficientScopeError,
    OAuth2Error,
    TemporarilyUnavailable,
)
from ..models.failure import DATABASE_ERRORS
from ..models.grant import NOBODY
from ..models.token import Token
from ..protocol.contract import Server, current_server, server_of
from ..protocol.error_response import unavailable
from ..protocol.resources import Resource
from ..protocol.state import current_token_of_request, request_state
from ..signals import tell, token_used
from ..wire.resource_uri import canonical
from .access_token import check, find, read_header
from .guards import note_guard, quoted
from .www_authenticate import challenge

P = ParamSpec("P")
View = Callable[P, Any]


@dataclass(frozen=True)
class CurrentToken:
    """The access token of the current request to a guarded view.

    A client can get a token for itself with its own credentials (RFC 6749 4.4): then
    `is_machine` is True, `subject` is "" and `user` is None.
    """

    #: The host's identifier of the user; "" if there is no user.
    subject: str
    #: The client that sent the request.
    client_id: str
    scopes: frozenset[str]
    #: What the grant of the token is tied to; features use their own names as keys.
    bindings: Mapping[str, Any]
    #: Epoch seconds.
    issued_at: int
    expires_at: int
    #: The clients that exchanged the token, the latest first, which sent the request
    #: (RFC 8693 4.1); empty if it was not exchanged.
    actors: tuple[str, ...] = ()

    @property
    def is_machine(self) -> bool:
        """Whether the client acts for itself, not for a user."""
        return self.subject == NOBODY

    @functools.cached_property
    def user(self) -> Any:
        """The host's user, loaded on first access; None if there is none or they were deleted."""
        if self.is_machine:
            return None
        with _aborted_if_unavailable():
            return current_app.extensions["pkce"].users.load(self.subject)

    def require(self, *scopes: str) -> None:
        """Require all of `scopes`, given as in `pkce.require`, from inside a view.

        If the token lacks one, abort the request with 403 and the challenge by which a client
        can ask its user for more scopes (RFC 6750 3.1).
        """
        names, state = _named(scopes), request_state()
        token, resource = state.admitted
        if not self.scopes.issuperset(names):
            needed = (*state.needed, *names)
            flask.abort(challenge(InsufficientScopeError(), needed, resource))
        state.needed = (*state.needed, *names)
        tell_of_use(server_of(current_app), token, names)


def require(*scopes: str, resource: str | None = None) -> Callable[[View[P]], View[P]]:
    """Guard a view: the request must have a valid access token with all of `scopes`.

    Pass several scopes as `require("a", "b")` or `require("a b")`; without scopes, any valid
    token will do. `current_token` is set inside the view. Without a valid token the view is not
    called, and the response is 401 or 403 with the challenge of RFC 6750 3. Place it below the
    route decorator; it works on sync and async views.

    If `resource` is the URI of an API that the app declares, the token must be for that API
    (RFC 8707 2). Below a path of `pkce.mcp`, the default is the API of that path. Raises
    `ConfigurationError` if used as `@pkce.require` without parentheses.
    """
    if len(scopes) == 1 and callable(scopes[0]):
        raise ConfigurationError(
            "pkce.require is called before it decorates.",
            write='@pkce.require("profile")',
        )
    required = _named(scopes)

    def decorate(view: View[P]) -> View[P]:
        if isinstance(view, type):
            raise ConfigurationError(
                f"pkce.require guards views, and {view.__name__} is a class.",
                write=f"decorators = [pkce.require({quoted(required)})]  # in the class",
            )

        is_async = inspect.iscoroutinefunction(view)

        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
            server: Server = current_app.extensions["pkce"]
            declared = None if resource is None else _declared(server, resource)
            refusal = admit(server, required, declared)
            if refusal is not None:
                return refusal
            called = current_app.ensure_sync(view) if is_async else view
            return called(*args, **kwargs)

        note_guard(guarded, required)
        return guarded

    return decorate


def _named(scopes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scope for text in scopes for scope in text.split()))


def _declared(server: Server, uri: str) -> Resource:
    declared = server.resources.own.get(canonical(uri))
    if declared is None:
        raise ConfigurationError(
            f"The resource {uri} guards a view, and is not declared.",
            write=f'pkce.resource("{uri}", scopes=[...])',
        )
    return declared


def admit(
    server: Server,
    required: tuple[str, ...],
    resource: Resource | None,
    suggested: tuple[str, ...] = (),
) -> Response | None:
    """Set `current_token` if the request has a valid token, else return the challenge.

    Abort the request with 503 if the database is not available. The token that the guard of the
    path has found is not read again, so that a request needs one statement. The challenge asks
    for the scopes `suggested`, or else for all required ones.
    """
    state = request_state()
    below, needed = state.below, (*state.needed, *required)
    try:
        with _aborted_if_unavailable():
            if below is not None and resource in (None, below[1]):
                resource = below[1]
                token = check(server, below[0], required, resource)
            else:
                token = check(server, find(server, read_header(), state), required, resource)
    except OAuth2Error as error:
        return challenge(error, suggested or needed, resource)
    state.admitted, state.needed = (token, resource), needed
    state.current_token = CurrentToken(
        subject=token.subject,
        client_id=token.holder,
        scopes=token.scope,
        bindings=token.bindings,
        issued_at=token.issued_at,
        expires_at=token.expires_at,
        actors=token.actors,
    )
    tell_of_use(server, token, required)
    return None


@contextmanager
def _aborted_if_unavailable() -> Iterator[None]:
    """Abort the request with 503 if the database, or what is fetched, is not available now."""
    try:
        yield
    except (TemporarilyUnavailable, *DATABASE_ERRORS) as raised:
        error = raised if isinstance(raised, TemporarilyUnavailable) else unavailable(raised)
        if error is None:
            raise
        flask.abort(current_server.handle_error_response(None, error))


def tell_of_use(server: Server, token: Token, scopes: Iterable[str]) -> None:
    """Send the signal that a token was used for `scopes`."""
    tell(
        token_used,
        server.app,
        client_id=token.client_id,
        subject=token.subject,
        scopes=scopes,
        grant_id=token.grant_id,
    )


current_token = cast(CurrentToken, LocalProxy(current_token_of_request))
