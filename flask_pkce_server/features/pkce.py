"""PKCE: whoever redeems a code is whoever asked for it (RFC 7636).

The client sends the SHA-256 of a secret of its own with the authorization request and
the secret itself, the verifier, with the token request. Here it is demanded of every
client, public or confidential, with S256 and nothing else (RFC 9700 2.1.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc7636 import CodeChallenge

from ..protocol.code_proof import prove
from ..protocol.contract import Server
from ..protocol.feature import Feature
from ..wire import code_challenge


class MandatoryCodeChallenge(CodeChallenge):
    """Authlib's CodeChallenge without its ways out.

    Authlib 1.9.8 takes a request without a challenge, takes a missing method for `plain`,
    and asks only public clients for a verifier.
    """

    SUPPORTED_CODE_CHALLENGE_METHOD = code_challenge.METHODS

    def __init__(self) -> None:
        super().__init__(required=True)

    def validate_code_challenge(self, grant: Any, redirect_uri: str | None) -> None:
        """Demand an S256 challenge and note it in the request."""
        grant.request.code_challenge = code_challenge.read(grant.request.payload.data)

    def validate_code_verifier(self, grant: Any, result: Any) -> None:
        """Demand the verifier of the challenge and note the proof in the request."""
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
