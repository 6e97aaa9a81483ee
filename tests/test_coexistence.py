"""Beside whatever else the host has: proxies, CSRF protection, CORS, catch-alls, templates."""

from __future__ import annotations

import functools
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Blueprint, Flask, request
from flask.views import MethodView
from flask_login import current_user
from flask_wtf import CSRFProtect
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_pkce_server import current_token
from flask_pkce_server.testing import Flow, hidden_fields, parameters_of, register

from .host import make_app, sign_in


def ready(app: Flask) -> Flask:
    """Set up the server, the tables and Ada in an app that was made without."""
    app.pkce.init_app(app)
    with app.app_context():
        app.db.create_all()
        app.db.session.add(app.User(username="ada", name="Ada Lovelace"))
        app.db.session.commit()
    return app


# Proxies and paths.


def test_at_a_sub_path_behind_a_proxy_that_says_so() -> None:
    app = make_app(PKCE_ISSUER="https://example.com/app")
    app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1, x_prefix=1)
    forwarded = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "example.com",
        "X-Forwarded-Prefix": "/app",
    }
    flow = Flow(app.test_client(), register(app))
    sent = flow.browser.get("/oauth/authorize", query_string=flow.request(), headers=forwarded)
    assert sent.headers["Location"].startswith("/app/oauth/authorize?r=")
    assert "Path=/app/oauth/authorize" in sent.headers["Set-Cookie"]
    document = app.test_client().get("/.well-known/oauth-authorization-server", headers=forwarded)
    endpoint = document.get_json()["authorization_endpoint"]
    assert endpoint == "https://example.com/app/oauth/authorize"
    browser = sign_in(app)
    page = browser.get("/oauth/authorize", query_string=flow.request(), headers=forwarded)
    assert 'href="/app/oauth/static/pkce.css"' in page.text
    assert 'action="/app/oauth/authorize"' in page.text


def test_behind_a_proxy_that_does_not_take_the_path_away() -> None:
    app = make_app(PKCE_ISSUER="https://example.com/app")
    flow = Flow(sign_in(app), register(app))
    page = flow.browser.get("/app/oauth/authorize", query_string=flow.request())
    assert 'action="/app/oauth/authorize"' in page.text
    form = {**hidden_fields(page.text), "decision": "allow"}
    code = parameters_of(flow.browser.post("/app/oauth/authorize", data=form))["code"]
    assert flow.redeem(code).status_code == 200


def test_mounted_below_a_path() -> None:
    app = make_app(PKCE_ISSUER="https://example.com/app")
    app.wsgi_app = DispatcherMiddleware(Flask("root").wsgi_app, {"/app": app.wsgi_app})
    answer = app.test_client().get("/app/.well-known/oauth-authorization-server")
    assert answer.get_json()["issuer"] == "https://example.com/app"


def test_plain_http_from_a_tls_proxy_is_no_error(pkce_flow: Flow) -> None:
    # Authlib alone would answer every endpoint with a 500 here.
    base = "http://internal.example:8000"
    answer = pkce_flow.browser.get(
        "/oauth/authorize", query_string=pkce_flow.request(), base_url=base
    )
    assert answer.status_code == 302
    token = pkce_flow.browser.application.test_client().post("/oauth/token", base_url=base)
    assert token.status_code == 400


def test_endpoints_move_to_where_the_host_wants_them() -> None:
    app = make_app(
        PKCE_ENDPOINTS={"authorize": "/authorize", "token": "/api/token"}, PKCE_DIALECTS=[]
    )
    flow = Flow(sign_in(app), register(app))
    assert flow.server.paths["token"] == "/api/token"
    assert flow.tokens()["access_token"]
    assert app.test_client().post("/oauth/token").status_code == 404
    document = flow.server.metadata()
    assert document["authorization_endpoint"] == "https://auth.example/authorize"


def test_a_slash_at_the_end_makes_no_redirect(app: Flask) -> None:
    assert app.test_client().post("/oauth/token/").status_code == 400


@pytest.mark.parametrize(
    "path",
    ["/oauth//authorize", "/oauth//token", "/oauth/static//pkce.css", "/.well-known//jwks.json"],
)
def test_a_doubled_slash_makes_no_redirect_to_the_host_header(app: Flask, path: str) -> None:
    for method in ("GET", "POST"):
        answer = app.test_client().open(path, method=method, headers={"Host": "evil.example"})
        assert answer.status_code in (404, 405)
        assert "Location" not in answer.headers


def test_a_server_name_does_no_harm() -> None:
    app = make_app(SERVER_NAME="auth.example", TRUSTED_HOSTS=["auth.example"])
    flow = Flow(sign_in(app), register(app))
    assert flow.tokens()["access_token"]
    evil = app.test_client().get(
        "/.well-known/oauth-authorization-server", headers={"Host": "evil.example"}
    )
    assert evil.status_code in (400, 404)


