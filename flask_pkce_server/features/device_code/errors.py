"""Errors: what a device that polls is told until it gets its tokens (RFC 8628 3.5)."""

from __future__ import annotations

from ...errors import OAuth2Error


class AuthorizationPendingError(OAuth2Error):
    """RFC 8628 3.5: the user has not decided yet."""

    error = "authorization_pending"
    description = "The user has not decided yet; ask again after the interval."


class SlowDownError(OAuth2Error):
    """RFC 8628 3.5: the user has not decided yet, and the device polls too often."""

    error = "slow_down"
    description = "This came before the interval was over, which is 5 seconds longer from now on."


class ExpiredTokenError(OAuth2Error):
    """RFC 8628 3.5: the user did not decide in time."""

    error = "expired_token"
    description = "The device_code has expired. Ask for another one when the user wants to go on."
