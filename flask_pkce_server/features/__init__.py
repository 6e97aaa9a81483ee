"""The floor plan: the rooms of this package, in the order they are asked.

Each is one file with one `Feature`; `ls` of this folder is the glossary.
"""

from __future__ import annotations

from ..feature import Feature
from .authorization_code import AuthorizationCodeFeature
from .authorize import AuthorizeFeature
from .cors import CorsFeature
from .discovery import DiscoveryFeature
from .issuer import IssuerFeature
from .pkce import PkceFeature
from .refresh_token import RefreshTokenFeature
from .revocation import RevocationFeature
from .token import TokenFeature

FEATURES: tuple[type[Feature], ...] = (
    IssuerFeature,
    DiscoveryFeature,
    AuthorizeFeature,
    TokenFeature,
    PkceFeature,
    AuthorizationCodeFeature,
    RefreshTokenFeature,
    RevocationFeature,
    CorsFeature,
)
