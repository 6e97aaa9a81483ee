"""Guards that guard nothing, because another decorator stands between them and the route."""

from __future__ import annotations

import functools
import gc
import json
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView

from flask_pkce_server import ConfigurationError, require

from ..host import fill, make_app


def other(view: Any) -> Any:
    @functools.wraps(view)
    def around() -> Any:
        return view()

    return around


def start(app: Flask) -> Flask:
    app.pkce.init_app(app)
    with app.app_context():
        fill()
    return app


def refused(app: Flask, path: str = "/z") -> str:
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="stands above its route decorator") as raised:
            app.test_client().get(path)
    app.config["TESTING"] = False
    assert app.test_client().get(path).status_code == 500
    return raised.value.write


def test_a_guard_above_the_route_decorator_is_refused() -> None:
    # The guard is gone when the function that made the view returns.
    app = make_app(init=False)

    @app.pkce.require("profile", "notes:read")
    @app.get("/z")
    def z() -> str:
        return "open"

    del z
    write = refused(start(app))
    assert write == '@pkce.require("profile", "notes:read")  # below the route decorator of /z'


def test_a_guard_above_another_decorator_and_the_route_is_refused() -> None:
    app = make_app(init=False)
    require()(other(app.get("/z", endpoint="z")(lambda: "open")))
    assert refused(start(app)) == "@pkce.require()  # below the route decorator of /z"


def test_a_second_guard_above_the_route_decorator_is_refused() -> None:
    app = make_app(init=False)

    @require("notes:write")
    @app.get("/z")
    @require("profile")
    def z() -> str:
        return "open for profile"

    assert "notes:write" in refused(start(app))


@pytest.mark.parametrize("first", [False, True])
def test_a_guard_above_the_route_decorator_of_a_blueprint_is_refused(first: bool) -> None:
    app, blueprint = make_app(init=False), Blueprint("api", __name__)

    @require("profile")
    @blueprint.get("/z")
    def z() -> str:
        return "open"

    if first:
        start(app)
    app.register_blueprint(blueprint)
    assert "profile" in refused(app if first else start(app))


def test_no_other_view_is_served_either() -> None:
    app = make_app(init=False)
    require("profile")(app.get("/z", endpoint="z")(lambda: "open"))
    refused(start(app), "/login")


def test_a_class_is_told_where_the_guard_goes() -> None:
    with pytest.raises(ConfigurationError, match="Notes is a class") as raised:

        @require("notes:read")
        class Notes(MethodView):
            pass

    assert raised.value.write == 'decorators = [pkce.require("notes:read")]  # in the class'


def test_a_function_may_be_open_at_one_path_and_guarded_at_another() -> None:
    app = make_app(init=False)

    def news() -> str:
        return "news"

    app.add_url_rule("/news", "news", news)
    app.add_url_rule("/api/news", "news_for_apps", require("profile")(news))
    browser = start(app).test_client()
    assert [browser.get(path).status_code for path in ("/news", "/api/news")] == [200, 401]


def test_a_function_may_be_open_in_one_app_and_guarded_in_another() -> None:
    def news() -> str:
        return "news"

    site, api = make_app(init=False), make_app(init=False)
    site.add_url_rule("/news", "news", news)
    api.add_url_rule("/news", "news", api.pkce.require("profile")(news))
    answers = [start(app).test_client().get("/news").status_code for app in (api, site)]
    assert answers == [401, 200]


def test_an_app_that_is_gone_has_guarded_the_function_all_the_same() -> None:
    def news() -> str:
        return "news"

    for guards in (True, False):
        app = make_app(init=False)
        view = app.pkce.require("profile")(news) if guards else news
        app.add_url_rule("/news", "news", view)
        assert start(app).test_client().get("/news").status_code == (401 if guards else 200)
        del app, view
        gc.collect()


def test_a_view_may_call_a_guarded_function() -> None:
    app = make_app(init=False)

    def news() -> str:
        return "news"

    guarded = require("profile")(news)

    @functools.wraps(news)
    def either() -> Any:
        return guarded()

    app.add_url_rule("/news", "news", either)
    assert start(app).test_client().get("/news").status_code == 401


def findings(app: Flask, code: int) -> dict[str, str]:
    result = app.test_cli_runner().invoke(args=["pkce", "doctor", "--json"])
    assert result.exit_code == code, result.output
    problems = json.loads(result.output)
    return {p["about"]: p["level"] for p in problems if "pkce.require" in p["about"]}


def test_the_doctor_names_views_that_are_open() -> None:
    app = make_app(init=False)
    require("profile")(app.get("/z", endpoint="z")(lambda: "open"))
    (about,) = findings(start(app), 1).items()
    assert about == (
        'The view "z" needs no token: pkce.require stands above its route decorator.',
        "FAIL",
    )


def test_the_doctor_names_guards_below_another_decorator() -> None:
    # With an issuer as every product's SDK wants it.
    app = make_app(init=False, PKCE_ISSUER="https://auth.example/")
    app.get("/below", endpoint="below")(other(require("profile")(lambda: "guarded")))
    app.get("/above", endpoint="above")(require("profile")(other(lambda: "guarded")))
    ((about, level),) = findings(start(app), 0).items()
    assert level == "WARN"
    assert about.startswith('pkce.require stands below another decorator in the view "below"')
