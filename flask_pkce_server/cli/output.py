"""What the commands print, and how their failures read."""

from __future__ import annotations

import json
import time
from typing import Any

import click
from sqlalchemy.exc import DBAPIError

from ..errors import ConfigurationError, OAuth2Error

as_json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


def print_json(content: Any) -> None:
    """Print `content` for a program."""
    click.echo(json.dumps(content, indent=2))


def print_lines(content: dict[str, Any]) -> None:
    """Print what is set of `content` for a person, a name and a value a line."""
    for name, value in content.items():
        if value in (None, [], False, ""):
            continue
        text = " ".join(value) if isinstance(value, list) else value
        text = "yes" if value is True else text
        click.echo(f"{name:28}{text}")


def date(seconds: int) -> str:
    """Return the UTC date and time of an epoch second."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


class ReadableErrors:
    """Turn the errors that an operator can do something about into a line of text."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, OAuth2Error | ConfigurationError):
            raise click.ClickException(getattr(error, "description", "") or str(error)) from None
        if isinstance(error, DBAPIError):
            reason = str(error.orig).partition("\n")[0]
            raise click.ClickException(
                f"The database refused: {reason}. Are the tables there? flask pkce doctor"
            ) from None
