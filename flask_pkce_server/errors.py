"""Errors: OAuth errors for clients and their users, and set-up errors for integrators.

The OAuth errors are Authlib's or derive from Authlib's base class, so that Authlib and
this package use the same classes. Their descriptions are constants: client input is never
put into one (it could not be quoted in a header, and Authlib raises a ValueError for
characters outside the set of RFC 6749 5.2).
"""

from __future__ import annotations

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749.errors import (
    AccessDeniedError,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc6750.errors import InsufficientScopeError, InvalidTokenError

__all__ = [
    "AccessDeniedError",
    "ConfigurationError",
    "ConsentRequiredError",
    "CookiesMissing",
    "DeadRefreshTokenError",
    "GoneUserError",
    "InsufficientScopeError",
    "InteractionExpired",
    "InvalidClientError",
    "InvalidClientMetadataError",
    "InvalidGrantError",
    "InvalidRedirectUriError",
    "InvalidRequestError",
    "InvalidScopeError",
    "InvalidTargetError",
    "InvalidTokenError",
    "LoginRequiredError",
    "MethodNotAllowed",
    "OAuth2Error",
    "ServerError",
    "TemporarilyUnavailable",
    "TooManyRequests",
    "UnauthorizedClientError",
    "UnsupportedGrantTypeError",
    "UnsupportedResponseTypeError",
]


class ConfigurationError(Exception):
    """The host's set-up is unsafe or incomplete; the message ends with the line to write."""

    def __init__(self, problem: str, *, write: str) -> None:
        super().__init__(f"{problem}\n    Write: {write}")
        self.problem = problem
        self.write = write


class MethodNotAllowed(OAuth2Error):
    """The endpoint exists, but does not accept this HTTP method."""

    error = "invalid_request"
    description = "This endpoint does not answer to this HTTP method."
    status_code = 405


class InteractionExpired(OAuth2Error):
    """The browser brought back no request, or one that was altered or has expired."""

    error = "invalid_request"
    description = "This sign-in has expired. Go back to the app and start again."


class CookiesMissing(InteractionExpired):
    """The browser brought back no request, nor any cookie at all."""

    description = "The browser sent no cookies. Allow them for this site, then start again."


class ServerError(OAuth2Error):
    """The server failed through no fault of the client (RFC 6749 4.1.2.1)."""

    error = "server_error"
    description = "The server met an unexpected condition. The operator finds it in the log."
    status_code = 500


class TemporarilyUnavailable(OAuth2Error):
    """The database or Redis is not available, or too many fetches are under way."""

    error = "temporarily_unavailable"
    description = "The server is too busy to answer now. Try again in a moment."
    status_code = 503

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the error response (RFC 9110 10.2.3)."""
        return {"Retry-After": "1"}


class UnsupportedGrantTypeError(OAuth2Error):
    """RFC 6749 5.2; Authlib's class of this name repeats the client's input."""

    error = "unsupported_grant_type"
    description = "This server has no such grant_type; its metadata lists those it has."


class UnsupportedResponseTypeError(OAuth2Error):
    """RFC 6749 4.1.2.1; Authlib's class of this name repeats the client's input."""

    error = "unsupported_response_type"
    description = "This server has no such response_type; it is code."


class DeadRefreshTokenError(InvalidGrantError):
    """RFC 6749 5.2: a refresh token that is not valid, or no longer valid."""

    description = "The refresh token is unknown, expired, revoked, or not this client's."


class GoneUserError(InvalidGrantError):
    """RFC 6749 5.2: a grant whose user no longer exists or may not sign in."""

    description = "The user does not exist any more, or may not sign in."


class InvalidTargetError(OAuth2Error):
    """RFC 8707 2: a resource for which this server issues no tokens."""

    error = "invalid_target"
    description = "A resource that was asked for is not one that this server has tokens for."


class InvalidRedirectUriError(OAuth2Error):
    """RFC 7591 3.2.2: a redirect URI that must not be registered."""

    error = "invalid_redirect_uri"


class InvalidClientMetadataError(OAuth2Error):
    """RFC 7591 3.2.2: client metadata that cannot be registered."""

    error = "invalid_client_metadata"


class TooManyRequests(TemporarilyUnavailable):
    """Too many requests came from one source; retry in `wait` seconds (RFC 6585 4)."""

    description = "Too many requests of this kind came from there. Try again later."
    status_code = 429

    def __init__(self, wait: int | None = None) -> None:
        super().__init__()
        self.wait = wait

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the error response; empty if `wait` is None."""
        return {} if self.wait is None else {"Retry-After": str(self.wait)}


class LoginRequiredError(OAuth2Error):
    """OIDC Core 3.1.2.6: the user has to sign in, but cannot or must not be asked."""

    error = "login_required"
    description = "The user is not signed in, or not as the request wants it."


class ConsentRequiredError(OAuth2Error):
    """OIDC Core 3.1.2.6: the user has to agree, but must not be asked."""

    error = "consent_required"
    description = "The user has not agreed to this yet."
