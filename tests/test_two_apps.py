"""Two apps in one process know nothing of each other."""

from __future__ import annotations

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_pkce_server import PKCEServer
from flask_pkce_server.testing import Clock, Flow, register, server_of

from .host import SECRET_KEY, make_app, sign_in


def bare(db: SQLAlchemy, issuer: str) -> Flask:
    app = Flask("bare")
    app.config.update(
        TESTING=True,
        SECRET_KEY=SECRET_KEY,
        SQLALCHEMY_DATABASE_URI="sqlite://",
        PKCE_ISSUER=issuer,
    )
    db.init_app(app)
    return app


def routes(app: Flask) -> set[str]:
    return {rule.rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("pkce.")}


def test_nothing_leaks_from_one_app_to_the_other() -> None:
    one = make_app(PKCE_ISSUER="https://one.example", SECRET_KEY="1-" + SECRET_KEY)
    two = make_app(PKCE_ISSUER="https://two.example", PKCE_ACCESS_TOKEN_LIFETIME=60)
    flow = Flow(sign_in(one), register(one))
    tokens = flow.tokens()
    assert tokens["expires_in"] == 3600
    assert server_of(one).key("x") != server_of(two).key("x")
    assert server_of(one).issuer != server_of(two).issuer
    stranger = Flow(sign_in(two), flow.client)
    assert stranger.authorize().status_code == 400
    assert stranger.refresh(tokens["refresh_token"]).status_code == 401
    program = two.test_client(use_cookies=False)
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert program.get("/api/me", headers=bearer).status_code == 401
    server_of(two).clock = Clock(1)
    assert flow.refresh(tokens["refresh_token"]).status_code == 200


def test_a_consent_form_of_one_app_is_nothing_to_the_other() -> None:
    one, two = make_app(SECRET_KEY="1-" + SECRET_KEY), make_app()
    ours = Flow(sign_in(one), register(one))
    theirs = Flow(sign_in(two), ours.client)
    assert theirs.decide(ours.authorize()).status_code == 400


def test_one_extension_object_serves_two_apps() -> None:
    db = SQLAlchemy()
    pkce = PKCEServer(db)
    apps = [bare(db, f"https://{name}.example") for name in ("one", "two")]
    for app in apps:
        pkce.init_app(app)
        with app.app_context():
            db.create_all()
    one, two = apps
    assert server_of(one) is not server_of(two)
    client = register(one)
    with one.app_context():
        assert server_of(one).find_client(client.client_id) is not None
    with two.app_context():
        assert server_of(two).find_client(client.client_id) is None


@pytest.mark.parametrize("prefix", ["/oauth", "/auth/v1"])
def test_both_ways_in_give_the_same_routes(prefix: str) -> None:
    first, second = SQLAlchemy(), SQLAlchemy()
    one = bare(first, "https://one.example")
    one.config["PKCE_URL_PREFIX"] = prefix
    PKCEServer(first).init_app(one)
    two = bare(second, "https://one.example")
    two.register_blueprint(PKCEServer(second).blueprint, url_prefix=prefix)
    assert f"{prefix}/authorize" in routes(one)
    assert routes(one) == routes(two)
    documents = [
        app.test_client().get("/.well-known/oauth-authorization-server").get_json()
        for app in (one, two)
    ]
    assert documents[0] == documents[1]
