"""Client options: what `client create` and `client update` can set."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
from flask.cli import ScriptInfo

from ..protocol.contract import Server
from ..protocol.feature import ClientField

F = TypeVar("F", bound=Callable[..., Any])


class ClientCommand(click.Command):
    """A command with an option for each client metadata member that the operator may set."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        app = ctx.ensure_object(ScriptInfo).load_app()
        fields = app.extensions["pkce"].registrar.fields.values()
        options = [_option_of(field) for field in fields if "operator" in field.said_by]
        return [*super().get_params(ctx), *options]


def _option_of(field: ClientField) -> click.Option:
    multiple = field.kind == list[str]
    return click.Option(
        [_spelled(field), field.name],
        type=_JsonFile() if field.kind == dict[str, Any] else _choice_of(field),
        default=None,
        multiple=multiple,
        help=field.meaning,
    )


def _choice_of(field: ClientField) -> click.Choice[str] | None:
    return click.Choice(field.choices) if field.choices else None


class _JsonFile(click.File):
    """An option type: a file that contains a JSON object, read while options are parsed."""

    def convert(self, value: Any, *args: Any) -> Any:
        try:
            with click.open_file(value) as file:
                content = json.load(file)
        except OSError as error:
            self.fail(f"{value}: {error.strerror}.", *args)
        except (ValueError, RecursionError):
            self.fail(f"{value} is not JSON.", *args)
        return content if isinstance(content, dict) else self.fail("It is no JSON object.", *args)


def _spelled(field: ClientField) -> str:
    name = "--" + field.name.replace("_", "-")
    if field.kind is bool:
        return f"{name}/{name.replace('--', '--no-', 1)}"
    return name.removesuffix("s") if field.kind == list[str] else name


def client_options(create: bool) -> Callable[[F], F]:
    """Return a decorator that adds the options describing a client; `create` requires a name."""

    def add(command: F) -> F:
        for option in reversed(
            (
                click.option(
                    "--name", required=create, help="The name that the consent page shows."
                ),
                click.option(
                    "--redirect-uri",
                    "redirect_uris",
                    multiple=True,
                    help="A redirect URI; can be given more than once.",
                ),
                click.option(
                    "--scope", help="The scopes it may ask for, separated by spaces; default: all."
                ),
                click.option(
                    "--grant-type",
                    "grant_types",
                    multiple=True,
                    help="Default: authorization_code and refresh_token.",
                ),
                click.option(
                    "--origin",
                    "origins",
                    multiple=True,
                    help="A web origin of its pages, in addition to those of its redirect URIs.",
                ),
                click.option(
                    "--skip-consent/--ask-consent",
                    "skip_consent",
                    default=None,
                    help="Never ask the user for consent; only for your own apps.",
                ),
            )
        ):
            command = option(command)
        return command

    return add


def _read_secret(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Return the secret in `--client-secret`, or the line that `-` stands for."""
    if value != "-":
        return value
    secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise click.BadParameter("There is no line on the standard input.")
    return secret


client_secret_option = click.option(
    "--client-secret",
    callback=_read_secret,
    help="As with --client-id; 32 characters or more. - reads a line of the standard input, which "
    "keeps the secret out of the shell's history and the list of processes.",
)


def read_scope(server: Server, text: str | None) -> frozenset[str] | None:
    """Return the scopes in `--scope`, or None if it was left out.

    Raises `click.ClickException` for a scope that is not declared.
    """
    if text is None:
        return None
    scopes = frozenset(text.split())
    unknown = scopes - server.scopes.keys()
    if unknown:
        raise click.ClickException(
            f"Not declared in PKCE_SCOPES: {' '.join(sorted(unknown))}. "
            f"Declared: {' '.join(server.scopes)}"
        )
    return scopes


def read_grant_types(server: Server, wanted: tuple[str, ...]) -> list[str]:
    """Return the grant types in `--grant-type`, by default those of a client that signs users in.

    Raises `click.ClickException` for a grant type that this server does not support.
    """
    supported = server.registrar.grant_types
    for grant_type in wanted:
        if grant_type not in supported:
            raise click.ClickException(
                f"There is no grant type {grant_type} here. There is: {', '.join(supported)}"
            )
    return list(wanted) or [
        grant_type
        for grant_type in ("authorization_code", "refresh_token")
        if grant_type in supported
    ]


def read_members(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata options that were given, by member name (RFC 7591 2)."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in metadata.items()
        if value not in (None, ())
    }
