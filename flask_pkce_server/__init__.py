"""Flask-PKCE-Server: two lines make any Flask app an OAuth 2.1 authorization server.

pkce = PKCEServer(db)
pkce.init_app(app)
"""

from .errors import ConfigurationError
from .extension import PKCEServer
from .protocol.feature import Feature
from .resource_server.require import CurrentToken, current_token, require_oauth
from .signals import (
    authorization_denied,
    authorization_granted,
    client_registered,
    code_replayed,
    consent_narrowed,
    consent_withdrawn,
    key_rotated,
    token_issued,
    token_refreshed,
    token_reuse_detected,
    token_revoked,
    token_used,
    user_logged_out,
    verifier_mismatched,
)

__all__ = [
    "ConfigurationError",
    "CurrentToken",
    "Feature",
    "PKCEServer",
    "authorization_denied",
    "authorization_granted",
    "client_registered",
    "code_replayed",
    "consent_narrowed",
    "consent_withdrawn",
    "current_token",
    "key_rotated",
    "require_oauth",
    "token_issued",
    "token_refreshed",
    "token_reuse_detected",
    "token_revoked",
    "token_used",
    "user_logged_out",
    "verifier_mismatched",
]
