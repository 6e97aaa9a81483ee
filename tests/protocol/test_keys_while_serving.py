"""Keys rotate while workers serve: whoever keeps the JWKS for an hour never fails."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from joserfc import jws, jwt
from joserfc.jwk import KeySet

from flask_pkce_server.testing import RegisteredClient, challenge_of, new_verifier, register

from ..host import make_app
from ..services import own_database

pytestmark = [pytest.mark.services, pytest.mark.thorough]

ROOT = Path(__file__).parents[2]
WORKERS = 4
URI = "https://client.example/callback"

#: Each worker's app, by a clock that the test sets for all of them.
FACTORY = """
import os, time
from pathlib import Path
from tests.host import make_app

def create_app():
    app = make_app(
        init=False,
        TESTING=False,
        SQLALCHEMY_DATABASE_URI=os.environ["DATABASE"],
        PKCE_ISSUER=os.environ["ISSUER"],
    )
    app.pkce.init_app(app)
    ahead = Path(os.environ["CLOCK"])
    app.extensions["pkce"].clock = lambda: time.time() + float(ahead.read_text())

    @app.after_request
    def say_which(response):
        response.headers["X-Worker"] = str(os.getpid())
        return response

    return app
"""


class Serving:
    """The workers, their clock, and a client that keeps the JWKS for an hour."""

    def __init__(self, folder: Path, address: str, environment: dict[str, str]) -> None:
        self.address, self.environment = address, environment
        self.clock = folder / "clock"
        self.known: RegisteredClient | None = None
        self.tokens: list[str] = []
        self._keys: tuple[float, KeySet] | None = None

    def now(self) -> float:
        return time.time() + float(self.clock.read_text())

    def advance(self, seconds: int) -> None:
        # In one step: a worker must not read half a number.
        draft = self.clock.with_suffix(".draft")
        draft.write_text(str(float(self.clock.read_text()) + seconds))
        draft.replace(self.clock)

    def command(self, *args: str) -> None:
        command = [sys.executable, "-m", "flask", "--app", "served:create_app", "pkce", *args]
        subprocess.run(command, env=self.environment, check=True, capture_output=True)

    def keys(self) -> KeySet:
        if self._keys is None or self._keys[0] + 3600 <= self.now():
            answer = requests.get(f"{self.address}/oauth/jwks")
            self._keys = self.now(), KeySet.import_key_set(answer.json())
        return self._keys[1]

    def sign_in(self) -> tuple[str, str]:
        """Sign in; return the worker that signed and the ID token."""
        assert self.known is not None
        verifier = new_verifier()
        request = {
            "response_type": "code",
            "client_id": self.known.client_id,
            "redirect_uri": URI,
            "scope": "openid",
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        with requests.Session() as browser:
            browser.post(f"{self.address}/login", data={"username": "ada"}, allow_redirects=False)
            answer = browser.get(
                f"{self.address}/oauth/authorize", params=request, allow_redirects=False
            )
        code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
        form = {
            "grant_type": "authorization_code",
            "client_id": self.known.client_id,
            "code": code,
            "code_verifier": verifier,
        }
        answer = requests.post(f"{self.address}/oauth/token", data=form)
        assert answer.status_code == 200, answer.text
        return answer.headers["X-Worker"], answer.json()["id_token"]

    def verify_all(self) -> None:
        """Verify, with the keys that the client has, every token that has not expired."""
        for token in self.tokens:
            claims = jwt.decode(token, self.keys(), algorithms=["RS256"]).claims
            assert claims["sub"] == "1"
        self.tokens = [
            token
            for token in self.tokens
            if jwt.decode(token, self.keys(), algorithms=["RS256"]).claims["exp"] > self.now()
        ]

    def forget_what_was_signed(self) -> None:
        """Start anew, as a client does that was told that keys were compromised."""
        self.tokens.clear()
        self._keys = None

    def sign_in_at_each_worker(self) -> set[str]:
        """Sign in until every worker has signed; return the kids that they signed with."""
        kids: dict[str, set[str]] = {}
        for _ in range(80):
            worker, token = self.sign_in()
            self.tokens.append(token)
            kid = jws.extract_compact(token.encode()).headers()["kid"]
            kids.setdefault(worker, set()).add(kid)
            if len(kids) == WORKERS:
                self.verify_all()
                return set().union(*kids.values())
        raise AssertionError(f"only {len(kids)} workers answered")


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    (tmp_path / "served.py").write_text(FACTORY)
    (tmp_path / "clock").write_text("0")
    with own_database("postgresql") as url, socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
            "DATABASE": url,
            "ISSUER": address,
            "CLOCK": str(tmp_path / "clock"),
            # gunicorn leaves a socket there.
            "HOME": str(tmp_path),
        }
        app = make_app(SQLALCHEMY_DATABASE_URI=url, PKCE_ISSUER=address)
        serving = Serving(tmp_path, address, environment)
        serving.known = register(app, redirect_uris=(URI,), skip_consent=True)
        with app.app_context():
            app.db.engine.dispose()
        command = [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS)]
        command += ["--bind", f"fd://{listening.fileno()}", "--log-level", "warning"]
        started = subprocess.Popen(
            [*command, "served:create_app()"], env=environment, pass_fds=[listening.fileno()]
        )
        try:
            yield serving
        finally:
            started.terminate()
            started.wait(20)


def test_whoever_keeps_the_jwks_for_an_hour_never_fails(serving: Serving) -> None:
    # Workers that have just started need the first key at once, and agree on it.
    (old,) = serving.sign_in_at_each_worker()
    serving.command("key", "rotate")
    # Short of the lead by more than this test can take: the clock goes on meanwhile.
    for _ in range(3):
        serving.advance(2300)
        assert serving.sign_in_at_each_worker() == {old}
    serving.advance(360)
    (new,) = serving.sign_in_at_each_worker()
    assert new != old
    serving.advance(3000)
    assert serving.sign_in_at_each_worker() == {new}

    # Compromised keys are gone after five seconds, and no worker signs with them after a minute.
    serving.command("key", "rotate", "--compromised")
    serving.advance(5)
    published = requests.get(f"{serving.address}/oauth/jwks").json()["keys"]
    assert new not in [key["kid"] for key in published]
    serving.advance(61)
    serving.forget_what_was_signed()
    assert not serving.sign_in_at_each_worker() & {old, new}
