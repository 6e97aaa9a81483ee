"""Commands: `flask pkce client`, `key`, `user`, `import`, `prune`, `stats` and `doctor`."""

from __future__ import annotations

from flask.cli import AppGroup

from .client import client_commands
from .imports import import_
from .key import key_commands
from .stats import stats
from .upkeep import doctor, prune
from .user import user_commands

pkce_commands = AppGroup("pkce", help="The OAuth 2.1 authorization server of this app.")
for _command in (client_commands, key_commands, user_commands, import_, prune, stats, doctor):
    pkce_commands.add_command(_command)
