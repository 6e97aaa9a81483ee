"""Protect: let only a good access token reach a view (RFC 6750).

A view that is declared to be of a resource (RFC 9728) takes the tokens for that resource
alone, and not those for the app as a whole.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, cast

import flask
from flask import Response, current_app
from werkzeug.local import LocalProxy

from ..errors import ConfigurationError, InsufficientScopeError, OAuth2Error
from ..models.token import NOBODY, Token
from ..protocol.contract import Server, server_of
from ..protocol.resources import Resource
from ..protocol.state import current_token_of_request, request_state
from ..signals import tell, token_used
from ..wire.resource_uri import canonical
from .access_token import check, find, read_header
from .www_authenticate import challenge

P = ParamSpec("P")
View = Callable[P, Any]

#: Set on guarded views, so that they are known as such.
GUARDED = "_pkce_required_scopes"


@dataclass(frozen=True)
class CurrentToken:
    """The access token that a guarded view was reached with.

    A client may have it for itself, by its credentials (RFC 6749 4.4): then `is_machine` is
    true, `subject` is empty and `user` is None, whatever the client is called.
    """

    #: The text that names the user; "" where there is none.
    subject: str
    #: The client that calls.
    client_id: str
    scopes: frozenset[str]
    bindings: Mapping[str, Any]
    #: Epoch seconds.
    issued_at: int
    expires_at: int
    #: The clients that exchanged their way to the token, the last first, which is the one that
    #: calls (RFC 8693 4.1); empty where it was not exchanged.
    actors: tuple[str, ...] = ()

    @property
    def is_machine(self) -> bool:
        """Whether the client acts for itself and not for a user."""
        return self.subject == NOBODY

    @functools.cached_property
    def user(self) -> Any:
        """The host's user, loaded when first asked for; None if there is none, or no longer."""
        return None if self.is_machine else current_app.extensions["pkce"].users.load(self.subject)

    def require(self, *scopes: str) -> None:
        """Go on only if the token has all of `scopes`, which are named as in `pkce.require`.

        Else the view ends here: the answer is 403, with the challenge by which a client
        asks its user for more (RFC 6750 3.1).
        """
        wanted, state = _named(scopes), request_state()
        token, resource = state.admitted
        if not self.scopes.issuperset(wanted):
            needed = (*state.needed, *wanted)
            flask.abort(challenge(InsufficientScopeError(), needed, resource))
        state.needed = (*state.needed, *wanted)
        tell_of_use(server_of(current_app), token, wanted)


def require(*scopes: str, resource: str | None = None) -> Callable[[View[P]], View[P]]:
    """Guard a view: an access token with all of `scopes` must come with the request.

    Several scopes are given apart, `require("a", "b")`, or in one text, `require("a b")`;
    none at all asks for any good token. Inside the view `current_token` is set. Without a
    good token the view is not called, and the answer is 401 or 403 with the challenge of
    RFC 6750 3. Works on sync and async views, below the route decorator.

    With the URI of a `resource` that the app declares, the token must be for that one
    (RFC 8707 2). Below a path of `pkce.mcp` that path's is meant where none is named.
    """
    if len(scopes) == 1 and callable(scopes[0]):
        raise ConfigurationError(
            "pkce.require is called before it decorates.",
            write='@pkce.require("profile")',
        )
    wanted = _named(scopes)

    def decorate(view: View[P]) -> View[P]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
            server: Server = current_app.extensions["pkce"]
            declared = None if resource is None else _declared(server, resource)
            refused = admit(server, wanted, declared)
            if refused is not None:
                return refused
            return current_app.ensure_sync(view)(*args, **kwargs)

        setattr(guarded, GUARDED, wanted)
        return guarded

    return decorate


def _named(scopes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scope for text in scopes for scope in text.split()))


def _declared(server: Server, uri: str) -> Resource:
    found = server.resources.own.get(canonical(uri))
    if found is None:
        raise ConfigurationError(
            f"The resource {uri} guards a view, and is not declared.",
            write=f'pkce.resource("{uri}", scopes=[...])',
        )
    return found


def admit(
    server: Server,
    wanted: tuple[str, ...],
    resource: Resource | None,
    told: tuple[str, ...] = (),
) -> Response | None:
    """Set `current_token` if a good token came, else return the challenge.

    What the guard of the path has read is not read again: a guarded call is one statement.
    A client that is refused is told to ask for `told`, where these are others than `wanted`.
    """
    state = request_state()
    below, needed = state.below, (*state.needed, *wanted)
    try:
        if below is not None and resource in (None, below[1]):
            resource = below[1]
            token = check(server, below[0], wanted, resource)
        else:
            token = check(server, find(server, read_header(), state), wanted, resource)
    except OAuth2Error as error:
        return challenge(error, told or needed, resource)
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
    tell_of_use(server, token, wanted)
    return None


def tell_of_use(server: Server, token: Token, scopes: Iterable[str]) -> None:
    """Tell listeners that a token was used for `scopes`."""
    tell(
        token_used,
        server.app,
        client_id=token.client_id,
        subject=token.subject,
        scopes=scopes,
        family_id=token.family_id,
    )


current_token = cast(CurrentToken, LocalProxy(current_token_of_request))
