"""What these tests ask for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_pkce_server import client_registered

from ...host import lending, make_app


@pytest.fixture
def app() -> Iterator[Flask]:
    with lending.app(make_app, PKCE_REFRESH_TOKEN_WHEN="always") as app:
        yield app


@pytest.fixture
def run(app: Flask, tmp_path: Path) -> Callable[..., str]:
    """Give a function that imports `content` and returns what the command printed."""

    def invoke(product: str, content: Any, *args: str, code: int = 0, on: Flask = app) -> str:
        file = tmp_path / "export.json"
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        file.write_bytes(raw)
        command = ["pkce", "import", "--from", product, str(file), *args]
        result = on.test_cli_runner().invoke(args=command)
        assert result.exit_code == code, result.output
        return result.output

    return invoke


@pytest.fixture
def report(run: Callable[..., str]) -> Callable[..., dict]:
    """Give a function that imports `content` and returns the report."""
    return lambda product, content, *args, **more: json.loads(
        run(product, content, "--json", *args, **more)
    )


@pytest.fixture(autouse=True)
def _nobody_listens_on() -> Iterator[None]:
    before = dict(client_registered.receivers)
    yield
    client_registered.receivers.clear()
    client_registered.receivers.update(before)
