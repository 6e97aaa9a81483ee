"""A host of one file: no Flask-Login, a session of its own, users that are not in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask, redirect, request, session
from flask_sqlalchemy import SQLAlchemy

from flask_pkce_server import PKCEServer, current_token
from flask_pkce_server.testing import Flow, parameters_of, register

from ..host import SECRET_KEY


@dataclass
class Person:
    key: str
    nickname: str


def make_host(*, asynchronous: bool) -> tuple[Flask, dict[str, Person]]:
    app, db, people = Flask("own"), SQLAlchemy(), {"u-ada": Person("u-ada", "Countess")}
    app.config.update(
        TESTING=True,
        SECRET_KEY=SECRET_KEY,
        SQLALCHEMY_DATABASE_URI="sqlite://",
        PKCE_ISSUER="https://own.example",
    )
    db.init_app(app)
    pkce = PKCEServer(db)
    pkce.init_app(app)

    def current_user() -> Person | None:
        return people.get(session.get("who", ""))

    def load(subject: str) -> Person | None:
        return people.get(subject)

    def subject(user: Person) -> str:
        return user.key

    def ask_login(next_url: str) -> Any:
        return redirect(f"/enter?back={next_url}")

    def name(user: Person) -> str:
        return f"{user.nickname} of own"

    def as_wanted(function: Any) -> Any:
        async def waited(*args: Any) -> Any:
            return function(*args)

        return waited if asynchronous else function

    pkce.current_user(as_wanted(current_user))
    pkce.user_loader(as_wanted(load))
    pkce.user_subject(as_wanted(subject))
    pkce.login_required_response(as_wanted(ask_login))
    pkce.user_name(as_wanted(name))

    @app.route("/enter", methods=["GET", "POST"])
    def enter() -> Any:
        if request.method == "POST":
            session["who"] = request.form["who"]
            return redirect(request.args["back"], 303)
        return "who are you?"

    def me() -> dict[str, str]:
        return {"nickname": current_token.user.nickname, "subject": current_token.subject}

    async def me_too() -> dict[str, str]:
        return me()

    app.get("/me")(pkce.require("profile")(me_too if asynchronous else me))
    with app.app_context():
        db.create_all()
    return app, people


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def host(request: pytest.FixtureRequest) -> Iterator[tuple[Flask, dict[str, Person]]]:
    return make_host(asynchronous=request.param)


def test_the_whole_flow_with_users_of_the_hosts_own(host: tuple[Flask, dict[str, Person]]) -> None:
    app, people = host
    flow = Flow(app.test_client(), register(app))
    short = flow.authorize()
    login = flow.browser.get(short.headers["Location"]).headers["Location"]
    back = parse_qs(urlsplit(login).query)["back"][0]
    assert back == short.headers["Location"]
    assert len(back) < 60
    home = flow.browser.post(login, data={"who": "u-ada"})
    page = flow.browser.get(home.headers["Location"])
    assert "Countess of own" in page.text
    tokens = flow.redeem(parameters_of(flow.decide(page))["code"]).get_json()
    program = app.test_client(use_cookies=False)
    me = program.get("/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert me.get_json() == {"nickname": "Countess", "subject": "u-ada"}

    tokens = flow.refresh(tokens["refresh_token"]).get_json()
    del people["u-ada"]
    gone = flow.refresh(tokens["refresh_token"])
    assert (gone.status_code, gone.get_json()["error"]) == (400, "invalid_grant")


def test_a_code_of_a_user_who_was_deleted_gives_nothing(
    host: tuple[Flask, dict[str, Person]],
) -> None:
    app, people = host
    flow = Flow(app.test_client(), register(app))
    flow.browser.post("/enter?back=/", data={"who": "u-ada"})
    code = flow.allow()["code"]
    del people["u-ada"]
    assert flow.redeem(code).get_json()["error"] == "invalid_grant"