# CSRF protection of the host.


@pytest.mark.parametrize("before", [True, False])
def test_csrf_protect_in_either_order(before: bool) -> None:
    app = make_app(init=False)
    csrf = CSRFProtect()
    if before:
        csrf.init_app(app)
    csrf.exempt(app.view_functions["login_page"])
    ready(app)
    if not before:
        csrf.init_app(app)
    flow = Flow(sign_in(app), register(app))
    tokens = flow.tokens()
    assert flow.refresh(tokens["refresh_token"]).status_code == 200
    guarded = app.test_client().post(
        "/api/me", headers={"Authorization": f"Bearer {tokens['access_token']}"}
    )
    assert guarded.status_code == 200
    assert flow.browser.post("/logout").status_code == 400
    page = flow.authorize(scope="notes:write")
    assert flow.decide(page, csrf_token="").status_code == 400
    posted = Flow(app.test_client(), flow.client)
    assert posted.browser.post("/oauth/authorize", data=posted.request()).status_code == 303


def test_a_form_is_protected_beside_a_guarded_view_of_the_same_name() -> None:
    # Flask-WTF tells views apart by module and name alone.
    app = make_app(init=False)
    CSRFProtect(app)
    api, site = Blueprint("api", __name__), Blueprint("site", __name__)

    def note_of_api() -> str:
        return "by token"

    def note_of_site() -> str:
        return "by session"

    note_of_api.__name__ = note_of_site.__name__ = "note"
    api.add_url_rule("/api/note", view_func=app.pkce.require()(note_of_api), methods=["POST"])
    site.add_url_rule("/note", view_func=note_of_site, methods=["POST"])
    app.register_blueprint(api)
    app.register_blueprint(site)
    ready(app)
    browser = app.test_client()
    assert [browser.post(path).status_code for path in ("/api/note", "/note")] == [401, 400]


def test_a_form_is_protected_in_one_app_where_another_guards_it() -> None:
    csrf, apps = CSRFProtect(), []

    def transfer() -> str:
        return "moved"

    for is_api in (False, True):
        app = make_app(init=False)
        view = app.pkce.require("notes:write")(transfer) if is_api else transfer
        app.add_url_rule("/transfer", "transfer", view, methods=["POST"])
        csrf.init_app(app)
        apps.append(ready(app))
    site, api = (app.test_client() for app in apps)
    # A request to one changes nothing for the other.
    for _ in range(2):
        assert api.post("/transfer").status_code == 401
        assert site.post("/transfer").status_code == 400


def test_a_form_is_protected_that_takes_a_session_or_a_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_app(init=False)
    CSRFProtect(app).exempt(app.view_functions["login_page"])

    def session_or_token(guarded):
        @functools.wraps(guarded)
        def either():
            return guarded.__wrapped__() if current_user.is_authenticated else guarded()

        return either

    @app.post("/transfer")
    @session_or_token
    @app.pkce.require("notes:write")
    def transfer() -> str:
        return "moved"

    ready(app)
    assert sign_in(app).post("/transfer").status_code == 400
    assert 'the view "transfer"' in caplog.text


def test_guarded_views_of_every_kind_need_no_csrf_token() -> None:
    app = make_app(init=False)
    CSRFProtect(app).exempt(app.view_functions["login_page"])
    guard, blueprint = app.pkce.require("profile"), Blueprint("api", __name__)

    class Notes(MethodView):
        decorators = (guard,)

        def post(self) -> str:
            return current_token.client_id

    @blueprint.post("/async")
    @guard
    async def later() -> str:
        return current_token.client_id

    app.add_url_rule("/class", view_func=Notes.as_view("notes_view"))
    app.register_blueprint(blueprint, url_prefix="/api")
    ready(app)
    flow = Flow(sign_in(app), register(app))
    bearer = {"Authorization": f"Bearer {flow.tokens()['access_token']}"}
    for path in ("/class", "/api/async"):
        assert app.test_client().post(path).status_code == 401
        assert app.test_client().post(path, headers=bearer).text == flow.client.client_id


def test_the_consent_form_is_protected_even_where_the_host_switched_it_off() -> None:
    app = make_app(WTF_CSRF_ENABLED=False)
    flow = Flow(sign_in(app), register(app))
    assert flow.decide(flow.authorize(), csrf_token="").status_code == 400
    assert "code" in parameters_of(flow.decide(flow.authorize()))


def test_the_token_of_another_session_decides_nothing(app: Flask, pkce_flow: Flow) -> None:
    theirs = Flow(sign_in(app), pkce_flow.client)
    stolen = hidden_fields(theirs.authorize().text)["csrf_token"]
    answer = pkce_flow.decide(pkce_flow.authorize(), csrf_token=stolen)
    assert answer.status_code == 400


# What the host does to every request and every answer.


