"""Back-channel logout: every client of a session is told, and it is logged what became of it."""

from __future__ import annotations

import http.server
import logging
import threading
import time
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest
from flask import Flask

from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.features import backchannel_logout
from flask_pkce_server.testing import Clock, Flow, register, server_of
from flask_pkce_server.wire.background import Background

from ..client_documents import URL, WEB, Web, flow_of, opened
from ..host import make_app, sign_in
from ..openid import header, id_token, read

pytestmark = pytest.mark.thorough


class Listener:
    """A client's endpoint on a loopback port; it answers with `statuses`, then with 200."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.statuses: list[int] = []
        #: It answers while this is set.
        self.answers = threading.Event()
        self.answers.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                outer.bodies.append(self.rfile.read(length).decode())
                outer.answers.wait(10)
                self.send_response(outer.statuses.pop(0) if outer.statuses else 200)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self.server.server_port}/backchannel"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def tokens(self) -> list[str]:
        return [parse_qs(body)["logout_token"][0] for body in self.bodies]


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def app() -> Flask:
    return make_app(PKCE_BACKCHANNEL_LOGOUT_RETRIES=[0, 0])


def wait_for_deliveries() -> None:
    for thread in threading.enumerate():
        if thread.name == "back-channel logout":
            thread.join(10)
            assert not thread.is_alive()


def told_client(app: Flask, uri: str, **metadata: str):
    return register(app, client_metadata={"backchannel_logout_uri": uri, **metadata})


def test_each_client_of_the_session_gets_its_logout_token(
    app: Flask, listener: Listener, pkce_clock: Clock
) -> None:
    # Back-Channel Logout 1.0 2.4
    browser = sign_in(app)
    one, two = told_client(app, listener.uri), told_client(app, listener.uri)
    sids = {
        client.client_id: id_token(Flow(browser, client, scope="openid"))["sid"]
        for client in (one, two)
    }
    id_token(Flow(browser, one, scope="openid"))  # twice in one session: told once
    elsewhere = sign_in(app)
    id_token(Flow(elsewhere, told_client(app, listener.uri), scope="openid"))
    id_token(Flow(browser, register(app), scope="openid"))  # has nowhere to be told
    browser.post("/logout")
    wait_for_deliveries()
    assert len(listener.bodies) == 2
    for token in listener.tokens():
        top, claims = header(app, token), read(app, token)
        assert (top["typ"], top["alg"]) == ("logout+jwt", "RS256")
        assert claims.pop("jti")
        assert claims.pop("sid") == sids.pop(claims.pop("aud"))
        assert claims == {
            "iss": "https://auth.example",
            "sub": "1",
            "iat": int(pkce_clock.now),
            "exp": int(pkce_clock.now) + 120,
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        }
    assert sids == {}


def test_a_logout_that_a_client_asks_for_is_told_to_the_others(
    app: Flask, listener: Listener
) -> None:
    browser = sign_in(app)
    Flow(browser, told_client(app, listener.uri), scope="openid").tokens()
    asking = Flow(browser, register(app), scope="openid")
    browser.get("/oauth/logout", query_string={"id_token_hint": asking.tokens()["id_token"]})
    wait_for_deliveries()
    assert len(listener.bodies) == 1


def test_a_logout_token_is_signed_as_the_client_wants_it(app: Flask, listener: Listener) -> None:
    browser = sign_in(app)
    known = told_client(app, listener.uri, id_token_signed_response_alg="ES256")
    Flow(browser, known, scope="openid").tokens()
    browser.post("/logout")
    wait_for_deliveries()
    assert header(app, listener.tokens()[0])["alg"] == "ES256"


# 1000 is no status at all: what answers there speaks no HTTP.
@pytest.mark.parametrize("status", [500, 400, 302, 1000])
def test_a_client_that_fails_is_told_again(
    app: Flask, listener: Listener, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.INFO, "flask_pkce_server")
    listener.statuses = [status, status]
    browser = sign_in(app)
    Flow(browser, told_client(app, listener.uri), scope="openid").tokens()
    browser.post("/logout")
    wait_for_deliveries()
    assert len(listener.bodies) == 3
    assert "was notified of a logout" in caplog.text
    assert listener.tokens()[0] not in caplog.text


def test_a_client_that_cannot_be_reached_is_in_the_log_and_harms_nobody(
    app: Flask, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    browser = sign_in(app)
    lost = told_client(app, "http://127.0.0.1:9/backchannel")
    Flow(browser, lost, scope="openid").tokens()
    Flow(browser, told_client(app, listener.uri), scope="openid").tokens()
    assert browser.post("/logout").status_code == 200
    wait_for_deliveries()
    assert len(listener.bodies) == 1
    assert f"client {lost.client_id} was not notified of a logout" in caplog.text


def test_the_user_does_not_wait_for_a_slow_client(app: Flask, listener: Listener) -> None:
    listener.answers.clear()
    browser = sign_in(app)
    Flow(browser, told_client(app, listener.uri), scope="openid").tokens()
    assert browser.post("/logout").status_code == 200
    listener.answers.set()
    wait_for_deliveries()
    assert len(listener.bodies) == 1


def test_one_that_hangs_holds_one_thread_and_nobody_else(
    app: Flask, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Background("back-channel logout", threads=2, most=1000)
    monkeypatch.setattr(backchannel_logout, "_DELIVERIES", few)
    other = Listener()
    try:
        listener.answers.clear()
        browser = app.test_client()
        hanging, good = told_client(app, listener.uri), told_client(app, other.uri)
        for _ in range(5):
            browser.post("/login", data={"username": "ada"})
            for client in (hanging, good):
                Flow(browser, client, scope="openid").tokens()
            browser.post("/logout")
        deadline = time.monotonic() + 10
        while len(other.bodies) < 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert len(listener.bodies) == 1
        workers = [one for one in threading.enumerate() if one.name == "back-channel logout"]
        assert len(workers) <= 2
        # The exit of the process waits for no daemon.
        assert all(thread.daemon for thread in workers)
    finally:
        listener.answers.set()
        wait_for_deliveries()
        other.close()
    assert len(listener.bodies) == 5


def test_what_is_one_too_many_is_in_the_log(
    app: Flask,
    listener: Listener,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    few = Background("back-channel logout", threads=1, most=1)
    monkeypatch.setattr(backchannel_logout, "_DELIVERIES", few)
    listener.answers.clear()
    known = told_client(app, listener.uri)
    browser = app.test_client()
    for number in range(3):
        browser.post("/login", data={"username": "ada"})
        Flow(browser, known, scope="openid").tokens()
        browser.post("/logout")
        deadline = time.monotonic() + 10
        while not number and not listener.bodies:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert caplog.text.count(f"client {known.client_id} was not notified of a logout") == 1
    listener.answers.set()
    wait_for_deliveries()
    assert len(listener.bodies) == 2


def test_nobody_is_told_with_a_token_that_has_expired(
    app: Flask,
    listener: Listener,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(backchannel_logout, "_LIFETIME", 0)
    browser = sign_in(app)
    Flow(browser, told_client(app, listener.uri), scope="openid").tokens()
    browser.post("/logout")
    wait_for_deliveries()
    assert listener.bodies == []
    assert "was not notified of a logout in time" in caplog.text


def test_a_sign_out_fetches_no_document(listener: Listener) -> None:
    web = Web(WEB)
    app = opened(web, PKCE_BACKCHANNEL_LOGOUT_RETRIES=[])
    clock = server_of(app).clock = Clock()
    flow = flow_of(app)
    flow.tokens(scope="openid offline_access")
    told = told_client(app, listener.uri)
    Flow(flow.browser, told, scope="openid").tokens()
    uri = ["--backchannel-logout-uri", f"{listener.uri}/described"]
    done = app.test_cli_runner().invoke(args=["pkce", "client", "update", URL, *uri])
    assert done.exit_code == 0, done.output
    # Its copy is no longer fresh, but the session is still there.
    clock.advance(3601)
    web.asked.clear()
    flow.browser.post("/logout")
    wait_for_deliveries()
    assert web.asked == []
    # The operator may have given it a URI all the same.
    assert {read(app, token)["aud"] for token in listener.tokens()} == {told.client_id, URL}


def test_a_host_with_a_queue_takes_the_delivery_over(app: Flask) -> None:
    queued: list[tuple[str, dict[str, str]]] = []
    app.pkce.logout_delivery(lambda uri, fields: queued.append((uri, fields)))
    browser = sign_in(app)
    Flow(browser, told_client(app, "https://client.example/bcl"), scope="openid").tokens()
    browser.post("/logout")
    ((uri, fields),) = queued
    assert uri == "https://client.example/bcl"
    assert read(app, fields["logout_token"])["sub"] == "1"


def test_a_client_that_only_asked_for_access_is_not_told(app: Flask, listener: Listener) -> None:
    browser = sign_in(app)
    Flow(browser, told_client(app, listener.uri), scope="profile").tokens()
    browser.post("/logout")
    wait_for_deliveries()
    assert listener.bodies == []


@pytest.mark.parametrize(
    "uri",
    ["http://client.example/bcl", "com.example.app:/bcl", "file:///x", "https://c.example/#x"],
)
def test_where_nobody_may_be_told(app: Flask, uri: str) -> None:
    with pytest.raises(InvalidRequestError):
        told_client(app, uri)
