"""The example host: what it shows has to work, since people copy it."""

from __future__ import annotations

import html
import json
import os
import re
import runpy
import secrets
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event
from werkzeug.serving import make_server

from example_app import create_app
from example_app.demo import REACT, REACT_ORIGIN
from example_app.extensions import db
from example_app.models import User
from flask_pkce_server.protocol.issuer import Issuer
from flask_pkce_server.testing import Flow, RegisteredClient, hidden_fields, parameters_of, register
from flask_pkce_server.wire.handle import ACCESS, new_handle

from .live import action_of
from .services import THOROUGH

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parent.parent
CODE = re.compile(r"[B-Z]{4}-[B-Z]{4}")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    app = create_app(
        {
            "TESTING": True,
            "SECRET_KEY": "a-secret-key-of-the-tests-0123456789",
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/notes.db",
        }
    )
    yield app
    close(app)


def close(app: Flask) -> None:
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    browser = app.test_client()
    form = {**hidden_fields(browser.get("/login").text), "username": "demo", "password": "demo"}
    assert browser.post("/login", data=form).status_code == 303
    return browser


def test_the_home_page_leads_to_the_playground(app: Flask) -> None:
    page = app.test_client().get("/").text
    assert 'href="/playground"' in page
    assert "Try the code flow" in page
    assert 'data-client-id="playground"' in app.test_client().get("/playground").text


def test_a_database_that_is_away_is_503_everywhere(app: Flask, browser: FlaskClient) -> None:
    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("gone")

    with app.app_context():
        db.engine.dispose()
        event.listen(db.engine, "do_connect", refuse)
    for path in ("/", "/api/notes", "/oauth/apps", "/oauth/jwks"):
        answer = browser.get(path, headers={"Authorization": f"Bearer {new_handle(ACCESS)}"})
        assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1"), path


def test_notes_come_and_go(browser: FlaskClient) -> None:
    page = browser.get("/").text
    assert "Water the fern" in page
    token = hidden_fields(page)["csrf_token"]
    browser.post("/notes", data={"csrf_token": token, "text": "<b>new</b>"})
    page = browser.get("/").text
    assert "&lt;b&gt;new&lt;/b&gt;" in page
    path = re.search(r'action="(/notes/\d+/delete)"', page)[1]
    browser.post(path, data={"csrf_token": token})
    assert "&lt;b&gt;new" not in browser.get("/").text
    assert browser.post("/notes", data={"text": "x"}).status_code == 400
    browser.post("/logout", data={"csrf_token": token})
    assert "Your notes" not in browser.get("/").text


def test_the_api_is_guarded_by_scopes(app: Flask, browser: FlaskClient) -> None:
    playground = RegisteredClient("playground", None, "http://127.0.0.1:5000/playground", "none")
    flow = Flow(browser, playground, scope="profile notes:read notes:write offline_access")
    token = flow.tokens()["access_token"]
    program = app.test_client(use_cookies=False)
    bearer = {"Authorization": f"Bearer {token}"}
    assert program.get("/api/me", headers=bearer).get_json() == {
        "username": "demo",
        "name": "Dora Demo",
        "email": "demo@example.com",
    }
    made = program.post("/api/notes", headers=bearer, json={"text": " by an app "})
    assert (made.status_code, made.get_json()["text"]) == (201, "by an app")
    assert "by an app" in [
        note["text"] for note in program.get("/api/notes", headers=bearer).get_json()
    ]
    for text in (1, " ", "x" * 2001, "\ud800", "\0"):
        assert program.post("/api/notes", headers=bearer, json={"text": text}).status_code == 400
    for body in ("x", "[]", "{}", "[" * 100_000):
        sent = {"data": body, "content_type": "application/json"}
        assert program.post("/api/notes", headers=bearer, **sent).status_code == 400
    narrow = flow.tokens(scope="profile")["access_token"]
    refused = program.get("/api/notes", headers={"Authorization": f"Bearer {narrow}"})
    assert refused.status_code == 403


def test_userinfo_says_what_the_apps_own_users_are_called(app: Flask, browser: FlaskClient) -> None:
    playground = RegisteredClient("playground", None, "http://127.0.0.1:5000/playground", "none")
    token = Flow(browser, playground, scope="openid profile email").tokens()["access_token"]
    answer = app.test_client().get("/oauth/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert answer.get_json() == {
        "sub": "1",
        "name": "Dora Demo",
        "preferred_username": "demo",
        "email": "demo@example.com",
        "email_verified": True,
    }


