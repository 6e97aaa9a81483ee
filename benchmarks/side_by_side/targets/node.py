"""node-oidc-provider: its latest release, with a PostgreSQL adapter, in two processes."""

from __future__ import annotations

import json
import shutil
import subprocess

from ..browser import Browser
from ..database import Database
from ..server import ROOT, environment
from .target import REDIRECT_URI, SECRET, SECRET_KEY, Paths, Target, signing_key

FOLDER = ROOT / "benchmarks" / "node"


class Node(Target):
    """The provider for Node, which keeps its clients in memory."""

    name = "node-oidc-provider"
    paths = Paths(
        authorize="/auth",
        token="/token",
        introspection="/token/introspection",
        userinfo="/me",
        discovery="/.well-known/openid-configuration",
        jwks="/jwks",
        guarded="/api/me",
    )

    def version(self) -> str:
        package = FOLDER / "node_modules" / "oidc-provider" / "package.json"
        return f"oidc-provider {json.loads(package.read_text())['version']}"

    def left_out(self) -> str:
        if shutil.which("node") is None:
            return "there is no node on this machine"
        if not (FOLDER / "node_modules" / "oidc-provider").exists():
            return "npm has not installed it: run npm install in benchmarks/node"
        return ""

    def prepare(self, database: Database) -> None:
        variables = environment(**self.variables(database, "main"))
        command = [*self.command("main", 0), "fill"]
        subprocess.run(command, env=variables, check=True, capture_output=True)  # noqa: S603 - own program

    def command(self, server: str, port: int) -> list[str]:
        return ["node", "--no-deprecation", str(FOLDER / "server.js")]

    def variables(self, database: Database, server: str) -> dict[str, str]:
        return {
            "NODE_ENV": "production",
            "ISSUER": "http://127.0.0.1:5000",
            "DATABASE": database.url(),
            "SECRET_KEY": SECRET_KEY,
            "SIGNING_KEY": signing_key(),
            "REDIRECT_URI": REDIRECT_URI,
            "SECRET": SECRET,
        }

    def signed_in(self, port: int) -> Browser:
        # It signs the user in, and asks for consent, on the way of an authorization request.
        browser = Browser(port)
        for client in (self.public, self.confidential):
            first = browser.get(self.authorization_path(client, self.openid_scope))
            answer = browser.follow(first)
            assert "code" in answer.sent_back(), answer.head
        return browser
