"""Clients that we did not write, on Node: login, consent, API, refresh, revocation."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from flask_pkce_server.testing import register

from ..live import decide, served_host

pytestmark = pytest.mark.programs

URI = "http://127.0.0.1:8765/callback"


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
