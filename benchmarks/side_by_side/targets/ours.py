"""The example app on this package, run as `docs/deployment.md` says."""

from __future__ import annotations

import json
import subprocess
import sys

from ..database import Database
from ..server import ROOT, environment, gunicorn
from .target import PASSWORD, REDIRECT_URI, SECRET_KEY, USERNAME, Client, Paths, Target


class Ours(Target):
    """The example app on this package."""

    name = "ours"
    distributions = ("Flask-PKCE-Server", "SQLAlchemy")
    paths = Paths(
        authorize="/oauth/authorize",
        token="/oauth/token",
        introspection="/oauth/introspect",
        userinfo="/oauth/userinfo",
        discovery="/.well-known/openid-configuration",
        jwks="/oauth/jwks",
        guarded="/api/me",
        open_view="/open",
    )
    grace = 10
    #: signature: JWTs are not looked up. host: an app with one view, and no endpoint in use.
    servers = ("main", "signature", "host")

    def prepare(self, database: Database) -> None:
        self._database = database
        # The first command creates the tables.
        email = ["--password", PASSWORD, "--email", "ada@example.com"]
        self._flask("user", "create", USERNAME, *email)
        redirect, skip = ["--redirect-uri", REDIRECT_URI], ["--skip-consent"]
        self.public = self._client("--type", "public", *redirect, *skip)
        self.confidential = self._client("--type", "confidential", *redirect, *skip)
        self.jwt_client = self._client(
            "--type", "public", *redirect, *skip, "--access-token-format", "jwt"
        )
        self.resource_server = self._client("--type", "confidential", "--resource-server")

    def _client(self, *options: str) -> Client:
        command = ["pkce", "client", "create", "--name", "Benchmark", *options, "--json"]
        created = json.loads(self._flask(*command))
        return Client(created["client_id"], created.get("client_secret", ""))

    def _flask(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "flask", "--app", "example_app", *arguments]
        variables = environment(**self.variables(self._database, "main"))
        done = subprocess.run(  # noqa: S603 - own program
            command, env=variables, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: {done.stderr or done.stdout}")
        return done.stdout

    def command(self, server: str, port: int) -> list[str]:
        if server == "host":
            return gunicorn("benchmarks.side_by_side.apps.host:create_app(extension=True)", port)
        return gunicorn("example_app:create_app()", port)

    def variables(self, database: Database, server: str) -> dict[str, str]:
        variables = {
            "SECRET_KEY": SECRET_KEY,
            "HOST_DATABASE": database.url("postgresql+psycopg"),
            "FLASK_SECRET_KEY": SECRET_KEY,
            "FLASK_SQLALCHEMY_DATABASE_URI": database.url("postgresql+psycopg"),
            # Not on this computer, as in production: then there is no user demo.
            "FLASK_PKCE_ISSUER": "https://auth.example",
        }
        if server == "signature":
            variables["FLASK_PKCE_JWT_ACCESS_TOKEN_CHECK_REVOCATION"] = "false"
        return variables
