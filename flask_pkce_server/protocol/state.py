"""State: facts about the current request that several parts of the package share.

No other module of this package writes to `flask.g`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import flask

from ..errors import OAuth2Error
from ..models.client import Client
from ..models.token import Token

_KEY = "_pkce_state"


@dataclass
class RequestState:
    """What is known so far about the current Flask request."""

    #: The WSGI environment of the request that this state belongs to; None on the command line.
    environ: Any
    #: Why the body is refused unread; None if views may read it.
    body_error: OAuth2Error | None = None
    #: The client that sent the request, or that the request claims to come from.
    client: Client | None = None
    #: What was read in one statement with something else and is not asked for yet: clients by
    #: `client_id` (None for one that is not there), and tokens by their text.
    read_clients: dict[str, Client | None] = field(default_factory=dict)
    read_tokens: dict[str, Token] = field(default_factory=dict)
    #: Why the request was refused; None if it was not.
    error: OAuth2Error | None = None
    #: The `ui_locales` of an authorization request whose parameters are not in the page's URL.
    ui_locales: str | None = None
    #: Whether the host app signs the user out only in order to have them sign in again.
    reauthenticates: bool = False
    #: Directives that the page adds to its Content Security Policy.
    policy: dict[str, str] = field(default_factory=dict)
    #: The access token that was accepted last, and the `Resource` it was used for, or None.
    admitted: tuple[Any, Any] = (None, None)
    #: What the guard of the path admitted, in the same form; None if the path has no guard.
    below: tuple[Any, Any] | None = None
    #: All scopes that this request has required so far.
    needed: tuple[str, ...] = ()
    #: The `CurrentToken` of the view.
    current_token: Any = None


def request_state() -> RequestState:
    """Return the state of the current request, creating it on first use.

    `flask.g` may outlive a request: a host can push one app context around several requests.
    """
    environ = flask.request.environ if flask.has_request_context() else None
    # Not through the proxy, which looks for the context at every access.
    kept = cast(Any, flask.g)._get_current_object()
    state: RequestState | None = kept.get(_KEY)
    if state is None or state.environ is not environ:
        state = RequestState(environ)
        setattr(kept, _KEY, state)
    return state


def current_token_of_request() -> Any:
    """Return the `CurrentToken` of the view; raises `RuntimeError` if there is none."""
    state: RequestState | None = flask.g.get(_KEY)
    if state is None or state.current_token is None or state.environ is not flask.request.environ:
        raise RuntimeError(
            "current_token is set only inside a view that pkce.require guards.\n"
            '    Write: @pkce.require("profile") below the route decorator'
        )
    return state.current_token
