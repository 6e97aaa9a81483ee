"""Testing: helpers for the tests of a host app, which the tests of this package use too.

A pytest plugin in this package (`plugin.py`) has the fixtures `pkce_clock`, `pkce_register`,
`pkce_flow` and `pkce_signing_keys`. All but the last need a fixture `app` of the host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..protocol.contract import server_of
    from .flow import (
        REDIRECT_URI,
        Clock,
        Flow,
        RegisteredClient,
        challenge_of,
        hidden_fields,
        new_verifier,
        parameters_of,
        register,
    )

__all__ = [
    "REDIRECT_URI",
    "Clock",
    "Flow",
    "RegisteredClient",
    "challenge_of",
    "hidden_fields",
    "new_verifier",
    "parameters_of",
    "register",
    "server_of",
]


def __getattr__(name: str) -> Any:
    # Import on demand: pytest loads the plugin, and so this package, in every test run.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import flow

    return getattr(flow, name)