def test_the_environment_configures_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = "9876543210" * 2
    monkeypatch.setenv("FLASK_SECRET_KEY", digits)
    monkeypatch.setenv("FLASK_PKCE_ISSUER", "https://auth.example")
    monkeypatch.setenv("FLASK_SQLALCHEMY_DATABASE_URI", f"sqlite:///{tmp_path}/env.db")
    app = create_app()
    assert app.config["SECRET_KEY"] == digits
    assert app.extensions["pkce"].issuer == "https://auth.example"
    close(app)


def test_the_clients_to_copy_know_the_issuer_of_the_demo(app: Flask) -> None:
    issuer = app.extensions["pkce"].issuer
    # Auth0's SDK wants the slash.
    assert issuer == "http://127.0.0.1:5000/"
    clients = ROOT / "example_app" / "clients"
    for file in (
        clients / "cli.py",
        clients / "device_client.py",
        clients / "spa" / "app.js",
        clients / "web" / "app.py",
        ROOT / "example_app" / "resource_server.py",
    ):
        assert f'"{issuer}"' in file.read_text(), file
    settings = (ROOT / "example_app" / "react" / "src" / "settings.js").read_text()
    assert re.findall('= "(.*)";', settings) == [issuer.rstrip("/"), REACT]


def test_the_demo_lets_its_react_sample_in_without_asking(app: Flask, tmp_path: Path) -> None:
    with app.app_context():
        known = app.extensions["pkce"].find_client(REACT)
    assert (known.is_public, known.skip_consent) == (True, True)
    assert known.redirect_uris == [REACT_ORIGIN]
    assert known.client_metadata["post_logout_redirect_uris"] == [REACT_ORIGIN]
    # A demo that others visit has nobody on the loopback to trust.
    elsewhere = create_app(
        {
            "SECRET_KEY": secrets.token_hex(),
            "PKCE_ISSUER": "https://auth.example/",
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/elsewhere.db",
        }
    )
    with elsewhere.app_context():
        assert elsewhere.extensions["pkce"].find_client(REACT) is None
    close(elsewhere)


def test_doctor_has_nothing_to_say_against_the_demo(app: Flask) -> None:
    done = app.test_cli_runner().invoke(args=["pkce", "doctor"])
    assert "FAIL" not in done.output, done.output


@pytest.mark.programs
def test_several_workers_may_start_at_once(tmp_path: Path) -> None:
    # Each fills an empty demo, and gives the same key; none fails.
    code = (
        "from example_app import create_app\napp = create_app()\nprint(app.config['SECRET_KEY'])\n"
    )
    environment = {
        **os.environ,
        "FLASK_SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/notes.db",
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environment, cwd=ROOT, stdout=-1, stderr=-1
        )
        for _ in range(4 if THOROUGH else 2)
    ]
    finished = [(*process.communicate(timeout=60), process.returncode) for process in started]
    assert {code for _, _, code in finished} == {0}, finished
    assert len({out for out, _, _ in finished}) == 1


# The clients to copy from, against the example on a real port.


