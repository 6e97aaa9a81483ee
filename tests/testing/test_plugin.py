"""The pytest plugin: what a host's own tests get, and what they do not pay for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import flask_pkce_server
from flask_pkce_server import testing
from flask_pkce_server.protocol import key_material

ROOT = Path(__file__).parents[2]

CONFTEST = """
import pytest
from tests.host import make_app, sign_in

@pytest.fixture
def app():
    return make_app()

@pytest.fixture
def client(app):
    return sign_in(app)
"""
TESTS = """
from flask_pkce_server.protocol import key_material

MADE = key_material.new_private_key

def test_the_fixtures_are_there(pkce_flow, pkce_clock, pkce_register):
    assert pkce_flow.tokens()["token_type"] == "Bearer"
    assert pkce_register(name="Other").client_id
    assert pkce_clock() == pkce_flow.server.clock()

def test_nothing_was_replaced_without_being_asked_for():
    assert key_material.new_private_key is MADE

def test_keys_are_shared_when_asked_for(pkce_signing_keys):
    assert key_material.new_private_key is not MADE
"""


@pytest.mark.programs
def test_a_host_gets_the_fixtures_and_nothing_that_it_did_not_ask_for(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_host.py").write_text(TESTS)
    done = subprocess.run(
        # As the entry point does it, which an older environment does not have.
        [
            *[sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:pkce"],
            *["-p", "flask_pkce_server.testing.plugin"],
            *["-W", "error", "-W", "ignore:unclosed database:ResourceWarning"],
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.programs
def test_loading_the_plugin_imports_neither_flask_nor_sqlalchemy() -> None:
    folder = Path(flask_pkce_server.__file__).parent
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, types\n"
            # The package itself, whose names a host imports, stands empty here.
            "package = sys.modules['flask_pkce_server'] = types.ModuleType('flask_pkce_server')\n"
            f"package.__path__ = [{str(folder)!r}]\n"
            "import flask_pkce_server.testing.plugin\n"
            "print({'flask', 'sqlalchemy', 'authlib', 'cryptography'} & set(sys.modules))",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "set()", done.stdout + done.stderr


def test_what_a_host_imports_is_there() -> None:
    assert all(getattr(testing, name) for name in testing.__all__)
    with pytest.raises(AttributeError):
        testing.Registered  # noqa: B018 - as an import would


def test_the_signing_keys_take_turns() -> None:
    keys = [key_material.new_private_key("ES256") for _ in range(17)]
    assert keys[0] is keys[16]