def test_a_catch_all_of_the_host_hides_nothing() -> None:
    app = make_app(init=False)

    @app.route("/", defaults={"path": ""})
    @app.route("/<path:path>")
    def spa(path: str) -> str:
        return "<html>the single-page app</html>"

    ready(app)
    browser = app.test_client()
    for path in (
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/else",
        "/oauth/token",
        "/oauth/revoke",
    ):
        assert browser.get(path).mimetype == "application/json", path
    assert "single-page" in browser.get("/anything").text


def test_error_handlers_of_the_host_do_not_answer_for_us() -> None:
    app = make_app(init=False)
    for what in (400, 401, 403, 404, 405, Exception):
        app.register_error_handler(what, lambda error: ("<h1>the host's page</h1>", 418))
    ready(app)
    browser = app.test_client()
    for answer in (
        browser.get("/oauth/token"),
        browser.post("/oauth/token"),
        browser.post("/oauth/revoke", data={"client_id": "unknown"}),
        browser.get("/api/me"),
        browser.get("/.well-known/openid-configuration/else"),
    ):
        assert answer.mimetype == "application/json"
        assert answer.status_code in (400, 401, 404, 405)


def test_a_host_that_reads_every_body_first_takes_nothing_away() -> None:
    app = make_app(init=False)
    app.before_request(lambda: request.form.get("x") and None)
    ready(app)
    assert Flow(sign_in(app), register(app)).tokens()["access_token"]


def test_a_host_wide_cors_is_not_doubled() -> None:
    app = make_app(init=False)

    def everywhere(response):
        response.headers.setdefault("Access-Control-Allow-Origin", "*")
        return response

    app.after_request(everywhere)
    ready(app)
    app.after_request(everywhere)
    client = register(app)
    for path in ("/oauth/token", "/.well-known/oauth-authorization-server", "/api/me"):
        answer = app.test_client().open(
            path,
            method="POST" if "token" in path else "GET",
            data={"client_id": client.client_id},
            headers={"Origin": "https://client.example"},
        )
        assert len(answer.headers.getlist("Access-Control-Allow-Origin")) == 1


# The consent template of the host.


@pytest.mark.parametrize(
    ("template", "there", "gone"),
    [
        (
            '{% extends "pkce/_consent.html" %}{% block intro %}<h1>Our words for '
            "{{ consent.client.client_name }}</h1>{% endblock %}",
            ["Our words for Notebook", "See your name and profile", "client.example"],
            "wants to use your",
        ),
        (
            "<p>{{ consent.account }}</p><form method=post action='{{ consent.action }}'>"
            "{{ consent.form.csrf_token }}{{ consent.form.request }}"
            "<button name=decision value=allow>Ja</button></form>",
            ["<p>Ada Lovelace</p>", "Ja"],
            "pkce-card",
        ),
    ],
)
def test_a_block_of_the_consent_page_or_all_of_it_is_the_hosts(
    tmp_path: Path, template: str, there: list[str], gone: str
) -> None:
    (tmp_path / "pkce").mkdir()
    (tmp_path / "pkce" / "consent.html").write_text(template)
    app = make_app(init=False)
    app.template_folder = str(tmp_path)
    ready(app)
    flow = Flow(sign_in(app), register(app))
    page = flow.authorize()
    for words in there:
        assert words in page.text
    assert gone not in page.text
    assert "code" in parameters_of(flow.decide(page))


def test_what_a_client_calls_itself_is_escaped(app: Flask, client) -> None:
    name = '<script>alert(1)</script>"' + "x" * 200
    page = Flow(client, register(app, name=name)).authorize().text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_parameters_of_the_form_cannot_be_changed(pkce_flow: Flow) -> None:
    # Only what was signed counts; whatever else is posted beside it is not read.
    answer = pkce_flow.decide(
        pkce_flow.authorize(scope="profile"),
        scope="notes:write",
        redirect_uri="https://evil.example/",
        client_id="evil",
        state="evil",
    )
    assert urlsplit(answer.headers["Location"]).hostname == "client.example"
    assert parameters_of(answer)["state"] == pkce_flow.state
    assert pkce_flow.redeem(parameters_of(answer)["code"]).get_json()["scope"] == "profile"


def test_what_the_host_has_begun_is_neither_committed_nor_rolled_back(tmp_path: Path) -> None:
    app = make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db")
    flow = Flow(sign_in(app), register(app))
    token = flow.tokens()["access_token"]
    with app.app_context():
        app.db.session.add(app.User(username="eve", name="Eve"))
        # In the same context: units of work of ours that are committed and that fail.
        assert flow.revoke(token).status_code == 200
        assert flow.post("revoke", {"token": ""}).status_code == 400
        assert [user.username for user in app.db.session.new] == ["eve"]
        app.db.session.rollback()
        names = app.db.session.scalars(app.db.select(app.User.username)).all()
        assert sorted(names) == ["ada", "bob"]
        app.db.engine.dispose()
