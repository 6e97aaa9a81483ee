"""Setting: one key of `app.config`, and the check of its value."""

from __future__ import annotations

import types
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

from ..errors import ConfigurationError

PREFIX = "PKCE_"


@dataclass(frozen=True)
class Setting:
    """A key of `app.config` with its type, its default and its meaning.

    `kind` is a type of JSON values: `int`, `str | None`, `list[str]`, `Literal["a", "b"]`.
    `at_least` and `at_most` are the bounds of a number. `server.settings["PKCE_..."]` returns
    the value.
    """

    key: str
    kind: Any
    default: Any
    meaning: str
    at_least: int | None = None
    at_most: int | None = None

    def check(self, value: Any) -> None:
        """Check the type and the bounds of `value`; raises `ConfigurationError`."""
        at_least, at_most = self.at_least, self.at_most
        if (
            _fits(value, self.kind)
            and (at_least is None or value >= at_least)
            and (at_most is None or value <= at_most)
        ):
            return
        wanted = _in_words(self.kind) + (f", {at_least} or more" if at_least is not None else "")
        wanted += f", {at_most} at most" if at_most is not None else ""
        is_plain = isinstance(self.default, str | int)
        value_to_write = self.default if is_plain else _example(self.kind)
        raise ConfigurationError(
            f"{self.key} is {value!r}, and must be {wanted}. {self.meaning}",
            write=f'app.config["{self.key}"] = {value_to_write!r}',
        )


def _fits(value: Any, hint: Any) -> bool:
    """Return whether `value` has the type `hint`; True does not count as a number."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is types.UnionType:
        return any(_fits(value, kind) for kind in arguments)
    if origin is Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(
            _fits(name, arguments[0]) and _fits(item, arguments[1]) for name, item in value.items()
        )
    return type(value) is hint


def _in_words(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is types.UnionType:
        return " or ".join(_in_words(kind) for kind in arguments)
    if origin is Literal:
        return " or ".join(repr(choice) for choice in arguments)
    if origin is list:
        return f"a list, each item {_in_words(arguments[0])}"
    if origin is dict:
        return f"a dict of names, each with {_in_words(arguments[1])}"
    return {
        str: "text",
        int: "a whole number",
        bool: "true or false",
        type(None): "None",
    }[hint]


def _example(hint: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is types.UnionType:
        return _example(arguments[0])
    if origin is list:
        return []
    if origin is dict:
        return {"name": _example(arguments[1])}
    return {str: "...", bool: True}[hint]


def field_of_settings(
    default: Any,
    meaning: str,
    *,
    at_least: int | None = None,
    at_most: int | None = None,
    feature: str | None = None,
) -> Any:
    """Return the dataclass field of a setting of this package.

    `feature` names the feature that the setting belongs to, if its name does not begin with it.
    """
    metadata = {
        "meaning": meaning,
        "at_least": at_least,
        "at_most": at_most,
        "feature": feature,
    }
    if isinstance(default, dict | list):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)
