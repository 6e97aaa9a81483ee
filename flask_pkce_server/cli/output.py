"""Output: how the commands print results and errors."""

from __future__ import annotations

import json
import time
from typing import Any

import click
from sqlalchemy.exc import DBAPIError

from ..errors import ConfigurationError, OAuth2Error

as_json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


def print_json(content: Any) -> None:
    """Print `content` as JSON."""
    click.echo(json.dumps(content, indent=2))


def print_lines(content: dict[str, Any]) -> None:
    """Print `content` as text: one name and value per line, without values that are unset."""
    for name, value in content.items():
        if value in (None, [], False, ""):
            continue
        text = " ".join(value) if isinstance(value, list) else value
        text = "yes" if value is True else text
        click.echo(f"{name:28}{text}")


def date(seconds: int) -> str:
    """Return epoch seconds as a date and time in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


class ReadableErrors:
    """A context manager that turns errors an operator can fix into a `click.ClickException`."""

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
