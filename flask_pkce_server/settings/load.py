"""Load: what the host has decided in `app.config`, checked once when the app starts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

from ..errors import ConfigurationError
from . import PREFIX, Setting, Settings


def load(config: Mapping[str, Any], of_host: Iterable[Setting] = ()) -> Settings:
    """Read and check the `PKCE_*` keys of `config`.

    `of_host` are the settings of features that the host added. Raises `ConfigurationError` for
    a key that nobody declares and for a value of the wrong type.
    """
    ours, theirs = declared(), {setting.key: setting for setting in of_host}
    values = {key: setting.default for key, setting in theirs.items()}
    for key, value in config.items():
        setting = theirs.get(key) or ours.get(key)
        if setting is not None:
            setting.check(value)
            values[key] = value
        elif key.startswith(PREFIX):
            raise _unknown(key, value, [*ours, *theirs])
    own = {_name_of(key): value for key, value in values.items() if key in ours}
    return Settings(**own, of_host={key: values[key] for key in theirs})


@cache
def declared() -> Mapping[str, Setting]:
    """Return the settings of this package, by their keys."""
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
    """Return which of the features `names` a setting of this package belongs to.

    The one whose name its own begins with, unless it says another; None if to none.
    """
    name = _name_of(key)
    named: str | None = Settings.__dataclass_fields__[name].metadata["feature"]
    fitting = (one for one in names if name == one or name.startswith(f"{one}_"))
    return named or max(fitting, key=len, default=None)


def _name_of(key: str) -> str:
    return key.removeprefix(PREFIX).lower()


def _unknown(key: str, value: Any, known: list[str]) -> ConfigurationError:
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
    return ConfigurationError(
        f"{key} is not a setting of Flask-PKCE-Server. The nearest is {nearest}.",
        write=f'app.config["{nearest}"] = {value!r}',
    )
