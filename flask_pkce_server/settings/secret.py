"""Secret: a check of the secrets that sign consent forms and encrypt keys."""

from __future__ import annotations

from typing import Any

from flask import Flask

from ..errors import ConfigurationError

#: What the keys in our README, documentation and tests contain, and no random key.
_PUBLISHED = ("only-for-trying-it-out", "a-secret-key-of-", "0123456789")


def check_secrets(app: Flask, key_secret: str | None) -> None:
    """Refuse secrets that somebody could guess; raises `ConfigurationError`.

    `key_secret` is `PKCE_KEY_SECRET`, None if it is not set.
    """
    check_secret(app, "SECRET_KEY", app.secret_key)
    if key_secret is not None:
        check_secret(app, "PKCE_KEY_SECRET", key_secret)
    if any(_is_published(app, old) for old in app.config.get("SECRET_KEY_FALLBACKS") or ()):
        # Flask still accepts sessions that it has signed.
        raise ConfigurationError(
            "SECRET_KEY_FALLBACKS has a key from our documentation, which everybody knows.",
            write='app.config["SECRET_KEY_FALLBACKS"] = []',
        )


def check_secret(app: Flask, name: str, secret: Any) -> None:
    """Refuse a secret that is missing, not text, weak, or published by us.

    Raises `ConfigurationError`. Weak secrets are allowed in debug mode and in tests, published
    ones in tests and where the issuer is on this computer.
    """
    assignment = f'app.config["{name}"] = os.environ["{name}"]'
    suggestion = (
        f"{assignment}  # made with: python -c 'import secrets; print(secrets.token_hex())'"
    )
    if not secret:
        raise ConfigurationError(f"{name} is not set.", write=suggestion)
    if not isinstance(secret, str | bytes):
        raise ConfigurationError(
            f"{name} is of type {type(secret).__name__}, and must be text. A number in the "
            "environment is read as a number.",
            write=f'app.config["{name}"] = str(app.config["{name}"])',
        )
    is_weak = len(secret) < 16 or len(set(secret)) < 8
    if is_weak and not (app.debug or app.testing):
        raise ConfigurationError(
            f"{name} is too weak: it has to be long and random.", write=suggestion
        )
    if _is_published(app, secret):
        raise ConfigurationError(
            f"{name} is a key from our documentation, which everybody knows.", write=suggestion
        )


def _is_published(app: Flask, secret: str | bytes) -> bool:
    """Say whether others reach the app, and it has a secret of a sample."""
    text = secret.decode("latin-1") if isinstance(secret, bytes) else secret
    is_here = app.testing or not str(app.config.get("PKCE_ISSUER")).startswith("https:")
    return not is_here and any(part in text for part in _PUBLISHED)
