"""Load: read and check the settings in `app.config`, once when the app starts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

from ..errors import ConfigurationError
from . import PREFIX, Setting, Settings


def load(config: Mapping[str, Any], host_settings: Mapping[str, Setting] | None = None) -> Settings:
    """Read and check the `PKCE_*` keys of `config`.

    `host_settings` has the settings of the features that the host app added. Raises
    `ConfigurationError` for an undeclared key, for one that a feature of the host declares
    again, and for a value of the wrong type or range.
    """
    package_settings, host_settings = declared(), host_settings or {}
    for key in package_settings.keys() & host_settings.keys():
        raise ConfigurationError(
            f"{key} is a setting of Flask-PKCE-Server already.",
            write='Setting("PKCE_<NAME OF YOUR FEATURE>_...", ...)',
        )
    values = {key: setting.default for key, setting in host_settings.items()}
    for key, value in config.items():
        setting = host_settings.get(key) or package_settings.get(key)
        if setting is not None:
            setting.check(value)
            values[key] = value
        elif key.startswith(PREFIX):
            raise _unknown(key, value, [*package_settings, *host_settings])
    package_values = {
        _name_of(key): value for key, value in values.items() if key in package_settings
    }
    return Settings(**package_values, of_host={key: values[key] for key in host_settings})


@cache
def declared() -> Mapping[str, Setting]:
    """Return the settings of this package, by key."""
    hints, defaults = get_type_hints(Settings), Settings()
    return {
        PREFIX + field.name.upper(): Setting(
            PREFIX + field.name.upper(),
            hints[field.name],
            getattr(defaults, field.name),
            field.metadata["meaning"],
            field.metadata["at_least"],
            field.metadata["at_most"],
        )
        for field in fields(Settings)
        if field.metadata
    }


def feature_of(key: str, names: Iterable[str]) -> str | None:
    """Return which feature in `names` a setting of this package belongs to, or None.

    A setting may name its feature. Otherwise it is the one with the longest matching prefix.
    """
    name = _name_of(key)
    feature: str | None = Settings.__dataclass_fields__[name].metadata["feature"]
    prefixes = (prefix for prefix in names if name == prefix or name.startswith(f"{prefix}_"))
    return feature or max(prefixes, key=len, default=None)


def _name_of(key: str) -> str:
    return key.removeprefix(PREFIX).lower()


def _unknown(key: str, value: Any, keys: list[str]) -> ConfigurationError:
    nearest = difflib.get_close_matches(key, keys, n=1, cutoff=0.0)[0]
    return ConfigurationError(
        f"{key} is not a setting of Flask-PKCE-Server. The nearest is {nearest}.",
        write=f'app.config["{nearest}"] = {value!r}',
    )
