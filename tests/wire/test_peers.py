"""Peers: what a server answers that the operator named is refused in one short line of the log."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest

from flask_pkce_server.wire.fetch import FetchError
from flask_pkce_server.wire.peers import ask, post_form


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers as its path says, and notes which paths were asked for."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/elsewhere":
            self.send_response(307)
            self.send_header("Location", "/good")
        elif self.path == "/odd":
            self.send_response(500, "x\rERROR all is lost\x1b" + "x" * 9000)
        else:
            self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"a": 1}')

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def peer() -> Iterator[str]:
    Answering.asked.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_redirect_is_not_followed(peer: str) -> None:
    assert ask(f"{peer}/good") == {"a": 1}
    with pytest.raises(FetchError):
        ask(f"{peer}/elsewhere", {"token": "secret"}, {"Authorization": "Basic secret"})
    with pytest.raises(OSError, match="307"):
        post_form(f"{peer}/elsewhere", {"logout_token": "secret"})
    assert Answering.asked == ["/good", "/elsewhere", "/elsewhere"]


def test_an_odd_answer_is_one_short_line_without_our_secrets(
    peer: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(FetchError) as raised:
        ask(f"{peer}/odd", {"token": "secret"}, {"Authorization": "Basic secret"})
    assert raised.value.__cause__ is None
    assert "HTTPError 500" in caplog.text
    assert not {"\r", "\x1b"} & {*caplog.text}
    assert len(caplog.text) < 600
    assert "secret" not in caplog.text
