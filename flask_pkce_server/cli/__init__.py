"""Commands: `flask pkce client`, `key`, `user`, `import`, `prune`, `stats` and `doctor`."""

from __future__ import annotations

from importlib import import_module

import click
from flask.cli import AppGroup

#: Each command with its module and its name there: a worker imports none of them.
_COMMANDS = {
    "client": ("client", "client_commands"),
    "doctor": ("upkeep", "doctor"),
    "import": ("imports", "import_"),
    "key": ("key", "key_commands"),
    "prune": ("upkeep", "prune"),
    "stats": ("stats", "stats"),
    "user": ("user", "user_commands"),
}


class _Commands(AppGroup):
    """The commands, imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f".{module}", __name__), name)
        return command


pkce_commands = _Commands("pkce", help="The OAuth 2.1 authorization server of this app.")
