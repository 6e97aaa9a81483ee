"""Write docs/configuration.md from `Settings`, the one place where settings are listed.

python docs/make_configuration.py
"""

from __future__ import annotations

import json
import types
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from flask_pkce_server.features import FEATURES
from flask_pkce_server.settings import PREFIX, Settings

PAGE = Path(__file__).parent / "configuration.md"

BEFORE = """\
# Configuration

<!-- Made by docs/make_configuration.py; change flask_pkce_server/settings.py instead. -->

Settings are keys of `app.config`, set before `pkce.init_app(app)`. Their values are JSON types, so
that each can come from the environment by Flask's own `app.config.from_prefixed_env()`:
`FLASK_PKCE_ISSUER=https://notes.example`, `FLASK_PKCE_SQLITE_PRAGMAS=true` (JSON, in small).

A value of the wrong type, an unknown `PKCE_` key or an unsafe set-up raises `ConfigurationError`
when the app starts. The error ends with the line to write.

| Setting | Type | Default | Meaning | Room |
|---|---|---|---|---|
"""

AFTER = """
Where a room is named, the setting belongs to it and is refused if `PKCE_FEATURES` leaves that room
out. The rooms {core} cannot be left out.

## Keys of others

| Setting | What it has to be |
|---|---|
| `SECRET_KEY` | Text, long and random. Outside debug and testing at least 16 characters, 8 of \
them different; `flask pkce doctor` asks for 32. |
| `SQLALCHEMY_DATABASE_URI` | Flask-SQLAlchemy's; read by `db.init_app(app)`, which comes first. |
| `SESSION_COOKIE_SAMESITE` | `"Lax"` or unset. With `"Strict"` a user who comes from a client \
looks signed out. |
| `SESSION_COOKIE_SECURE` | `True` where the issuer is https. |
"""


def page() -> str:
    """Return the text of the page."""
    hints = get_type_hints(Settings)
    rooms = {key: room.name for room in FEATURES for key in room.settings}
    rows = [
        f"| `{key}` | {in_words(hints[setting.name])} | {default(setting)} "
        f"| {meaning(setting)} | {f'`{rooms[key]}`' if key in rooms else ''} |\n"
        for setting in fields(Settings)
        for key in [PREFIX + setting.name.upper()]
    ]
    core = ", ".join(f"`{room.name}`" for room in FEATURES if room.core)
    return BEFORE + "".join(rows) + AFTER.format(core=core)


def in_words(hint: Any) -> str:
    """Return what a reader calls the type `hint`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is types.UnionType:
        return " or ".join(in_words(one) for one in arguments)
    if origin is Literal:
        return " or ".join(f'`"{one}"`' for one in arguments)
    if origin is list:
        return f"list of {in_words(arguments[0])}"
    if origin is dict:
        return f"dict of name to {in_words(arguments[1])}"
    return {str: "text", int: "whole number", bool: "true or false", type(None): "unset"}[hint]


def default(setting: Field[Any]) -> str:
    """Return the default as it is written in JSON."""
    value = setting.default if setting.default_factory is MISSING else setting.default_factory()
    return "unset" if value is None else f"`{json.dumps(value)}`"


def meaning(setting: Field[Any]) -> str:
    """Return the sentence of the setting, with its bounds."""
    least, most = setting.metadata["at_least"], setting.metadata["at_most"]
    bounds = {"At least": least, "At most": most}
    said = (f"{which} {bound}." for which, bound in bounds.items() if bound is not None)
    return " ".join([setting.metadata["meaning"], *said])


if __name__ == "__main__":
    PAGE.write_text(page())
