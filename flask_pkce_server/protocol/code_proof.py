"""Code proof: only the client that requested a code can redeem it (RFC 7636 4.6)."""

from __future__ import annotations

import hmac

from ..errors import InvalidGrantError
from ..models.authorization_code import AuthorizationCode
from ..models.device_code import DeviceCode
from ..signals import tell, verifier_mismatched
from ..wire.code_challenge import checked_challenge_of, of_mismatch
from .contract import Server


def prove(server: Server, code: AuthorizationCode | DeviceCode, verifier: str | None) -> str:
    """Return the code_challenge of `code` if `verifier` matches it; the only comparison.

    A wrong code_verifier does not consume the code, so that a thief cannot burn it. Raises
    `InvalidRequestError` if `verifier` is malformed, and `InvalidGrantError` if it does not
    match.
    """
    challenge, expected = checked_challenge_of(verifier), code.code_challenge or ""
    if not hmac.compare_digest(challenge, expected):
        # Nobody has decided on a device that waits.
        subject = "" if code.grant is None else code.grant.subject
        facts = {"client_id": code.client_id, "subject": subject}
        tell(verifier_mismatched, server.app, **facts)
        raise InvalidGrantError(of_mismatch(verifier or "", expected))
    return challenge
