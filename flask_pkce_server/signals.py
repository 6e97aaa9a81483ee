"""Signals: what has happened, told after it was committed.

Each is sent with the Flask app as the sender and keyword arguments only. None of them
carries a code, a token, a secret or a verifier. A receiver that raises is logged and
cannot undo or fail the request that it was told of.
"""

from __future__ import annotations

import logging
from typing import Any

from blinker import NamedSignal, Namespace
from flask import Flask

logger = logging.getLogger(__name__)

_signals = Namespace()

#: A client was registered (client_id).
client_registered = _signals.signal("client_registered")
#: A user let a client in, now or by an earlier consent (client_id, subject, scopes, family_id).
authorization_granted = _signals.signal("authorization_granted")
#: A user said no (client_id, subject).
authorization_denied = _signals.signal("authorization_denied")
#: A code came with a verifier that is not its own, and was left alone (client_id, subject).
verifier_mismatched = _signals.signal("verifier_mismatched")
#: A code was redeemed a second time; all that it gave is revoked (client_id, subject, family_id).
code_replayed = _signals.signal("code_replayed")
#: A grant gave tokens for the first time (client_id, subject, scopes, family_id).
token_issued = _signals.signal("token_issued")
#: A refresh token was exchanged for its successor (client_id, subject, scopes, family_id).
token_refreshed = _signals.signal("token_refreshed")
#: A spent refresh token came back; its family is revoked (client_id, subject, family_id).
token_reuse_detected = _signals.signal("token_reuse_detected")
#: A client gave back a token; its family is revoked (client_id, subject, family_id).
token_revoked = _signals.signal("token_revoked")

#: A user took back what they gave a client (client_id, subject).
consent_withdrawn = _signals.signal("consent_withdrawn")
#: A user took back a part of it (client_id, subject, scopes).
consent_narrowed = _signals.signal("consent_narrowed")
#: A guarded view was called with a good token (client_id, subject, scopes, family_id).
token_used = _signals.signal("token_used")
#: New signing keys were published (kids, compromised).
key_rotated = _signals.signal("key_rotated")
#: A user signed out (subject, sid, client_ids).
user_logged_out = _signals.signal("user_logged_out")


def tell(signal: NamedSignal, app: Flask, **facts: Any) -> None:
    """Send `signal` for `app`; a receiver that fails is logged and goes no further."""
    for receiver in list(signal.receivers_for(app)):
        try:
            receiver(app, **facts)
        except Exception:
            # The deed is committed: a listener must not turn it into an error answer.
            logger.exception("a receiver of the signal %s failed", signal.name)
