"""Features: all features of this package, in the order in which their hooks are called.

Each is one file or one folder with one `Feature`; `ls` of this folder is the glossary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ConfigurationError
from ..protocol.feature import Feature
from ..settings.load import declared, feature_of
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
from .par import ParFeature
from .pkce import PkceFeature
from .private_key_jwt import PrivateKeyJwtFeature
from .prompt import PromptFeature
from .protected_resource import ProtectedResourceFeature
from .refresh_token import RefreshTokenFeature
from .registration import RegistrationFeature
from .resource_indicators import ResourceIndicatorsFeature
from .revocation import RevocationFeature
from .telemetry import TelemetryFeature
from .token import TokenFeature
from .token_exchange import TokenExchangeFeature
from .userinfo import UserinfoFeature

FEATURES: tuple[type[Feature], ...] = (
    IssuerFeature,
    DiscoveryFeature,
    AuthorizeFeature,
    ParFeature,
    TokenFeature,
    PrivateKeyJwtFeature,
    PkceFeature,
    AuthorizationCodeFeature,
    RefreshTokenFeature,
    ClientCredentialsFeature,
    DeviceCodeFeature,
    TokenExchangeFeature,
    # Before jwt_access_token: a dialect may require the access token to be a JWT.
    DialectsFeature,
    # Before resource_indicators: it adds the resource that a request leaves out.
    ProtectedResourceFeature,
    ResourceIndicatorsFeature,
    # Before openid: the ID token contains a hash of the access token.
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
    # After dialects: it tells of requests in the words of the RFCs.
    TelemetryFeature,
)


def choose(config: Mapping[str, Any], added: Iterable[Feature]) -> tuple[Feature, ...]:
    """Return the features that `PKCE_FEATURES` switches on; those the host app `added` come last.

    Raises `ConfigurationError` for an unknown or duplicate feature name, for a core feature
    that is switched off, and for a setting of a feature that is switched off.
    """
    features = (*(feature() for feature in FEATURES), *added)
    switches = config.get("PKCE_FEATURES", {})
    if not isinstance(switches, dict):
        # `settings.load` reports the wrong type with a better message.
        return features
    names = [feature.name for feature in features]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(
                f'Two features are called "{name}".', write='name = "..."  # another one'
            )
    for name in switches.keys() - names:
        raise ConfigurationError(
            f'PKCE_FEATURES names "{name}", and there is no such feature.',
            write=f"one of: {', '.join(sorted(names))}",
        )
    active = tuple(
        feature for feature in features if switches.get(feature.name, not feature.opt_in)
    )
    for feature in features:
        if feature not in active:
            _check_switched_off(feature, config, names)
    return active


def _check_switched_off(feature: Feature, config: Mapping[str, Any], names: list[str]) -> None:
    if feature.core:
        raise ConfigurationError(
            f'The feature "{feature.name}" cannot be left out: without it nothing is safe.',
            write=f'app.config["PKCE_FEATURES"].pop("{feature.name}")',
        )
    own = {setting.key for setting in feature.settings}
    for key in config.keys() & (declared().keys() | own):
        if key in own or feature_of(key, names) == feature.name:
            raise ConfigurationError(
                f'{key} belongs to the feature "{feature.name}", which PKCE_FEATURES leaves out.',
                write=f'app.config.pop("{key}")',
            )
