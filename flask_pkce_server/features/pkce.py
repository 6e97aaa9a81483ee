"""PKCE: whoever redeems a code is whoever asked for it (RFC 7636).

The client sends the SHA-256 of a secret of its own with the authorization request and
the secret itself, the verifier, with the token request. Here it is demanded of every
client, public or confidential, with S256 and nothing else (RFC 9700 2.1.1).
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc7636 import CodeChallenge

from ..diagnosis import of_challenge, of_mismatch, of_verifier
from ..errors import InvalidGrantError, InvalidRequestError
from ..feature import Feature
from ..models.authorization_code import challenge_of
from ..models.handle import base64url
from ..server import Server
from ..signals import tell, verifier_mismatched

#: RFC 7636 4.1; fullmatch, since `$` would let a newline pass.
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
#: RFC 7636 4.2: base64url of 32 bytes, no padding.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


class MandatoryCodeChallenge(CodeChallenge):
    """Authlib's CodeChallenge without its ways out.

    Authlib 1.9.8 takes a request without a challenge, takes a missing method for `plain`,
    and asks only public clients for a verifier.
    """

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def __init__(self) -> None:
        super().__init__(required=True)

    def validate_code_challenge(self, grant: Any, redirect_uri: str | None) -> None:
        """Demand an S256 challenge and note it in the request."""
        data = grant.request.payload.data
        challenge, method = data.get("code_challenge"), data.get("code_challenge_method")
        if not challenge:
            raise InvalidRequestError("code_challenge is missing; PKCE is required (RFC 7636).")
        if not method:
            raise InvalidRequestError("code_challenge_method is missing; it must be S256.")
        if method not in self.SUPPORTED_CODE_CHALLENGE_METHOD:
            raise InvalidRequestError("code_challenge_method must be S256.")
        if not is_challenge(challenge):
            raise InvalidRequestError(of_challenge(challenge))
        grant.request.code_challenge = challenge

    def validate_code_verifier(self, grant: Any, result: Any) -> None:
        """Demand the verifier of the challenge and note the proof in the request.

        A wrong verifier leaves the code as it is: who stole a code must not be able to
        burn it.
        """
        request, code = grant.request, grant.request.authorization_code
        verifier = request.form.get("code_verifier")
        if not verifier:
            raise InvalidRequestError("code_verifier is missing; PKCE is required (RFC 7636).")
        if not _VERIFIER.fullmatch(verifier):
            raise InvalidRequestError(of_verifier(verifier))
        challenge = challenge_of(verifier)
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


def is_challenge(text: str) -> bool:
    """Say whether `text` can be an S256 challenge: the one spelling of 32 bytes."""
    if not _CHALLENGE.fullmatch(text):
        return False
    # 43 characters hold two bits more than 32 bytes: another spelling never matches.
    return base64url(base64.urlsafe_b64decode(text + "=")) == text
