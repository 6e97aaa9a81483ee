"""The floor plan: the rooms of this package, in the order they are asked.

Each is one file with one `Feature`; `ls` of this folder is the glossary.
"""

from __future__ import annotations

from ..protocol.feature import Feature
from .authorization_code import AuthorizationCodeFeature
from .authorize import AuthorizeFeature
from .backchannel_logout import BackchannelLogoutFeature
from .client_credentials import ClientCredentialsFeature
from .client_id_metadata import ClientIdMetadataFeature
from .connected_apps import ConnectedAppsFeature
from .cors import CorsFeature
from .developer_portal import DeveloperPortalFeature
from .device_code import DeviceCodeFeature
from .dialects import DialectsFeature
from .discovery import DiscoveryFeature
from .introspection import IntrospectionFeature
from .issuer import IssuerFeature
from .jwks import JwksFeature
from .jwt_access_token import JwtAccessTokenFeature
from .logout import LogoutFeature
from .openid import OpenIDFeature
from .pkce import PkceFeature
from .private_key_jwt import PrivateKeyJwtFeature
from .prompt import PromptFeature
from .protected_resource import ProtectedResourceFeature
from .refresh_token import RefreshTokenFeature
from .registration import RegistrationFeature
from .resource_indicators import ResourceIndicatorsFeature
from .revocation import RevocationFeature
from .token import TokenFeature
from .token_exchange import TokenExchangeFeature
from .userinfo import UserinfoFeature

FEATURES: tuple[type[Feature], ...] = (
    IssuerFeature,
    DiscoveryFeature,
    AuthorizeFeature,
    TokenFeature,
    PrivateKeyJwtFeature,
    PkceFeature,
    AuthorizationCodeFeature,
    RefreshTokenFeature,
    ClientCredentialsFeature,
    DeviceCodeFeature,
    TokenExchangeFeature,
    # Before jwt_access_token: they say what is in one.
    DialectsFeature,
    # Before resource_indicators: it says what is meant where none is named.
    ProtectedResourceFeature,
    ResourceIndicatorsFeature,
    # Before openid: the ID token has a hash of the access token in it.
    JwtAccessTokenFeature,
    PromptFeature,
    OpenIDFeature,
    JwksFeature,
    UserinfoFeature,
    RevocationFeature,
    IntrospectionFeature,
    LogoutFeature,
    BackchannelLogoutFeature,
    ConnectedAppsFeature,
    DeveloperPortalFeature,
    RegistrationFeature,
    ClientIdMetadataFeature,
    CorsFeature,
)
