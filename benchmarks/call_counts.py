"""Call counts: how many calls a request makes, and how often they cross from file to file.

    python benchmarks/call_counts.py

`sys.setprofile` counts every call of a Python function in this package or in Authlib while the
WSGI app answers, including each step of a generator. Calls in Flask, SQLAlchemy and the test
client are not counted. A change of file is two counted calls in a row in different files. The
numbers do not depend on the machine.
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
    """A profile function that records the calls of one request."""

    def __init__(self) -> None:
        self.files: list[str] = []

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(OURS):
            self.files.append(code.co_filename)

    @property
    def changes(self) -> int:
        """The number of times that two calls in a row are in different files."""
        return sum(
            file != following for file, following in zip(self.files, self.files[1:], strict=False)
        )


@contextmanager
def counted(app: Flask, name: str) -> Iterator[None]:
    """Count the calls that `app` makes to answer a request, and print the result."""
    walk, wsgi_app = Walk(), app.wsgi_app

    def profiled(*arguments: Any) -> Any:
        sys.setprofile(walk)
        try:
            return wsgi_app(*arguments)
        finally:
            sys.setprofile(None)

    app.wsgi_app = profiled  # type: ignore[method-assign]
    try:
        yield
    finally:
        app.wsgi_app = wsgi_app  # type: ignore[method-assign]
    print(f"{name:28} {len(walk.files):5} calls {walk.changes:5} changes of file")


def main() -> None:
    """Measure the most important requests, each after a warm-up."""
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
