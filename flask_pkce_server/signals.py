"""Signals: announce events after they were committed.

The sender of each signal is the Flask app; all facts are keyword arguments. No signal
carries a code, a token, a secret or a verifier. If a receiver raises, the exception is
logged; it can neither undo the event nor make the request fail.
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
#: A user authorized a client, now or by earlier consent (client_id, subject, scopes, grant_id).
authorization_granted = _signals.signal("authorization_granted")
#: A user denied access (client_id, subject).
authorization_denied = _signals.signal("authorization_denied")
#: A code came with the wrong verifier; the code was not consumed (client_id, subject).
verifier_mismatched = _signals.signal("verifier_mismatched")
#: A code was redeemed twice; all its tokens are revoked (client_id, subject, grant_id).
code_replayed = _signals.signal("code_replayed")
#: Tokens were issued, but not by a refresh (client_id, subject, scopes, grant_id).
token_issued = _signals.signal("token_issued")
#: A refresh token was exchanged for its successor (client_id, subject, scopes, grant_id).
token_refreshed = _signals.signal("token_refreshed")
#: A used refresh token came back; its grant is revoked (client_id, subject, grant_id).
token_reuse_detected = _signals.signal("token_reuse_detected")
#: A client or a user revoked tokens of a grant (client_id, subject, grant_id).
token_revoked = _signals.signal("token_revoked")

#: A user removed a client's access (client_id, subject).
consent_withdrawn = _signals.signal("consent_withdrawn")
#: A user removed some scopes of a client (client_id, subject, scopes).
consent_narrowed = _signals.signal("consent_narrowed")
#: A guarded view or userinfo was called with a valid token (client_id, subject, scopes, grant_id).
token_used = _signals.signal("token_used")
#: New signing keys were published (kids, compromised).
key_rotated = _signals.signal("key_rotated")
#: `flask pkce prune` has run (deleted: the number of rows by feature).
rows_pruned = _signals.signal("rows_pruned")
#: Everything that a user had granted was revoked (subject).
user_forgotten = _signals.signal("user_forgotten")
#: A user signed out (subject, sid, client_ids).
user_logged_out = _signals.signal("user_logged_out")


def tell(signal: NamedSignal, app: Flask, **facts: Any) -> None:
    """Send `signal` for `app`; log the exceptions of receivers and continue."""
    if not signal.receivers:
        return
    for receiver in list(signal.receivers_for(app)):
        try:
            receiver(app, **facts)
        except Exception:
            # The event is committed: a receiver must not turn it into an error response.
            logger.exception("a receiver of the signal %s failed", signal.name)
