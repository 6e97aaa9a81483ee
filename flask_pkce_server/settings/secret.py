"""Secret: a check of the secret that signs consent forms and encrypts keys."""

from __future__ import annotations

from typing import Any

from flask import Flask

from ..errors import ConfigurationError


def check_secret(app: Flask, name: str, secret: Any) -> None:
    """Refuse a secret that is missing, not text, or weak; raises `ConfigurationError`.

    Weak secrets are allowed in debug mode and in tests.
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
