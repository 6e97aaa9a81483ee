"""How many calls a request makes, and how often they change the file: the shape of the code.

    python benchmarks/call_counts.py

Counted with `sys.setprofile` in one process: every call into Python code of this package and of
Authlib, from the WSGI app to its answer, each step of a generator included; not those of Flask,
of SQLAlchemy, or of the test client. A change of file is two such calls in a row that are in
different files. The numbers do not depend on the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import authlib
from flask import Flask

import flask_pkce_server
from flask_pkce_server.testing import Flow, register

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
OURS = (str(Path(flask_pkce_server.__file__).parent), str(Path(authlib.__file__).parent))


class Walk:
    """The calls of one request."""

    def __init__(self) -> None:
        self.files: list[str] = []

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(OURS):
            self.files.append(code.co_filename)

    @property
    def changes(self) -> int:
        """How often two calls in a row are in different files."""
        return sum(one != other for one, other in zip(self.files, self.files[1:], strict=False))


@contextmanager
def counted(app: Flask, name: str) -> Iterator[None]:
    """Count what `app` calls in answer to a request, and print it."""
    walk, answer = Walk(), app.wsgi_app

    def profiled(*arguments: Any) -> Any:
        sys.setprofile(walk)
        try:
            return answer(*arguments)
        finally:
            sys.setprofile(None)

    app.wsgi_app = profiled  # type: ignore[method-assign]
    try:
        yield
    finally:
        app.wsgi_app = answer  # type: ignore[method-assign]
    print(f"{name:28} {len(walk.files):5} calls {walk.changes:5} changes of file")


def main() -> None:
    """Walk through the requests that matter, each warm."""
    from tests.conftest import sign_in
    from tests.host import make_app

    app = make_app(PKCE_FEATURES={"registration": True})
    flow = Flow(sign_in(app), register(app), scope="profile offline_access")
    program = app.test_client(use_cookies=False)

    def twice(name: str, request: Callable[[], Any], status: int) -> None:
        assert request().status_code == status
        with counted(app, name):
            assert request().status_code == status

    flow.tokens()
    code = flow.allow()["code"]
    with counted(app, "redeem a code"):
        tokens = flow.redeem(code).get_json()
    with counted(app, "refresh"):
        tokens = flow.refresh(tokens["refresh_token"]).get_json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    twice("GET a guarded view", lambda: program.get("/api/me", headers=headers), 200)
    twice("a remembered authorization", flow.authorize, 302)
    twice("a wrong token request", lambda: flow.redeem("fpk_ac_wrong"), 400)
    numbers = iter(range(9))
    twice(
        "POST /register",
        lambda: program.post(
            "/oauth/register",
            json={
                "client_name": f"Number {next(numbers)}",
                "redirect_uris": ["https://new.example/cb"],
            },
        ),
        201,
    )
    twice("discovery", lambda: program.get("/.well-known/openid-configuration"), 200)


if __name__ == "__main__":
    main()
