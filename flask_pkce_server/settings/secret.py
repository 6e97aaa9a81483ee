"""Secret: the secrets that sign consent forms and encrypt keys, and the check of them."""

from __future__ import annotations

from typing import Any

from flask import Flask

from ..errors import ConfigurationError
from . import Settings

#: What the keys in our README, documentation and tests contain, and no random key.
_PUBLISHED = ("only-for-trying-it-out", "a-secret-key-of-", "0123456789")
_FALLBACKS = ("SECRET_KEY_FALLBACKS", "PKCE_KEY_SECRET_FALLBACKS")


def secrets_of(app: Flask, settings: Settings) -> list[bytes]:
    """Return the secrets that this server accepts, the current one last."""
    current = settings.key_secret or app.secret_key or ""
    earlier: list[str | bytes] = list(settings.key_secret_fallbacks)
    if settings.key_secret is None:
        earlier += app.config.get("SECRET_KEY_FALLBACKS") or ()
    return [
        secret if isinstance(secret, bytes) else secret.encode()
        for secret in (*reversed(earlier), current)
    ]


def check_secrets(app: Flask, settings: Settings) -> None:
    """Check the current secret and the earlier ones; raises `ConfigurationError`."""
    check_secret(app, "SECRET_KEY", app.secret_key)
    if settings.key_secret is not None:
        check_secret(app, "PKCE_KEY_SECRET", settings.key_secret)
    for name in _FALLBACKS:
        fallbacks = app.config.get(name) or []
        if not isinstance(fallbacks, list | tuple):
            raise ConfigurationError(
                f"{name} is a list of earlier secrets, the latest first.",
                write=f'app.config["{name}"] = [os.environ["EARLIER_SECRET_KEY"]]',
            )
        for secret in fallbacks:
            # What it signed is accepted, so a weak one would open everything.
            fault = _fault_of(app, secret)
            if fault is not None:
                raise ConfigurationError(
                    f"A secret in {name} {fault}.",
                    write=f'app.config["{name}"] = [...]  # without it',
                )


def check_secret(app: Flask, name: str, secret: Any) -> None:
    """Refuse a secret that is missing, not text, weak, or published by us.

    Raises `ConfigurationError`. Weak secrets are allowed in debug mode and in tests, published
    ones in tests and where the issuer is on this computer.
    """
    fault = _fault_of(app, secret)
    if fault is None:
        return
    if secret and not isinstance(secret, str | bytes):
        raise ConfigurationError(
            f"{name} {fault}. A number in the environment is read as a number.",
            write=f'app.config["{name}"] = str(app.config["{name}"])',
        )
    raise ConfigurationError(
        f"{name} {fault}.",
        write=f'app.config["{name}"] = os.environ["{name}"]'
        "  # made with: python -c 'import secrets; print(secrets.token_hex())'",
    )


def _fault_of(app: Flask, secret: Any) -> str | None:
    if not secret:
        return "is not set"
    if not isinstance(secret, str | bytes):
        return f"is of type {type(secret).__name__}, and must be text"
    is_weak = len(secret) < 16 or len(set(secret)) < 8
    if is_weak and not (app.debug or app.testing):
        return "is too weak: it has to be long and random"
    if _is_published(app, secret):
        return "is a key from our documentation, which everybody knows"
    return None


def _is_published(app: Flask, secret: str | bytes) -> bool:
    """Say whether others reach the app, and it has a secret of a sample."""
    text = secret.decode("latin-1") if isinstance(secret, bytes) else secret
    is_here = app.testing or not str(app.config.get("PKCE_ISSUER")).startswith("https:")
    return not is_here and any(part in text for part in _PUBLISHED)
