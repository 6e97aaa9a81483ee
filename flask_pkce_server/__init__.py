"""Flask-PKCE-Server: two lines make any Flask app an OAuth 2.1 authorization server.

pkce = PKCEServer(db)
pkce.init_app(app)
"""

from .errors import ConfigurationError
from .extension import PKCEServer
from .models.base import Base
from .protocol.contract import current_server
from .protocol.declarations import Problem, ResponseMode, Route
from .protocol.feature import ClientAuthMethod, ClientField, Feature
from .protocol.grant import Grant
from .resource_server.require import CurrentToken, current_token, require
from .settings import Setting
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
    "Base",
    "ClientAuthMethod",
    "ClientField",
    "ConfigurationError",
    "CurrentToken",
    "Feature",
    "Grant",
    "PKCEServer",
    "Problem",
    "ResponseMode",
    "Route",
    "Setting",
    "authorization_denied",
    "authorization_granted",
    "client_registered",
    "code_replayed",
    "consent_narrowed",
    "consent_withdrawn",
    "current_server",
    "current_token",
    "key_rotated",
    "require",
    "token_issued",
    "token_refreshed",
    "token_reuse_detected",
    "token_revoked",
    "token_used",
    "user_logged_out",
    "verifier_mismatched",
]
