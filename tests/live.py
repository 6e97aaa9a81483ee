"""A host app on a real loopback port, and a person who signs in and decides there."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests
from flask import Flask
from werkzeug.serving import make_server

from flask_pkce_server.testing import hidden_fields

from .host import make_app


@contextmanager
def served(app: Flask, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve `app` on a loopback port, a free one where none is said; give its address."""
    server = make_server("127.0.0.1", port, app, threaded=True, ssl_context=tls)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def served_host(
    tmp_path: Path, issuer_path: str = "", tls: ssl.SSLContext | None = None, **config: Any
) -> Iterator[tuple[str, Flask]]:
    """Serve the host of the tests, with its address and `issuer_path` for an issuer."""
    scheme, port = "http" if tls is None else "https", _free_port()
    app = make_app(
        PKCE_ISSUER=f"{scheme}://127.0.0.1:{port}{issuer_path}",
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db",
        PKCE_SQLITE_PRAGMAS=True,
        **config,
    )
    try:
        with served(app, port, tls) as address:
            yield address, app
    finally:
        with app.app_context():
            app.db.engine.dispose()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def decide(url: str, decision: str = "allow") -> str:
    """Visit `url` as a person would, sign in as Ada, decide; return where the browser is sent."""
    with requests.Session() as browser:
        return decide_in(browser, url, decision)


def decide_in(browser: requests.Session, url: str, decision: str = "allow") -> str:
    """Do so in a browser that stays open and remembers that Ada signed in."""
    page = browser.get(url)
    if "<h1>Sign in</h1>" in page.text:
        page = browser.post(page.url, data={"username": "ada"})
    form = {**hidden_fields(page.text), "decision": decision}
    answer = browser.post(action_of(page), data=form, allow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def action_of(page: requests.Response) -> str:
    """Return where the form of the consent page is sent; a layout may have forms of its own."""
    form = r'<form[^>]* action="([^"]*)">(?:(?!</form>).)*name="request"'
    return urljoin(page.url, re.search(form, page.text, re.DOTALL)[1])
