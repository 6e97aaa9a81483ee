"""Developer portal: people register the apps that they make, and keep them in order."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_pkce_server import client_registered
from flask_pkce_server.models.client import Client
from flask_pkce_server.testing import (
    Clock,
    Flow,
    RegisteredClient,
    hidden_fields,
    parameters_of,
    register,
    server_of,
)

from ..at_once import at_once
from ..host import lending, make_app, sign_in
from ..live import decide, served
from ..services import empty_database

pytestmark = pytest.mark.thorough

HERE = "/oauth/developer"
URI = "https://app.example/callback"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
def app() -> Iterator[Flask]:
    with lending.app(make_app, PKCE_FEATURES={"developer_portal": True}) as app:
        yield app


def press(browser: FlaskClient, path: str, do: str, **fields: Any) -> TestResponse:
    form = hidden_fields(browser.get(path).text)
    return browser.post(path, data={**form, "do": do, **fields})


def create(browser: FlaskClient, **fields: Any) -> TestResponse:
    usual = {"kind": "server", "name": "My app", "redirect_uris": URI, "scope": ["profile"]}
    return press(browser, HERE, "create", **{**usual, **fields})


def shown(page: Any) -> RegisteredClient:
    """Return the client of a page that has just been shown its secret."""

    def field(name: str) -> str | None:
        found = re.search(rf'id="{name}" readonly[^>]*value="([^"]+)"', page.text)
        return found[1] if found else None

    secret = field("client_secret")
    method = "none" if secret is None else "client_secret_basic"
    return RegisteredClient(field("client_id") or "", secret, URI, method)


def page_of(client: RegisteredClient) -> str:
    return f"{HERE}/{client.client_id}"


def stored(app: Flask, client: RegisteredClient) -> Client | None:
    with app.test_request_context():
        return server_of(app).find_client(client.client_id)


# Who may.


def test_it_is_closed_until_the_host_opens_it() -> None:
    app = make_app()
    assert app.test_client().get(HERE).status_code == 404


def test_who_is_not_signed_in_signs_in_first(app: Flask) -> None:
    assert app.test_client().get(HERE).headers["Location"].startswith("/login?next=")
    assert app.test_client().get(f"{HERE}/x").headers["Location"].startswith("/login?next=")


def test_the_host_says_who_may(app: Flask) -> None:
    app.pkce.may_register_app(lambda user: user.username == "ada")
    made = shown(create(sign_in(app)))
    bob = sign_in(app, "bob")
    page = bob.get(HERE)
    assert page.status_code == 403
    assert "You may not register apps here." in page.text
    assert "<form" not in page.text
    assert bob.post(HERE, data={"name": "x"}).status_code == 403
    assert bob.get(page_of(made)).status_code == 404
    # Who may no more keeps nothing of it either.
    app.pkce.may_register_app(lambda user: False)
    assert sign_in(app).get(page_of(made)).status_code == 404


def test_the_host_may_say_it_in_a_coroutine(app: Flask) -> None:
    @app.pkce.may_register_app
    async def may_develop(user: Any) -> bool:
        return bool(user.username == "ada")

    assert sign_in(app).get(HERE).status_code == 200
    assert sign_in(app, "bob").get(HERE).status_code == 403


def test_doctor_says_that_everybody_may(app: Flask) -> None:
    assert (
        "Everybody who is signed in" in app.test_cli_runner().invoke(args=["pkce", "doctor"]).output
    )
    app.pkce.may_register_app(lambda user: True)
    assert "Everybody" not in app.test_cli_runner().invoke(args=["pkce", "doctor"]).output


def test_one_sees_and_changes_only_ones_own(app: Flask, client: FlaskClient) -> None:
    made = shown(create(client))
    bob = sign_in(app, "bob")
    assert "My app" not in bob.get(HERE).text
    assert bob.get(page_of(made)).status_code == 404
    own = page_of(shown(create(bob, name="His")))
    form = hidden_fields(bob.get(own).text)
    for do in ("save", "add_secret", "delete"):
        answer = bob.post(page_of(made), data={**form, "do": do, "typed": "My app", "name": "x"})
        assert answer.status_code == 404
    assert stored(app, made).client_name == "My app"
    # Nor what the operator has registered.
    operators = register(app)
    assert client.get(f"{HERE}/{operators.client_id}").status_code == 404


# To register.


@pytest.mark.parametrize(
    ("kind", "uri", "method"),
    [
        ("browser", "https://app.example/", "none"),
        ("native", "com.example.app:/callback", "none"),
        ("server", URI, "client_secret_basic"),
    ],
)
def test_what_it_is_decides_the_rest(
    app: Flask, client: FlaskClient, kind: str, uri: str, method: str
) -> None:
    told = []
    client_registered.connect(lambda app, **facts: told.append(facts["client_id"]), weak=False)
    page = create(client, kind=kind, redirect_uris=uri)
    assert page.status_code == 200
    made = shown(page)
    known = stored(app, made)
    assert known.token_endpoint_auth_method == method
    assert known.grant_types == ["authorization_code", "refresh_token"]
    assert known.redirect_uris == [uri]
    assert known.scope == {"profile"}
    assert known.self_registered
    assert known.client_metadata == {"app_kind": kind, "developer": "Ada Lovelace"}
    assert (made.client_secret is None) == (method == "none")
    assert told[-1] == made.client_id
    assert "My app" in client.get(HERE).text


def test_the_app_signs_in_at_once(app: Flask, client: FlaskClient) -> None:
    flow = Flow(client, shown(create(client)), scope="profile")
    page = flow.authorize()
    assert "Made by <bdi>Ada Lovelace</bdi>" in page.text
    assert "Anybody can register an app here" in page.text
    assert flow.tokens()["access_token"]
    # Nobody has checked it: it asks each time.
    assert flow.authorize().status_code == 200


def test_until_the_operator_has_checked_it(app: Flask, client: FlaskClient) -> None:
    made = shown(create(client))
    run = app.test_cli_runner().invoke
    assert run(args=["pkce", "client", "update", made.client_id, "--verified"]).exit_code == 0
    flow = Flow(client, made, scope="profile")
    page = flow.authorize()
    assert "Checked by host" in page.text
    assert "Anybody can register" not in page.text
    flow.tokens()
    assert flow.authorize().status_code == 302
    # What was checked is what counts: a change ends it, saving the same does not.
    same = {"name": "My app", "redirect_uris": URI, "scope": ["profile"]}
    press(client, page_of(made), "save", **same)
    assert stored(app, made).verified
    unsay = ["pkce", "client", "update", made.client_id, "--no-verified"]
    assert run(args=unsay).exit_code == 0
    assert not stored(app, made).verified
    assert "Anybody can register an app here" in flow.authorize().text


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "The Bank"},
        {"redirect_uris": "https://evil.example/cb"},
        {"scope": ["profile", "notes:write"]},
        {"policy_uri": "https://evil.example/"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_the_operator_vouched_for_ends_when_its_owner_changes_it(
    app: Flask, client: FlaskClient, changes: dict[str, Any]
) -> None:
    made = shown(create(client))
    words = ["pkce", "client", "update", made.client_id, "--verified", "--skip-consent"]
    assert app.test_cli_runner().invoke(args=words).exit_code == 0
    same = {"name": "My app", "redirect_uris": URI, "scope": ["profile"]}
    press(client, page_of(made), "save", **same)
    assert stored(app, made).skips_consent
    press(client, page_of(made), "save", **{**same, **changes})
    known = stored(app, made)
    assert (known.verified, known.skip_consent) == (False, False)


def test_blanks_in_a_name_are_one_space(app: Flask, client: FlaskClient) -> None:
    made = shown(create(client, name=" My \u2003 app "))
    assert stored(app, made).client_name == "My app"


def test_the_form_sent_twice_makes_one_app(client: FlaskClient) -> None:
    form = hidden_fields(client.get(HERE).text)
    data = {**form, "kind": "server", "name": "My app", "redirect_uris": URI, "do": "create"}
    made = shown(client.post(HERE, data=data))
    again = client.post(HERE, data=data)
    assert again.status_code == 303
    assert again.headers["Location"] == page_of(made)
    assert 'id="client_secret"' not in client.get(page_of(made)).text
    assert client.get(HERE).text.count("<bdi>My app</bdi>") == 1


def test_the_form_sent_twice_at_once_makes_one_app(concurrent: Flask) -> None:
    browsers = [sign_in(concurrent) for _ in range(8)]
    new_id = hidden_fields(browsers[0].get(HERE).text)["new_id"]
    answers = at_once(*(posting(browser, new_id=new_id) for browser in browsers))
    assert sorted(answer.status_code for answer in answers) == [200, *[303] * 7]
    assert browsers[0].get(HERE).text.count("<bdi>My app</bdi>") == 1


def test_as_many_as_one_may_have_at_once(concurrent: Flask) -> None:
    browsers = [sign_in(concurrent) for _ in range(8)]
    answers = at_once(*(posting(browser) for browser in browsers))
    assert sorted(answer.status_code for answer in answers) == [200, 200, *[400] * 6]
    assert browsers[0].get(HERE).text.count("<bdi>My app</bdi>") == 2
    # One that is deleted makes room for another one.
    (made, *_) = [shown(answer) for answer in answers if answer.status_code == 200]
    assert press(browsers[0], page_of(made), "delete", typed="My app").status_code == 303
    assert create(browsers[0]).status_code == 200
    assert create(browsers[0]).status_code == 400


def posting(browser: FlaskClient, **fields: str) -> Callable[[], TestResponse]:
    """Return what sends a form that `browser` has been shown."""
    form = {**hidden_fields(browser.get(HERE).text), **fields, "do": "create"}
    data = {"kind": "server", "name": "My app", "redirect_uris": URI, **form}
    return lambda: browser.post(HERE, data=data)


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.services),
        pytest.param("mariadb", marks=pytest.mark.services),
    ]
)
def concurrent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """An app on a real database, where one user may have two apps."""
    with ExitStack() as stack:
        uri = f"sqlite:///{tmp_path}/app.db"
        if request.param != "sqlite":
            uri = stack.enter_context(empty_database(request.param))
        app = make_app(
            PKCE_FEATURES={"developer_portal": True},
            PKCE_DEVELOPER_PORTAL_MAX_APPS=2,
            SQLALCHEMY_DATABASE_URI=uri,
            SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 16, "max_overflow": 4},
        )
        yield app
        with app.app_context():
            app.db.engine.dispose()


def test_the_id_in_a_form_is_for_one_user_and_for_an_hour(
    app: Flask, client: FlaskClient, pkce_clock: Clock
) -> None:
    form = hidden_fields(client.get(HERE).text)
    bob = sign_in(app, "bob")
    refused = create(bob, new_id=form["new_id"])
    assert refused.status_code == 400
    assert "The form had expired." in refused.text
    made = shown(create(client, new_id=form["new_id"]))
    # Now that it is taken, it costs no more than before.
    assert create(bob, new_id=form["new_id"]).status_code == 400
    assert stored(app, made).client_metadata["developer"] == "Ada Lovelace"
    other = hidden_fields(client.get(HERE).text)["new_id"]
    pkce_clock.advance(3599)
    assert create(client, new_id=other).status_code == 200
    last = hidden_fields(client.get(HERE).text)["new_id"]
    pkce_clock.advance(3600)
    assert create(client, new_id=last).status_code == 400


def test_what_comes_without_its_token_is_not_judged(client: FlaskClient) -> None:
    lines = "http://app.example/cb"
    answer = create(client, csrf_token="forged", redirect_uris=lines)
    assert answer.status_code == 400
    assert "The form had expired." in answer.text
    assert lines in answer.text
    assert "A redirect URI is https" not in answer.text


@pytest.mark.parametrize(
    "lines",
    ["\n".join(f"a.b:{number:x}" for number in range(20_000)), "\n".join(["x"] * 60_000)],
    ids=["many", "the same"],
)
def test_a_form_full_of_lines_is_judged_fast(client: FlaskClient, lines: str) -> None:
    form = hidden_fields(client.get(HERE).text)
    started = time.process_time()
    answer = client.post(HERE, data={**form, "name": "x", "redirect_uris": lines})
    assert time.process_time() - started < 1
    assert answer.status_code == 400
    assert answer.text.count("Line ") <= 1


def test_an_id_that_was_not_made_here_is_refused(app: Flask, client: FlaskClient) -> None:
    operators = register(app)
    answer = create(client, new_id=operators.client_id)
    assert answer.status_code == 400
    assert "The form had expired." in answer.text
    assert client.post(HERE, data={"name": "x"}).status_code == 400


def test_how_many_one_may_have() -> None:
    app = make_app(PKCE_FEATURES={"developer_portal": True}, PKCE_DEVELOPER_PORTAL_MAX_APPS=1)
    client = sign_in(app)
    assert create(client).status_code == 200
    refused = create(client, name="Another")
    assert refused.status_code == 400
    assert "as many apps as one may have" in refused.text
    assert 'value="Another"' in refused.text
    assert create(sign_in(app, "bob")).status_code == 200


def test_what_apps_of_the_portal_may_ask_for() -> None:
    app = make_app(
        PKCE_FEATURES={"developer_portal": True}, PKCE_DEVELOPER_PORTAL_SCOPES=["profile"]
    )
    client = sign_in(app)
    assert "Write notes" not in client.get(HERE).text
    made = shown(create(client, scope=["profile", "notes:write", "nonsense"]))
    assert stored(app, made).scope == {"profile"}
    flow = Flow(client, made)
    # A page: until the operator has looked at it, nobody is sent to it unasked.
    assert "invalid_scope" in flow.authorize(scope="notes:write").text


def test_a_device_is_offered_where_the_server_signs_devices_in() -> None:
    chosen = {"developer_portal": True, "device_code": False}
    assert 'value="device"' not in sign_in(make_app(PKCE_FEATURES=chosen)).get(HERE).text
    app = make_app(PKCE_FEATURES={"developer_portal": True})
    client = sign_in(app)
    assert 'value="device"' in client.get(HERE).text
    page = create(client, kind="device", redirect_uris="")
    known = stored(app, shown(page))
    assert known.grant_types == [DEVICE, "refresh_token"]
    assert known.redirect_uris == []
    assert "curl https://auth.example/oauth/device_authorization" in page.text
    assert "Sign in as the app would" not in page.text


# What is wrong with each line.


@pytest.mark.parametrize(
    ("kind", "line", "told"),
    [
        ("server", "http://app.example/cb", "A redirect URI is https; http only on"),
        ("server", "app.example/cb", "A redirect URI is absolute: it starts with its scheme."),
        ("server", "https://app.example/#/cb", "has no fragment"),
        ("server", "https://*.app.example/cb", "has no wildcard"),
        ("server", "https://me:pw@app.example/cb", "no user or password"),
        ("server", "javascript:alert(1)", "would run in the browser itself"),
        ("server", "https://app.example/cb?code=1", "no code, state, iss or error"),
        ("server", "https://app.example/a/../b", "has no . or .. in its path"),
        ("server", "https://app.example/\u00e4", "only the characters of RFC 3986"),
        ("browser", "com.example.app:/cb", "Only an app that people install has a scheme"),
        ("server", "myapp://cb", "Only an app that people install has a scheme"),
        ("server", f"{URI}/{'x' * 2000}", "A redirect URI has 2000 characters at most."),
    ],
)
def test_a_line_that_cannot_be_registered(
    app: Flask, client: FlaskClient, kind: str, line: str, told: str
) -> None:
    page = create(client, kind=kind, redirect_uris=f"{URI}\r\n\r\n  {line}  ")
    assert page.status_code == 400
    text = html.unescape(page.text)
    assert "Line 3 <code" in text
    assert told in text
    # Nothing of what was typed is lost.
    assert URI in text
    assert line in text
    assert 'value="My app"' in text
    assert re.search(rf'value="{kind}" checked', text)


@pytest.mark.parametrize(
    ("kind", "line", "told"),
    [
        ("server", "http://localhost:8000/cb", "Good for trying it out"),
        ("native", "myapp://cb", "The scheme myapp: has no dot."),
    ],
)
def test_a_line_that_is_good_but_should_be_known(
    client: FlaskClient, kind: str, line: str, told: str
) -> None:
    page = create(client, kind=kind, redirect_uris=f"{line}\n{line}")
    assert page.status_code == 200
    assert page.text.count(told) == 1


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("name", " ", "A name has 1 to 255 characters"),
        ("name", "Bank\u202e", "A name has 1 to 255 characters"),
        ("name", "x" * 5000, "A name has 1 to 255 characters"),
        ("name", "</title><script>alert(1)</script>" * 9, "A name has 1 to 255 characters"),
        ("redirect_uris", "\n".join(f"{URI}/{n}" for n in range(51)), "50 redirect URIs at most"),
        ("redirect_uris", " \n ", "It needs a place that the browser comes back to."),
        ("client_uri", "http://app.example/", "This is not an https URL."),
        ("policy_uri", "javascript:alert(1)", "This is not an https URL."),
        ("tos_uri", "https://evil.example\\.bank.example/", "This is not an https URL."),
    ],
)
def test_a_field_that_is_wrong(client: FlaskClient, field: str, value: str, told: str) -> None:
    page = create(client, **{field: value})
    assert page.status_code == 400
    assert told in page.text
    assert f'aria-describedby="{field}-wrong"' in page.text
    assert "<script" not in page.text
    assert "Nothing was saved yet" in page.text
    assert "None yet." in client.get(HERE).text


# To change.


def test_an_app_is_changed(app: Flask, client: FlaskClient) -> None:
    made = shown(create(client))
    answer = press(
        client,
        page_of(made),
        "save",
        name="Renamed",
        redirect_uris=f"{URI}\nhttps://app.example/two",
        scope=["profile", "notes:read"],
        client_uri="https://app.example/",
    )
    assert answer.status_code == 303
    known = stored(app, made)
    assert known.client_name == "Renamed"
    assert known.redirect_uris == [URI, "https://app.example/two"]
    assert known.scope == {"profile", "notes:read"}
    assert known.client_metadata["client_uri"] == "https://app.example/"
    # What is emptied is gone; the kind and the auth method stay what they are.
    press(
        client,
        page_of(made),
        "save",
        name="Renamed",
        redirect_uris=URI,
        client_uri="",
        kind="browser",
    )
    known = stored(app, made)
    assert "client_uri" not in known.client_metadata
    assert known.client_metadata["app_kind"] == "server"
    assert known.token_endpoint_auth_method == "client_secret_basic"
    assert Flow(client, made, scope="").redeem("x").get_json()["error"] == "invalid_grant"


def test_what_is_typed_is_escaped(client: FlaskClient) -> None:
    hostile = '"><script>alert(1)</script>'
    page = create(client, name=hostile, redirect_uris=hostile, client_uri=hostile)
    assert "<script" not in page.text
    made = shown(create(client, name=hostile))
    for answer in (client.get(HERE), client.get(page_of(made))):
        assert "<script" not in answer.text
        assert "&lt;script&gt;" in answer.text


def test_a_change_that_is_wrong_changes_nothing(app: Flask, client: FlaskClient) -> None:
    made = shown(create(client))
    page = press(client, page_of(made), "save", name="Renamed", redirect_uris="http://x.example/")
    assert page.status_code == 400
    assert "http://x.example/" in page.text
    assert stored(app, made).client_name == "My app"


@pytest.mark.parametrize("token", [None, "forged"])
@pytest.mark.parametrize("do", ["save", "add_secret", "delete"])
def test_without_its_token_a_form_does_nothing(
    app: Flask, client: FlaskClient, do: str, token: str | None
) -> None:
    made = shown(create(client))
    data = {"do": do, "name": "x", "redirect_uris": URI, "typed": "My app", "csrf_token": token}
    answer = client.post(page_of(made), data={k: v for k, v in data.items() if v is not None})
    assert answer.status_code == 400
    assert "The form had expired." in answer.text
    known = stored(app, made)
    assert known.client_name == "My app"
    assert known.older_secret_digest is None


def test_an_unknown_button_does_nothing(app: Flask, client: FlaskClient) -> None:
    made = shown(create(client))
    for do in ("", "explode", "end_secret", "end_secret 00"):
        assert press(client, page_of(made), do, typed="My app").status_code == 303
    assert stored(app, made).check_client_secret(made.client_secret or "")


# Secrets.


def test_two_secrets_live_at_once(app: Flask, client: FlaskClient, pkce_clock: Clock) -> None:
    first = shown(create(client))
    pkce_clock.advance(86400)
    page = press(client, page_of(first), "add_secret")
    second = shown(page)
    assert second.client_secret not in (None, first.client_secret)
    for one in (first, second):
        assert Flow(client, one, scope="profile").tokens()["access_token"]
    # No third one.
    assert press(client, page_of(first), "add_secret").status_code == 303
    text = client.get(page_of(first)).text
    assert 'id="client_secret"' not in text
    assert "Make a second secret" not in text
    ends = re.findall(r'value="(end_secret \w+)"', text)
    assert len(ends) == 2
    # The newer stands first; whichever is ended, the other one is good.
    press(client, page_of(first), ends[1])
    known = stored(app, first)
    assert not known.check_client_secret(first.client_secret or "")
    assert known.check_client_secret(second.client_secret or "")
    # The last one cannot be ended.
    press(client, page_of(first), ends[0])
    assert stored(app, first).check_client_secret(second.client_secret or "")


def test_the_newer_secret_can_be_ended_too(app: Flask, client: FlaskClient) -> None:
    first = shown(create(client))
    second = shown(press(client, page_of(first), "add_secret"))
    ends = re.findall(r'value="(end_secret \w+)"', client.get(page_of(first)).text)
    press(client, page_of(first), ends[0])
    known = stored(app, first)
    assert known.check_client_secret(first.client_secret or "")
    assert not known.check_client_secret(second.client_secret or "")
    assert "Make a second secret" in client.get(page_of(first)).text


def test_an_app_without_a_secret_gets_none(app: Flask, client: FlaskClient) -> None:
    made = shown(create(client, kind="browser"))
    assert press(client, page_of(made), "add_secret").status_code == 303
    assert stored(app, made).secret_digest is None
    assert "Secrets" not in client.get(page_of(made)).text


# To delete.


def test_an_app_is_deleted_by_its_name(app: Flask, client: FlaskClient) -> None:
    made = shown(create(client))
    assert "Nobody uses it yet." in client.get(page_of(made)).text
    for name in ("ada", "bob"):
        token = Flow(sign_in(app, name), made, scope="profile").tokens()["access_token"]
    assert "2 people use it" in client.get(page_of(made)).text
    refused = press(client, page_of(made), "delete", typed="Another app")
    assert refused.status_code == 400
    assert "That is not its name." in refused.text
    assert stored(app, made) is not None
    assert press(client, page_of(made), "delete", typed=" My app ").headers["Location"] == HERE
    assert stored(app, made) is None
    me = app.test_client().get("/api/me", headers={"Authorization": f"Bearer {token}"})
    assert me.status_code == 401
    assert client.get(page_of(made)).status_code == 404


def test_who_owned_a_deleted_app_owns_no_other_of_its_id(app: Flask, client: FlaskClient) -> None:
    made = shown(create(client))
    run = app.test_cli_runner().invoke
    assert run(args=["pkce", "client", "delete", made.client_id]).exit_code == 0
    register(app, client_id=made.client_id)
    assert client.get(page_of(made)).status_code == 404
    assert "My app" not in client.get(HERE).text
    assert "Notebook" not in client.get(HERE).text


# Trying it, and the snippets: run as they are.


def test_the_link_to_try_it_goes_through_the_flow(app: Flask, client: FlaskClient) -> None:
    page = create(client)
    url = html.unescape(re.search(r'class="pkce-button" href="([^"]+)"', page.text)[1])
    parts = urlsplit(url)
    consent = client.get(f"{parts.path}?{parts.query}")
    answer = client.post(
        "/oauth/authorize", data={**hidden_fields(consent.text), "decision": "allow"}
    )
    code = parameters_of(answer)["code"]
    verifier = re.search(r"code_verifier=([\w-]+)", page.text)[1]
    tokens = Flow(client, shown(page), verifier=verifier).redeem(code).get_json()
    assert tokens["scope"] == "profile"


def snippet(page: str, name: str) -> str:
    found = re.search(rf'aria-label="{re.escape(name)}"><code>(.*?)</code>', page, re.DOTALL)
    assert found, name
    return html.unescape(found[1])


@pytest.fixture
def live(tmp_path: Path) -> Iterable[tuple[Flask, str]]:
    app = make_app(
        PKCE_ISSUER=None,
        PKCE_FEATURES={"developer_portal": True},
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db",
        PKCE_SQLITE_PRAGMAS=True,
    )
    with served(app) as address:
        yield app, address
    with app.app_context():
        app.db.engine.dispose()


def portal_page(address: str, **fields: Any) -> requests.Response:
    """Register an app in the portal at `address`; return its page."""
    with requests.Session() as browser:
        browser.post(f"{address}/login", data={"username": "ada"}, allow_redirects=False)
        form = hidden_fields(browser.get(address + HERE).text)
        usual = {"name": "My app", "scope": ["openid", "profile"], "do": "create"}
        return browser.post(address + HERE, data={**form, **usual, **fields})


def test_the_snippet_for_flask_signs_in(
    live: tuple[Flask, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, address = live
    page = portal_page(address, kind="server", redirect_uris="http://localhost/auth/cb")
    monkeypatch.setenv("CLIENT_SECRET", shown(page).client_secret or "")
    monkeypatch.setenv("SECRET_KEY", "of the client")
    module = types.ModuleType("snippet")
    exec(snippet(page.text, "authlib-flask.py"), module.__dict__)  # noqa: S102 - ours
    relying = module.app.test_client()
    back = urlsplit(decide(relying.get("/login").headers["Location"]))
    assert relying.get(f"{back.path}?{back.query}").status_code == 302
    with relying.session_transaction() as session:
        assert session["user"]["sub"] == "1"


@pytest.mark.programs
def test_the_snippet_for_a_command_line_signs_in(live: tuple[Flask, str]) -> None:
    _, address = live
    page = portal_page(address, kind="native", redirect_uris="http://127.0.0.1/cb")
    code = snippet(page.text, "authlib-cli.py")
    # The browser and the terminal of a person, in one process.
    stands_in = (
        "import webbrowser, builtins, os\n"
        "from tests.live import decide\n"
        "os.environ['AUTHLIB_INSECURE_TRANSPORT'] = '1'\n"
        "went = []\n"
        "webbrowser.open = lambda url: went.append(decide(url))\n"
        "builtins.input = lambda text: went[0]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", stands_in + code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent.parent,
        timeout=60,
    )
    assert done.stdout.startswith("fpk_at_"), done.stderr


@pytest.mark.programs
def test_the_snippet_for_curl_redeems_the_code(live: tuple[Flask, str]) -> None:
    _, address = live
    page = portal_page(address, kind="browser", redirect_uris="http://127.0.0.1/cb")
    text = snippet(page.text, "curl.sh")
    url = re.search(r"# (http://\S+)", text)[1]
    code = parse_qs(urlsplit(decide(url)).query)["code"][0]
    done = subprocess.run(
        ["bash", "-c", text.replace("code=CODE", f"code={code}")], capture_output=True, text=True
    )
    assert '"access_token"' in done.stdout, done.stderr


@pytest.mark.programs
@pytest.mark.node
def test_the_snippet_for_openid_client_signs_in(
    live: tuple[Flask, str], packages: Path, tmp_path: Path
) -> None:
    _, address = live
    page = portal_page(address, kind="server", redirect_uris="http://localhost/cb")
    secret = shown(page).client_secret or ""
    (packages / "portal_snippet.mjs").write_text(snippet(page.text, "openid-client.mjs"))
    main = (
        "import { begin, finish } from './portal_snippet.mjs';"
        "const it = await begin(); console.log(it.url.href);"
        "process.stdin.once('data', async (text) => {"
        "  const tokens = await finish(String(text).trim(), it);"
        "  console.log(tokens.claims().sub); process.exit(0); });"
    )
    (packages / "portal_main.mjs").write_text(main)
    try:
        with subprocess.Popen(
            ["node", "portal_main.mjs"],
            cwd=packages,
            env={**os.environ, "CLIENT_SECRET": secret},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as node:
            url = node.stdout.readline().strip()
            out, _ = node.communicate(decide(url), timeout=30)
        assert out.strip() == "1"
    finally:
        for name in ("portal_snippet.mjs", "portal_main.mjs"):
            (packages / name).unlink()
