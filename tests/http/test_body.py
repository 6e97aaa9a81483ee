"""The body of a request to our endpoints is bounded before anything parses it."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask, request
from werkzeug.test import TestResponse

from flask_pkce_server.testing import server_of

from ..host import lending, make_app, sign_in
from ..live import served_host

FEATURES = {"registration": True, "developer_portal": True, "dialects": True}
FORM = "application/x-www-form-urlencoded"
#: Every route of ours that takes a POST, and one that takes a PUT.
PATHS = [
    *("authorize", "token", "revoke", "introspect", "userinfo", "logout", "par", "register"),
    *("register/x", "device_authorization", "device", "apps", "developer", "developer/x"),
]


@pytest.fixture
def app() -> Iterator[Flask]:
    with lending.app(make_app, PKCE_FEATURES=FEATURES) as app:
        yield app


def send(app: Flask, path: str, **what: Any) -> TestResponse:
    method = "PUT" if path == "register/x" else "POST"
    return sign_in(app).open(f"/oauth/{path}", method=method, **what)


def is_page(app: Flask, path: str) -> bool:
    name = {"register/x": "registered", "developer/x": "developer_app"}.get(path, path)
    return server_of(app).routes[f"pkce.{name}"].kind == "page"


def assert_refused(answer: TestResponse, status: int, sentence: str, *, page: bool) -> None:
    assert answer.status_code == status, answer.text
    assert sentence in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.mimetype == ("text/html" if page else "application/json")
    if not page:
        assert answer.get_json()["error"] == "invalid_request"


class Untouched(io.BytesIO):
    """A body that must not be read."""

    def read(self, *size: int) -> bytes:
        raise AssertionError("The body is read.")

    readline = readinto = read  # type: ignore[assignment]


def test_all_routes_that_take_a_body_are_tried(app: Flask) -> None:
    takers = {
        name.removeprefix("pkce.")
        for name, route in server_of(app).routes.items()
        if name and {"POST", "PUT"} & {*route.methods}
    }
    tried = {*PATHS, "registered", "developer_app"} - {"register/x", "developer/x"}
    assert takers == tried


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mimetype", [FORM, "application/json", "text/plain", ""])
def test_a_body_that_is_too_large_is_refused_unread(app: Flask, path: str, mimetype: str) -> None:
    answer = send(
        app,
        path,
        input_stream=Untouched(),
        content_type=mimetype,
        environ_overrides={"CONTENT_LENGTH": str(256 * 1024 + 1)},
    )
    assert_refused(answer, 413, "The body of the request is too large.", page=is_page(app, path))


@pytest.mark.parametrize("path", PATHS)
def test_multipart_is_refused_unread(app: Flask, path: str) -> None:
    answer = send(
        app,
        path,
        input_stream=Untouched(),
        content_type="multipart/form-data; boundary=B",
        environ_overrides={"CONTENT_LENGTH": "100"},
    )
    sentence = "Send a form as application/x-www-form-urlencoded, not as multipart/form-data."
    assert_refused(answer, 400, sentence, page=is_page(app, path))


def test_what_fits_is_read(app: Flask) -> None:
    # The endpoints of programs, 64 KiB; the forms of the portal, which list URIs, 256 KiB.
    for path, size in (("token", 64), ("register", 64), ("device", 64), ("developer", 256)):
        limit = size * 1024
        for length, too_large in ((limit, False), (limit + 1, True)):
            body = b"a=" + b"b" * (length - 2)
            answer = send(app, path, data=body, content_type=FORM)
            assert (answer.status_code == 413) is too_large


@pytest.mark.parametrize("path", ["token", "device"])
def test_a_body_of_unknown_length_is_bounded_too(app: Flask, path: str) -> None:
    def chunked(body: bytes) -> TestResponse:
        return send(
            app,
            path,
            input_stream=io.BytesIO(body),
            content_type=FORM,
            environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
        )

    small, large = chunked(b"grant_type=nothing&client_id=x"), chunked(b"a=" + b"b" * 65535)
    assert_refused(large, 413, "The body of the request is too large.", page=path == "device")
    assert small.status_code == 400
    assert path == "device" or small.get_json()["error"] == "unsupported_grant_type"


def test_a_server_on_a_socket_bounds_chunks(tmp_path: Path) -> None:
    def answer(address: str, *chunks: bytes) -> bytes:
        parts = urlsplit(address)
        head = (
            f"POST /oauth/token HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {FORM}\r\n"
            "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        )
        with socket.create_connection((parts.hostname, parts.port), 10) as connection:
            connection.sendall(head.encode() + b"".join(chunks))
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    with served_host(tmp_path) as (address, _):
        whole = b"12\r\ngrant_type=nothing\r\n0\r\n\r\n"
        assert b"unsupported_grant_type" in answer(address, whole)
        endless = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        assert b" 413 " in answer(address, endless, endless, endless)
        assert b"The request cannot be read." in answer(address, b"no length\r\n")


def test_the_limit_of_the_host_counts_where_it_is_lower(app: Flask) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1000
    for path in ("token", "device"):
        answer = send(app, path, data={"user_code": "x" * 2000})
        assert answer.status_code == 413
    app.config["MAX_CONTENT_LENGTH"] = 10**6
    assert send(app, "token", data={"a": "x" * 70000}).status_code == 413


def test_what_the_host_runs_before_us_reads_no_more(app: Flask) -> None:
    seen = []
    app.before_request(lambda: seen.append(len(request.form)))
    assert app.test_client().post("/oauth/token", data={"a": "x" * 70000}).status_code == 413
    assert seen == [0]


def test_views_of_the_host_have_the_limits_of_the_host(app: Flask) -> None:
    app.add_url_rule(
        "/upload", "upload", lambda: str(len(request.files["f"].read())), methods=["POST"]
    )
    data = {"f": (io.BytesIO(b"x" * 200_000), "f")}
    answer = app.test_client().post("/upload", data=data, content_type="multipart/form-data")
    assert answer.text == "200000"
