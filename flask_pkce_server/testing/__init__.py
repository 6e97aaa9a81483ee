"""Testing: what a host's own tests need, and what the tests of this package use.

The fixtures (`pkce_clock`, `pkce_register`, `pkce_flow`, `pkce_signing_keys`) come with the
package, as a plugin of pytest: see `plugin.py`. They want a fixture `app`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..protocol.contract import server_of
    from ..wire.code_challenge import challenge_of
    from .flow import (
        REDIRECT_URI,
        Clock,
        Flow,
        RegisteredClient,
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
    # Not before somebody asks: pytest loads the plugin beside this in every run of a host.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import flow

    return getattr(flow, name)
