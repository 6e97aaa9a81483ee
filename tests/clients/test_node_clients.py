"""Clients that we did not write, on Node: login, consent, API, refresh, revocation."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from flask_pkce_server.testing import register

from ..live import decide, served_host
from ..services import missing

NODE = Path(__file__).parent.parent / "node"
URI = "http://127.0.0.1:8765/callback"


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the packages; they are installed into it where they are not yet."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        missing("no Node.js with npm here")
    if (NODE / "node_modules" / "oauth4webapi").exists():
        return NODE
    # Several workers may come here at once: each takes a copy of its own.
    folder = tmp_path_factory.mktemp("node")
    for file in NODE.glob("*.*"):
        shutil.copy(file, folder)
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        missing(f"the packages for Node cannot be installed: {done.stderr[-200:]}")
    return folder


@pytest.mark.node
@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
def test_oauth4webapi(packages: Path, tmp_path: Path, method: str) -> None:
    with served_host(tmp_path) as (address, app):
        # An id that the client percent-encodes in Basic, and one way to read it.
        known = register(app, auth_method=method, redirect_uris=(URI,), client_id="node_client-1")
        arguments = [address, known.client_id, method, known.client_secret or "", URI]
        with subprocess.Popen(
            ["node", "oauth4webapi.mjs", *arguments],
            cwd=packages,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as client:
            sent_to = decide(client.stdout.readline().strip())
            output, _ = client.communicate(sent_to + "\n", timeout=60)
    assert client.returncode == 0
    assert json.loads(output) == {
        "name": "Ada Lovelace",
        "afterRefresh": 200,
        "afterRevocation": 401,
    }
