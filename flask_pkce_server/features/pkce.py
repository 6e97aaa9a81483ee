"""PKCE: only the client that requested a code can redeem it (RFC 7636).

The client sends the SHA-256 of a secret with the authorization request, and the secret
itself, the code_verifier, with the token request. This package requires PKCE of every
client, public or confidential, and supports only S256 (RFC 9700 2.1.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from authlib.oauth2.rfc7636 import CodeChallenge
from sqlalchemy.exc import DBAPIError

from ..models import authorization_code
from ..protocol.code_proof import prove
from ..protocol.contract import Server
from ..protocol.declarations import Problem
from ..protocol.feature import Feature
from ..wire import code_challenge

#: How many pairs of codes with the same challenge `flask pkce doctor` looks at.
_MAX_PAIRS_NAMED = 20


class MandatoryCodeChallenge(CodeChallenge):
    """Authlib's CodeChallenge without its loopholes.

    Authlib 1.9.8 accepts a request without a code_challenge, treats a missing method as
    `plain`, and requires a code_verifier of public clients only.
    """

    SUPPORTED_CODE_CHALLENGE_METHOD = code_challenge.METHODS

    def __init__(self) -> None:
        super().__init__(required=True)

    def validate_code_challenge(self, grant: Any, redirect_uri: str | None) -> None:
        """Require an S256 code_challenge and note it in the request."""
        grant.request.code_challenge = code_challenge.read(grant.request.payload.data)

    def validate_code_verifier(self, grant: Any, result: Any) -> None:
        """Require the matching code_verifier and note the proven challenge in the request."""
        request = grant.request
        verifier = request.form.get("code_verifier")
        request.proven_challenge = prove(grant.server, request.authorization_code, verifier)


class PkceFeature(Feature):
    """RFC 7636: Proof Key for Code Exchange."""

    name = "pkce"
    core = True
    grant_extensions = {"authorization_code": (MandatoryCodeChallenge(),)}  # noqa: RUF012 - a constant

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {
            "code_challenge_methods_supported": list(
                MandatoryCodeChallenge.SUPPORTED_CODE_CHALLENGE_METHOD
            )
        }

    def problems(self, server: Server) -> Iterable[Problem]:
        try:
            with server.store.reading() as session:
                client_ids = authorization_code.sharing_a_challenge(session, _MAX_PAIRS_NAMED)
        except DBAPIError:
            return  # The doctor itself reports the database.
        if client_ids:
            yield Problem(
                "WARN",
                f"A code_challenge came more than once from: {', '.join(sorted(client_ids))}. "
                "Once may be a page that was reloaded.",
                "code that makes a new code_verifier for each sign-in",
            )
        else:
            yield Problem("OK", "No code_challenge came more than once.")
