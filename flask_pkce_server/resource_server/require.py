"""Protect: let only a good access token reach a view (RFC 6750).

A view that is declared to be of a resource (RFC 9728) takes the tokens for that resource
alone, and not those for the app as a whole.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, cast

import flask
from flask import Response, current_app, g
from werkzeug.local import LocalProxy

from ..errors import ConfigurationError, InsufficientScopeError, OAuth2Error
from ..models.token import NOBODY, Token
from ..protocol.resources import Resource
from ..protocol.server import current_server
from ..signals import tell, token_used
from ..wire.resource_uri import canonical
from .access_token import protector, validator
from .www_authenticate import challenge

P = ParamSpec("P")
View = Callable[P, Any]

#: Set on guarded views, so that the CORS room knows them.
GUARDED = "_pkce_scopes"


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
        return None if self.is_machine else current_server.users.load(self.subject)

    def require(self, *scopes: str) -> None:
        """Go on only if the token has all of `scopes`, which are named as in `pkce.require`.

        Else the view ends here: the answer is 403, with the challenge by which a client
        asks its user for more (RFC 6750 3.1).
        """
        wanted = _named(scopes)
        if not self.scopes.issuperset(wanted):
            resource: Resource | None = g._pkce_admitted[1]
            needed = (*g._pkce_needed, *wanted)
            flask.abort(challenge(InsufficientScopeError(), needed, resource))
        g._pkce_needed = (*g._pkce_needed, *wanted)
        _tell_of_use(g._pkce_admitted[0], wanted)


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
            refused = admit(wanted, None if resource is None else _declared(resource))
            if refused is not None:
                return refused
            return current_app.ensure_sync(view)(*args, **kwargs)

        setattr(guarded, GUARDED, wanted)
        return guarded

    return decorate


def _named(scopes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scope for text in scopes for scope in text.split()))


def _declared(uri: str) -> Resource:
    found = current_server.own_resources.get(canonical(uri))
    if found is None:
        raise ConfigurationError(
            f"The resource {uri} guards a view, and is not declared.",
            write=f'pkce.resource("{uri}", scopes=[...])',
        )
    return found


def admit(
    wanted: tuple[str, ...], resource: Resource | None, told: tuple[str, ...] = ()
) -> Response | None:
    """Set `current_token` if a good token came, else return the challenge.

    What the guard of the path has read is not read again: a guarded call is one statement.
    Who is refused is `told` these scopes, where they are others than `wanted`.
    """
    below: tuple[Token, Resource] | None = g.get("_pkce_below")
    needed = (*g.get("_pkce_needed", ()), *wanted)
    resource = below[1] if below is not None and resource is None else resource
    try:
        if below is not None and resource == below[1]:
            token = below[0]
            validator.validate_token(token, wanted, None, resource)
        else:
            token = protector.acquire_token(wanted, resource=resource)
    except OAuth2Error as error:
        return challenge(error, told or needed, resource)
    g._pkce_admitted, g._pkce_needed = (token, resource), needed
    g._pkce_token = CurrentToken(
        subject=token.subject,
        client_id=token.holder,
        scopes=token.scope,
        bindings=token.bindings,
        issued_at=token.issued_at,
        expires_at=token.expires_at,
        actors=token.actors,
    )
    _tell_of_use(token, wanted)
    return None


def _tell_of_use(token: Token, scopes: tuple[str, ...]) -> None:
    tell(
        token_used,
        current_server.app,
        client_id=token.client_id,
        subject=token.subject,
        scopes=scopes,
        family_id=token.family_id,
    )


require_oauth = require


def _token() -> CurrentToken:
    token: CurrentToken | None = g.get("_pkce_token")
    if token is None:
        raise RuntimeError(
            "current_token is set only inside a view that pkce.require guards.\n"
            '    Write: @pkce.require("profile") below the route decorator'
        )
    return token


current_token = cast(CurrentToken, LocalProxy(_token))
