"""Code proof: whoever redeems a code is whoever asked for it (RFC 7636 4.6)."""

from __future__ import annotations

import hmac

from ..errors import InvalidGrantError
from ..models.authorization_code import AuthorizationCode
from ..models.device_code import DeviceCode
from ..signals import tell, verifier_mismatched
from ..wire.code_challenge import checked_challenge_of, of_mismatch
from .contract import Server


def prove(server: Server, code: AuthorizationCode | DeviceCode, verifier: str | None) -> str:
    """Return the challenge of `code`, proven by `verifier`; the one place that compares them.

    A wrong verifier leaves the code as it is: who stole a code must not be able to burn it.
    Raises `InvalidRequestError` for what is no verifier, and `InvalidGrantError` for that of
    another code.
    """
    challenge, wanted = checked_challenge_of(verifier), code.code_challenge or ""
    if not hmac.compare_digest(challenge, wanted):
        facts = {"client_id": code.client_id, "subject": code.subject or ""}
        tell(verifier_mismatched, server.app, **facts)
        raise InvalidGrantError(of_mismatch(verifier or "", wanted))
    return challenge
