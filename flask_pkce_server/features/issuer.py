"""Issuer: the one URL that identifies this server (RFC 8414 2, RFC 9207).

It is configured and never taken from the Host header. `interaction.authorization` adds it to
every response that goes through the browser, so that a client which uses several servers
knows which of them answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigurationError
from ..protocol.contract import Server
from ..protocol.declarations import Problem
from ..protocol.feature import Feature
from ..wire import base_url


class IssuerFeature(Feature):
    """RFC 9207: `iss` in every authorization response."""

    name = "issuer"
    core = True

    def check_settings(self, server: Server) -> None:
        issuer = server.settings.issuer
        if issuer is None:
            if not (server.app.debug or server.app.testing):
                raise ConfigurationError(
                    "PKCE_ISSUER is not set. It is the https URL that clients know this server by.",
                    write='app.config["PKCE_ISSUER"] = "https://your.domain"',
                )
            return
        problem = fault_of(issuer)
        if problem:
            raise ConfigurationError(
                f"PKCE_ISSUER is {issuer!r}, and {problem}.",
                write='app.config["PKCE_ISSUER"] = "https://your.domain"',
            )

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {
            "issuer": server.issuer,
            "authorization_response_iss_parameter_supported": True,
        }

    def problems(self, server: Server) -> Iterable[Problem]:
        if server.settings.issuer is None:
            yield Problem(
                "WARN",
                f"PKCE_ISSUER is not set; debug uses {server.issuer}.",
                'app.config["PKCE_ISSUER"] = "https://your.domain"',
            )
        else:
            yield Problem("OK", f"The issuer is {server.issuer}.")


def fault_of(issuer: str) -> str | None:
    """Return what is wrong with `issuer`, None if it is fine.

    Clients compare issuers as text, and some normalize a URL before they compare it: only the
    canonical spelling is the same for all of them (RFC 8414 3.3, RFC 3986 6.2).
    """
    fault = base_url.fault_of(issuer)
    if fault is not None:
        return fault
    parts = urlsplit(issuer)
    default = {"http": 80, "https": 443}[parts.scheme]
    if (
        not issuer.startswith(f"{parts.scheme}://")
        or parts.netloc != parts.netloc.lower()
        or parts.port == default
        or parts.netloc.endswith(":")
    ):
        return "must be in canonical form: lower-case scheme and host, no default port"
    return None
