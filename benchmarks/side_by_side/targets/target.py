"""What every target is: an OAuth server on a database of its own, set up to be measured."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from abc import ABC, abstractmethod
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ..browser import Browser
from ..database import Database
from ..load import basic
from ..server import ROOT, Server, environment, free_port, running

#: Where clients are called back; nothing is there.
REDIRECT_URI = "https://client.example/cb"
#: The one user of each target.
USERNAME, PASSWORD = "ada", "correct horse battery staple"
#: Secrets of the clients that have one.
SECRET = "9fJ2mW7qLx4RtB8vKc3ZpN6sHd1YgA5e"
SECRET_KEY = "a9c1f37be5d84260b7e2930d4c6f8a15"
#: The code_verifier of every request, and its code_challenge (RFC 7636).
VERIFIER = secrets.token_urlsafe(32)
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@cache
def signing_key() -> str:
    """Return an RSA key as PEM, for the targets that make none themselves."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@dataclass(frozen=True)
class Client:
    """A client that is registered at a target."""

    client_id: str
    secret: str = ""


@dataclass(frozen=True)
class Paths:
    """Where the endpoints of a target are; empty if it has no such endpoint."""

    authorize: str
    token: str
    introspection: str
    userinfo: str
    discovery: str
    jwks: str
    guarded: str
    open_view: str = ""


class Target(ABC):
    """An authorization server to measure."""

    name: str
    paths: Paths
    #: Scopes that give a refresh token and open the guarded view, without and with an ID token.
    scope = "profile offline_access"
    openid_scope = "openid profile offline_access"
    #: Seconds during which a refresh token that was rotated still works.
    grace = 0
    #: The clients. The last one gets JWTs as access tokens, if the target has such clients.
    public = Client("public")
    confidential = Client("confidential", SECRET)
    resource_server = Client("resource-server", SECRET)
    jwt_client: Client | None = None
    #: Servers next to the main one, by the job's name for it: some jobs need other settings.
    servers: tuple[str, ...] = ("main",)
    #: The distributions whose versions tell what was measured.
    distributions: tuple[str, ...] = ()

    def version(self) -> str:
        """Return what was measured, with versions."""
        return ", ".join(f"{name} {version(name)}" for name in self.distributions)

    def left_out(self) -> str:
        """Return why this target can't be measured here; empty if it can."""
        return ""

    @abstractmethod
    def prepare(self, database: Database) -> None:
        """Create the tables, the user and the clients."""

    @abstractmethod
    def variables(self, database: Database, server: str) -> dict[str, str]:
        """Return the environment variables that configure a server."""

    def fill(self, database: Database, module: str, argument: object) -> None:
        """Run a module of the apps that creates the tables and fills them."""
        name = f"benchmarks.side_by_side.apps.{module}"
        subprocess.run(  # noqa: S603 - own program
            [sys.executable, "-m", name, json.dumps(argument)],
            env=environment(**self.variables(database, "main")),
            cwd=ROOT,
            check=True,
        )

    @abstractmethod
    def command(self, server: str, port: int) -> list[str]:
        """Return the command that starts a server."""

    @contextmanager
    def running(self, database: Database, server: str = "main") -> Iterator[Server]:
        """Run one of the target's servers."""
        port = free_port()
        variables = environment(**self.variables(database, server), PORT=str(port))
        ready = self.paths.discovery if server != "host" else self.paths.open_view
        with running(self.command(server, port), port, variables, ready) as server_running:
            yield server_running

    def signed_in(self, port: int) -> Browser:
        """Return a browser in which the user has signed in."""
        browser = Browser(port)
        browser.sign_in("/login", {"username": USERNAME, "password": PASSWORD})
        return browser

    def authorization_path(self, client: Client, scope: str) -> str:
        """Return the path and the query of an authorization request."""
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": REDIRECT_URI,
            "scope": scope,
            "state": "xyz",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        if "openid" in scope.split():
            query["nonce"] = secrets.token_hex(8)
        return f"{self.paths.authorize}?{urlencode(query)}"

    def introspection_headers(self) -> dict[str, str]:
        """Return the headers with which the resource server authenticates."""
        client = self.resource_server
        return {"Authorization": basic(client.client_id, client.secret)}
