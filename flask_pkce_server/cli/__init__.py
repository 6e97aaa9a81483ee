"""Commands: `flask pkce client`, `key`, `prune` and `doctor`."""

from __future__ import annotations

from flask.cli import AppGroup

from .client import client_commands
from .key import key_commands
from .upkeep import doctor, prune

pkce_commands = AppGroup("pkce", help="The OAuth 2.1 authorization server of this app.")
for _command in (client_commands, key_commands, prune, doctor):
    pkce_commands.add_command(_command)
