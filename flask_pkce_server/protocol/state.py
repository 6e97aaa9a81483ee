"""State: what is found out during one request, for whoever asks later in the same request.

Nothing else of this package writes to `flask.g`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import flask

from ..models.client import Client

_KEY = "_pkce_state"


@dataclass
class RequestState:
    """What is known so far about the request that Flask holds."""

    #: The WSGI environment of the request that this belongs to; None at the command line.
    environ: Any
    #: The client that the request is from, or says to be from.
    client: Client | None = None
    #: The `ui_locales` of an authorization request that is not in the URL of the page.
    ui_locales: str | None = None
    #: Directives that the page adds to its content security policy.
    policy: dict[str, str] = field(default_factory=dict)
    #: The access token that was let in last, and the API that it opened, if one was named.
    admitted: tuple[Any, Any] = (None, None)
    #: The same of the guard of a path; None where the path has none.
    below: tuple[Any, Any] | None = None
    #: All scopes that were required so far.
    needed: tuple[str, ...] = ()
    #: The `CurrentToken` of the view.
    current_token: Any = None


def request_state() -> RequestState:
    """Return the state of the current request, an empty one when it begins.

    `flask.g` may outlive the request where a host pushes an app context around several.
    """
    environ = flask.request.environ if flask.has_request_context() else None
    state: RequestState | None = flask.g.get(_KEY)
    if state is None or state.environ is not environ:
        state = RequestState(environ)
        setattr(flask.g, _KEY, state)
    return state


def current_token_of_request() -> Any:
    """Return the `CurrentToken` of the view; raises `RuntimeError` where there is none."""
    state: RequestState | None = flask.g.get(_KEY)
    if state is None or state.current_token is None or state.environ is not flask.request.environ:
        raise RuntimeError(
            "current_token is set only inside a view that pkce.require guards.\n"
            '    Write: @pkce.require("profile") below the route decorator'
        )
    return state.current_token