@pytest.fixture
def live(app: Flask) -> Iterator[str]:
    """The example app on a loopback port; gives its issuer, which ends with a slash."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    issuer = f"http://127.0.0.1:{server.server_port}/"
    app.extensions["pkce"].issuer = Issuer(issuer)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield issuer
    server.shutdown()
    thread.join()
    server.server_close()


def go_through(session: requests.Session, url: str) -> requests.Response:
    """Follow `url` as a browser does, through login and consent, to where it ends."""
    page = session.get(url)
    if 'name="password"' in page.text:
        form = {**hidden_fields(page.text), "username": "demo", "password": "demo"}
        page = session.post(page.url, data=form)
    assert 'name="decision"' in page.text, page.text
    return session.post(action_of(page), data={**hidden_fields(page.text), "decision": "allow"})


@pytest.mark.programs
def test_the_command_line_client(app: Flask, live: str) -> None:
    register(app, client_id="notes-cli", redirect_uris=("http://127.0.0.1/callback",))
    command = [sys.executable, "-u", "example_app/clients/cli.py", "--issuer", live]
    with subprocess.Popen(
        [*command, "--no-browser"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as client:
        url = next(line.strip() for line in client.stdout if line.strip().startswith("http"))
        try:
            with requests.Session() as session:
                assert "Done." in go_through(session, url).text
        except BaseException:
            # It waits for an answer that does not come.
            client.kill()
            raise
        assert "Hello Dora Demo <demo@example.com>." in client.stdout.read()
    assert client.returncode == 0


@pytest.mark.programs
def test_the_client_on_a_device(app: Flask, live: str) -> None:
    app.extensions["pkce"].settings.__dict__["device_code_interval"] = 1
    command = [sys.executable, "-u", "example_app/clients/device_client.py", "--issuer", live]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as client:
        url = next(line.strip() for line in client.stdout if line.strip().startswith("http"))
        code = next(found[0] for line in client.stdout if (found := CODE.findall(line)))
        try:
            with requests.Session() as session:
                page = session.get(url)
                form = {**hidden_fields(page.text), "username": "demo", "password": "demo"}
                page = session.post(page.url, data=form)
                form = {**hidden_fields(page.text), "user_code": code.lower()}
                page = session.post(url, data=form)
                assert "The television" in page.text
                form = {**hidden_fields(page.text), "decision": "allow"}
                assert "You can go back to your device" in session.post(url, data=form).text
        except BaseException:
            client.kill()
            raise
        assert "Hello Dora Demo <demo@example.com>." in client.stdout.read()
    assert client.returncode == 0


@pytest.mark.programs
def test_the_client_on_a_device_that_is_not_let_in(app: Flask, live: str) -> None:
    command = [sys.executable, "example_app/clients/device_client.py", "--issuer", live]
    for more in (["--client-id", "unheard-of"], ["--scope", "unheard-of"]):
        done = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("Refused: invalid_")


@pytest.mark.programs
def test_the_resource_server(
    app: Flask, browser: FlaskClient, live: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    playground = RegisteredClient("playground", None, "http://127.0.0.1:5000/playground", "none")
    flow = Flow(browser, playground, scope="openid calendar:read")
    monkeypatch.setenv("ISSUER", live)
    api = runpy.run_path(str(ROOT / "example_app/resource_server.py"))["app"].test_client()

    def ask(token: str) -> tuple[int, dict]:
        answer = api.get("/calendar", headers={"Authorization": f"Bearer {token}"})
        return answer.status_code, answer.get_json()

    # Users may leave the calendar out; this one does not.
    answer = flow.decide(flow.authorize(), scope="calendar:read")
    tokens = flow.redeem(parameters_of(answer)["code"]).get_json()
    status, body = ask(tokens["access_token"])
    assert (status, body["subject"], body["through"]) == (200, "1", "playground")
    assert body["events"]
    opaque = flow.tokens(scope="profile")["access_token"]
    for bad in (tokens["id_token"], opaque, tokens["access_token"][:-4] + "AAAA", "x"):
        assert ask(bad)[0] == 401
    assert api.get("/calendar").headers["WWW-Authenticate"] == 'Bearer scope="calendar:read"'
    # RFC 9068 5: the client_id of a client that acts for itself is the number of no user.
    app.extensions["pkce"].settings.__dict__["client_credentials_scopes"] = ["calendar:read"]
    machine = register(
        app,
        client_id="1",
        auth_method="client_secret_basic",
        redirect_uris=(),
        grant_types=["client_credentials"],
    )
    form = {"grant_type": "client_credentials", "scope": "calendar:read"}
    own = Flow(browser, machine).post("token", form).get_json()["access_token"]
    assert ask(own) == (403, {"error": "insufficient_scope"})


def rename_demo(app: Flask, name: str) -> None:
    with app.app_context():
        db.session.scalars(db.select(User)).one().name = name
        db.session.commit()


@pytest.mark.programs
def test_the_confidential_web_client(
    app: Flask, live: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = register(
        app,
        client_id="web",
        auth_method="client_secret_basic",
        redirect_uris=("http://127.0.0.1/callback",),
    )
    monkeypatch.setenv("ISSUER", live)
    monkeypatch.setenv("CLIENT_SECRET", known.client_secret)
    monkeypatch.setenv("SECRET_KEY", "a-secret-key-of-the-client")
    web = runpy.run_path(str(ROOT / "example_app/clients/web/app.py"))["app"]
    server = make_server("127.0.0.1", 0, web, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        with requests.Session() as session:
            assert "Sign in" in session.get(address).text
            page = go_through(session, f"{address}/sign-in")
            assert urlsplit(page.url).path == "/"
            me = re.search(r"<pre>(.*)</pre>", page.text, re.DOTALL)[1]
            assert json.loads(html.unescape(me))["name"] == "Dora Demo"
            # A link, which any site can show, changes nothing.
            assert session.get(f"{address}/refresh").status_code == 405
            rename_demo(app, "<img src=x onerror=alert(1)>")
            page = session.post(f"{address}/refresh")
            assert "&lt;img src=x" in page.text
            assert "<img" not in page.text
            # Of another server, or of none that says who it is.
            for iss in ("", "&iss=https://evil.example"):
                answer = session.get(f"{address}/callback?code=x&state=y{iss}")
                assert (answer.status_code, "not belong" in answer.text) == (400, True)
            denied = session.get(f"{address}/callback?error=<b>&iss={live}")
            assert (denied.status_code, "&lt;b&gt;" in denied.text) == (400, True)
            # The form of another site comes without the cookie.
            assert "Sign in" in requests.post(f"{address}/refresh", timeout=10).text
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
