"""What the tests share: the host app, a signed-in browser, the registered clients."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from .host import make_app, sign_in
from .services import THOROUGH, at_the_end, missing

pytest_plugins = ["flask_pkce_server.testing"]

NODE = Path(__file__).parent / "node"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to CI what takes its time and looks where others look too."""
    if not THOROUGH:
        later = [item for item in items if item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=later)
        items[:] = [item for item in items if item not in later]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not THOROUGH:
        terminalreporter.write_line(
            "A quick run: PKCE_TEST_ROUNDS=2 and more adds the tests that are marked thorough."
        )


def pytest_unconfigure() -> None:
    at_the_end.close()


@pytest.fixture
def app() -> Flask:
    """The host app, on SQLite in memory."""
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser in which Ada is signed in."""
    return sign_in(app)


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder with the packages for Node; they are installed into it where they are not yet."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        missing("no Node.js with npm here")
    with (NODE / "package.json").open() as wish:
        # Several workers may come here at once: one installs, and the others wait for it.
        fcntl.flock(wish, fcntl.LOCK_EX)
        wanted = json.load(wish)["dependencies"]
        if all((NODE / "node_modules" / name).exists() for name in wanted):
            return NODE
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"],
            cwd=NODE,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        missing(f"the packages for Node cannot be installed: {done.stderr[-200:]}")
    return NODE
