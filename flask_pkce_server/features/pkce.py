"""PKCE: whoever redeems a code is whoever asked for it (RFC 7636).

The client sends the SHA-256 of a secret of its own with the authorization request and
the secret itself, the verifier, with the token request. Here it is demanded of every
client, public or confidential, with S256 and nothing else (RFC 9700 2.1.1).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc7636 import CodeChallenge

from ..errors import InvalidGrantError
from ..protocol.feature import Feature
from ..protocol.server import Server
from ..signals import tell, verifier_mismatched
from ..wire import code_challenge
from ..wire.code_challenge import of_mismatch


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
        """Demand the verifier of the challenge and note the proof in the request.

        A wrong verifier leaves the code as it is: who stole a code must not be able to
        burn it.
        """
        request, code = grant.request, grant.request.authorization_code
        verifier = request.form.get("code_verifier", "")
        challenge = code_challenge.of(verifier)
        if not hmac.compare_digest(challenge, code.code_challenge):
            tell(
                verifier_mismatched,
                grant.server.app,
                client_id=code.client_id,
                subject=code.subject,
            )
            raise InvalidGrantError(of_mismatch(verifier, code.code_challenge))
        request.proven_challenge = challenge


class PkceFeature(Feature):
    """RFC 7636: Proof Key for Code Exchange."""

    name = "pkce"
    core = True
    code_grant_extensions = (MandatoryCodeChallenge(),)

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {
            "code_challenge_methods_supported": list(
                MandatoryCodeChallenge.SUPPORTED_CODE_CHALLENGE_METHOD
            )
        }
