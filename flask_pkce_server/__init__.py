"""Flask-PKCE-Server: two lines turn any Flask app into an OAuth 2.1 authorization server.

pkce = PKCEServer(db)
pkce.init_app(app)
"""

from .errors import ConfigurationError
from .extension import PKCEServer
from .interaction.pending import PendingRequest
from .models.base import Base, Digest, EpochSeconds, Identifier, changed_rows
from .models.client import Client
from .models.grant import Grant
from .models.pruning import Expired, Listed, Prunable
from .models.token import Token
from .protocol.contract import Server, current_server
from .protocol.declarations import Problem, ResponseMode, Route
from .protocol.feature import ClientAuthMethod, ClientField, Feature
from .protocol.grant_type import GrantType
from .protocol.request import Request
from .protocol.resources import Resource
from .protocol.token_response import TokenResponse
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
    rows_pruned,
    token_issued,
    token_refreshed,
    token_reuse_detected,
    token_revoked,
    token_used,
    user_forgotten,
    user_logged_out,
    verifier_mismatched,
)
from .users.host import DescribedToken

__all__ = [
    "Base",
    "Client",
    "ClientAuthMethod",
    "ClientField",
    "ConfigurationError",
    "CurrentToken",
    "DescribedToken",
    "Digest",
    "EpochSeconds",
    "Expired",
    "Feature",
    "Grant",
    "GrantType",
    "Identifier",
    "Listed",
    "PKCEServer",
    "PendingRequest",
    "Problem",
    "Prunable",
    "Request",
    "Resource",
    "ResponseMode",
    "Route",
    "Server",
    "Setting",
    "Token",
    "TokenResponse",
    "authorization_denied",
    "authorization_granted",
    "changed_rows",
    "client_registered",
    "code_replayed",
    "consent_narrowed",
    "consent_withdrawn",
    "current_server",
    "current_token",
    "key_rotated",
    "require",
    "rows_pruned",
    "token_issued",
    "token_refreshed",
    "token_reuse_detected",
    "token_revoked",
    "token_used",
    "user_forgotten",
    "user_logged_out",
    "verifier_mismatched",
]
