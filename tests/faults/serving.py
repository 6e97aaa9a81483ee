"""The host of the tests on gunicorn, with worker processes that can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import func, select

from flask_pkce_server.models.token import Token
from flask_pkce_server.testing import register, server_of

from ..growing.programs import free_port, stop
from ..host import make_app
from .exchange import send
from .load import Load

ROOT = Path(__file__).parents[2]
WORKERS = 2
FACTORY = """
import json, os
from tests.host import make_app

def create_app():
    app = make_app(init=False, **json.loads(os.environ["HOST_CONFIG"]))
    app.pkce.init_app(app)
    return app
"""


@dataclass
class Serving:
    """A host that answers, and what looks into its database."""

    app: Flask
    load: Load
    process: subprocess.Popen[bytes]

    def kill_a_worker(self) -> bool:
        """Kill the worker that lives longest; return whether there was one."""
        master = self.process.pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        if children:
            os.kill(int(children[0]), signal.SIGKILL)
        return bool(children)

    def seconds_until_served(self) -> float:
        """Wait until a user, a client and an API are served again; return how long it took."""
        began, cookies = time.monotonic(), None
        while time.monotonic() - began < 30:
            try:
                cookies = cookies or self.load.sign_in()
            except AssertionError:
                continue
            code, verifier = self.load.code(cookies)
            if code is not None and self.load.redeem(code, verifier, twice=False):
                return time.monotonic() - began
        raise AssertionError("nobody is served")

    def chains_with_two_ends(self) -> int:
        """Count the grants with more than one refresh token that was not used yet."""
        with self.app.app_context(), server_of(self.app).store.reading() as session:
            chains = (
                select(Token.grant_id)
                .where(Token.kind == "refresh", Token.consumed_at.is_(None))
                .group_by(Token.grant_id)
                .having(func.count() > 1)
            )
            return len(session.scalars(chains).all())


@contextmanager
def serving(folder: Path, url: str, **config: Any) -> Iterator[Serving]:
    """Serve the host of the tests on the database at `url`."""
    port = free_port()
    config = {
        "TESTING": False,
        "SQLALCHEMY_DATABASE_URI": url,
        "PKCE_ISSUER": f"http://127.0.0.1:{port}",
        # A client may wait out an outage before it repeats what got no answer.
        "PKCE_REFRESH_TOKEN_GRACE": 60,
        # Then a call of an API writes something, now and then.
        "PKCE_CONNECTED_APPS_NOTE_USE": True,
        **config,
    }
    app = make_app(**config)
    client = register(app, skip_consent=True)
    (folder / "faulty.py").write_text(FACTORY)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        "HOST_CONFIG": json.dumps(config),
        # gunicorn leaves a socket there.
        "HOME": str(folder),
    }
    command = [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--threads", "4"]
    # Preloaded, so that a worker that takes the place of a killed one serves at once.
    command += ["--preload", "--bind", f"127.0.0.1:{port}", "--log-level", "warning"]
    command.append("faulty:create_app()")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        while send(port, "GET", "/oauth/jwks").status != 200:
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield Serving(app, Load(port, client), process)
    finally:
        stop(process)
        with app.app_context():
            app.db.engine.dispose()
