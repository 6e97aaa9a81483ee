"""Secret: what consent forms are signed and keys encrypted with must not be guessed."""

from __future__ import annotations

from typing import Any

from flask import Flask

from ..errors import ConfigurationError


def check_secret(app: Flask, name: str, secret: Any) -> None:
    """Refuse a secret that is missing, no text, or weak; raises `ConfigurationError`."""
    line = f'app.config["{name}"] = os.environ["{name}"]'
    make = f"{line}  # made with: python -c 'import secrets; print(secrets.token_hex())'"
    if not secret:
        raise ConfigurationError(f"{name} is not set.", write=make)
    if not isinstance(secret, str | bytes):
        raise ConfigurationError(
            f"{name} is of type {type(secret).__name__}, and must be text. A number in the "
            "environment is read as a number.",
            write=f'app.config["{name}"] = str(app.config["{name}"])',
        )
    weak = len(secret) < 16 or len(set(secret)) < 8
    if weak and not (app.debug or app.testing):
        raise ConfigurationError(f"{name} is too weak: it has to be long and random.", write=make)
