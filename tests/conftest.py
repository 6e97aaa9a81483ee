"""What the tests share: the host app, a signed-in browser, the registered clients."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_pkce_server.testing import plugin

from .ephemeral import kept_in
from .host import lending, make_app, sign_in
from .services import at_the_end, missing

NODE = Path(__file__).parent / "node"
#: What a quick run leaves out; the meanings are in pyproject.toml.
LEFT_OUT = ("browser", "node", "services", "programs", "thorough")
left_out = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    # An environment that was set up before the plugin had its entry point, or without them.
    if not config.pluginmanager.has_plugin("pkce"):
        config.pluginmanager.register(plugin, "pkce")
    # A complete run has an app for each test: nothing that a test leaves behind helps another.
    lending.is_on = not config.option.all


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run what a quick run leaves out, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to `make test-all` what needs more than Python, or takes its time."""
    # Who asks by name, as in `-m browser`, is not put off.
    if config.option.all or config.option.markexpr:
        return
    later = [item for item in items if any(map(item.get_closest_marker, LEFT_OUT))]
    config.stash[left_out] = len(later)
    config.hook.pytest_deselected(items=later)
    items[:] = [item for item in items if item not in set(later)]


def pytest_sessionfinish(session: pytest.Session) -> None:
    # A worker of xdist tells the process that reports.
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(left_out, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[left_out] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if number := config.stash.get(left_out, 0):
        terminalreporter.section("left out", sep="=", yellow=True, bold=True)
        terminalreporter.write_line(
            f"{number} tests that need browsers, Node, servers or databases, or take their time: "
            "make test-all",
            yellow=True,
            bold=True,
        )


def pytest_unconfigure() -> None:
    at_the_end.close()


@pytest.fixture(scope="session", autouse=True)
def _few_signing_keys(pkce_signing_keys: None) -> None:
    """Every test shares the signing keys."""


@pytest.fixture
def ephemeral(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The settings for where what is short-lived is: in the database, unless a test says more."""
    with kept_in(getattr(request, "param", "database")) as settings:
        yield settings


@pytest.fixture
def app(ephemeral: dict[str, str]) -> Iterator[Flask]:
    """The host app, on SQLite in memory."""
    with lending.app(make_app, **ephemeral) as app:
        yield app


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
