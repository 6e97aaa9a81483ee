"""Token exchange: what ends what was given, and races."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_pkce_server.models import client_storage as clients
from flask_pkce_server.models.grant import revoke_one
from flask_pkce_server.testing import Clock, Flow, server_of

from ...at_once import at_once, live_tokens
from ...services import ROUNDS, THOROUGH, own_database
from .exchanging import (
    FORMATS,
    MAIL,
    NOTES,
    POST,
    REFUSED,
    an_api,
    call,
    exchange,
    exchange_app,
    given,
    introspected,
    outcome,
    stored,
    tokens_for,
    user_of,
    write,
)

pytestmark = pytest.mark.thorough


@pytest.fixture
def ended(both: Flask) -> Iterator[tuple[Flask, Flow, dict[str, Any], str]]:
    """Give what is live, of which nothing may be after the test."""
    notes, mail = an_api(both), an_api(both, MAIL, (POST,))
    user = user_of(both)
    tokens = tokens_for(user)
    first = given(notes, tokens["access_token"])
    second = given(mail, first, resource=POST)
    assert (call(both, first).status_code, call(both, second, "/post").status_code) == (200, 200)
    yield both, user, tokens, first
    assert (call(both, first).status_code, call(both, second, "/post").status_code) == (401, 401)
    assert introspected(notes, first) == introspected(mail, second) == {"active": False}
    assert outcome(exchange(mail, first, resource=POST)) == REFUSED


End = tuple[Flask, Flow, dict[str, Any], str]


def press(flow: Flow, **form: str) -> TestResponse:
    page = flow.browser.get("/oauth/apps").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    return flow.browser.post("/oauth/apps", data={"csrf_token": token, **form})


def test_it_ends_when_the_app_is_removed(ended: End) -> None:
    app, user, _, _ = ended
    press(user, remove="app", client_id=user.client.client_id)
    assert "Access was removed." in user.browser.get("/oauth/apps").text
    assert live_tokens(app) == 0


def test_it_ends_when_the_sign_in_is_ended_on_the_page(ended: End) -> None:
    app, user, _, _ = ended
    (grant_id,) = {token.grant_id for token in stored(app) if token.subject}
    press(user, remove="session", grant_id=grant_id)
    assert live_tokens(app) == 0


def test_it_ends_when_the_app_gives_its_token_back(ended: End) -> None:
    _, user, tokens, _ = ended
    assert user.revoke(tokens["refresh_token"]).status_code == 200


def test_it_ends_when_a_refresh_token_is_used_twice(ended: End) -> None:
    app, user, tokens, _ = ended
    clock = server_of(app).clock = Clock()
    user.refresh(tokens["refresh_token"])
    clock.advance(60)
    assert user.refresh(tokens["refresh_token"]).status_code == 400


def test_it_ends_when_the_client_that_the_user_let_in_is_deleted(ended: End) -> None:
    app, user, _, _ = ended
    app.test_cli_runner().invoke(args=["pkce", "client", "delete", user.client.client_id])


def test_it_ends_when_the_client_that_exchanged_is_deleted(both: Flask) -> None:
    notes, mail = an_api(both), an_api(both, MAIL, (POST,))
    tokens = tokens_for(user_of(both))
    first = given(notes, tokens["access_token"])
    second = given(mail, first, resource=POST)
    write(both, lambda session: clients.remove(session, notes.client.client_id))
    assert (call(both, first).status_code, call(both, second, "/post").status_code) == (401, 401)
    assert introspected(mail, second) == {"active": False}
    assert outcome(exchange(mail, first, resource=POST)) == REFUSED
    assert call(both, tokens["access_token"], "/notes").status_code == 200


def test_another_client_of_the_same_name_brings_nothing_back(app: Flask, pkce_clock: Clock) -> None:
    user, api = user_of(app), an_api(app, client_id="notes")
    shown = tokens_for(user)["access_token"]
    token = given(api, shown)
    write(app, lambda session: clients.remove(session, "notes"))
    pkce_clock.advance(1)
    again = an_api(app, client_id="notes")
    assert call(app, token).status_code == 401
    assert introspected(again, token) == {"active": False}
    assert call(app, given(again, shown)).status_code == 200


def test_it_ends_when_the_code_is_replayed(both: Flask) -> None:
    user, api = user_of(both), an_api(both)
    code = user.allow(resource=NOTES)["code"]
    token = given(api, user.redeem(code).get_json()["access_token"])
    assert user.redeem(code).status_code == 400
    assert call(both, token).status_code == 401


def test_it_ends_when_the_user_signs_out(both: Flask) -> None:
    user, api = user_of(both), an_api(both)
    user.scope = "openid notes:read mail:send"
    token = given(api, tokens_for(user)["access_token"])
    user.browser.post("/logout")
    user.browser.post("/oauth/logout")
    assert user.browser.get("/oauth/logout").status_code < 500
    assert call(both, token).status_code == 401


@pytest.mark.parametrize("both", FORMATS, indirect=True)
def test_who_exchanged_gives_back_its_own_and_no_more(both: Flask) -> None:
    # RFC 7009 2.1: the user and their app keep what they have.
    notes, mail = an_api(both), an_api(both, MAIL, (POST,))
    user = user_of(both)
    tokens = tokens_for(user)
    first, other = (given(notes, tokens["access_token"]) for _ in range(2))
    second = given(mail, first, resource=POST)
    for flow in (user, mail):
        assert flow.revoke(first).status_code == 400
    assert notes.revoke(tokens["access_token"]).status_code == 400
    assert call(both, second, "/post").status_code == 200
    assert notes.revoke(first).status_code == 200
    assert (call(both, first).status_code, call(both, second, "/post").status_code) == (401, 401)
    assert call(both, other).status_code == 200
    assert call(both, tokens["access_token"], "/notes").status_code == 200
    assert notes.revoke(first).status_code == 200
    assert user.refresh(tokens["refresh_token"]).status_code == 200


def test_what_the_user_takes_back_a_part_of_has_less(app: Flask) -> None:
    user, api = user_of(app), an_api(app)
    shown = tokens_for(user)["access_token"]
    token = given(api, shown)
    press(user, remove="scopes", client_id=user.client.client_id, scope="mail:send")
    assert call(app, token).get_json()["scopes"] == ["mail:read"]
    assert exchange(api, shown).get_json()["scope"] == "mail:read"


def test_the_user_sees_the_app_that_they_let_in_and_no_other(app: Flask) -> None:
    user, api = user_of(app, name="Notebook"), an_api(app)
    given(api, tokens_for(user)["access_token"])
    page = user.browser.get("/oauth/apps").text
    assert "Notebook" in page
    assert "Notes API" not in page


def test_the_user_reads_that_a_jwt_lingers_which_was_exchanged_for() -> None:
    there = "https://mail.example"
    app = exchange_app(PKCE_JWT_ACCESS_TOKEN_RESOURCES={there: ["mail:send"]})
    user, api = user_of(app), an_api(app, to=(there, MAIL))
    shown = tokens_for(user)["access_token"]
    assert "for up to" not in user.browser.get("/oauth/apps").text
    given(api, shown, resource=there)
    given(api, shown, resource=MAIL)
    assert "for up to" in user.browser.get("/oauth/apps").text


SERVERS = [pytest.param(name, marks=pytest.mark.services) for name in ("postgresql", "mariadb")]


one_or_all = pytest.mark.parametrize(
    "raced", ["sqlite", *SERVERS] if THOROUGH else SERVERS[:1], indirect=True
)


@pytest.fixture(params=["sqlite", *SERVERS])
def raced(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Flow, Flow]]:
    """Give an app of a user and an API, on a real database."""
    with ExitStack() as stack:
        uri = f"sqlite:///{tmp_path}/app.db"
        if request.param != "sqlite":
            uri = stack.enter_context(own_database(request.param))
        app = exchange_app(
            SQLALCHEMY_DATABASE_URI=uri,
            SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 16, "max_overflow": 4},
            TESTING=False,
        )
        yield user_of(app), an_api(app, to=(MAIL, NOTES))
        with app.app_context():
            app.db.engine.dispose()


def of_user(user: Flow, work: Callable[..., Any], *more: Any) -> Callable[[], Any]:
    app = user.browser.application

    def run() -> Any:
        return write(app, lambda session: work(session, "1", user.client.client_id, *more))

    return run


@one_or_all
def test_nothing_lives_on_that_is_exchanged_while_it_is_revoked(raced: tuple[Flow, Flow]) -> None:
    user, api = raced
    app = user.browser.application
    for _ in range(ROUNDS):
        shown = tokens_for(user)["access_token"]
        (grant_id,) = {t.grant_id for t in stored(app) if t.is_live(server_of(app).now())}

        def end() -> None:
            now = server_of(app).now()
            write(app, lambda session: revoke_one(session, grant_id, now))  # noqa: B023

        *answers, _ = at_once(*[lambda: exchange(api, shown)] * 6, end)  # noqa: B023
        assert {answer.status_code for answer in answers} <= {200, 400}
        assert live_tokens(app) == 0


@one_or_all
def test_what_is_made_from_a_token_while_it_is_given_back_ends(raced: tuple[Flow, Flow]) -> None:
    user, api = raced
    app = user.browser.application
    for _ in range(ROUNDS):
        shown = tokens_for(user)["access_token"]
        first = given(api, shown)
        *answers, gone = at_once(
            *[lambda: exchange(api, first)] * 5,  # noqa: B023
            lambda: api.revoke(first),  # noqa: B023
        )
        assert gone.status_code == 200
        assert {answer.status_code for answer in answers} <= {200, 400}
        now = server_of(app).now()
        assert not [token for token in stored(app) if token.actors and token.is_live(now)]
