"""The JWK Set: what it holds, who may read it, how it is kept."""

from __future__ import annotations

from flask import Flask

from flask_pkce_server.testing import Clock, Flow, parameters_of

from ..host import make_app
from ..openid import header, published, read


def run(app: Flask, *args: str) -> str:
    result = app.test_cli_runner().invoke(args=["pkce", "key", *args])
    assert result.exit_code == 0, result.output
    return result.output


def test_it_holds_a_key_of_each_algorithm_and_nothing_private(app: Flask) -> None:
    # RFC 7517 5; DK-OIDC #347: no oct keys.
    keys = app.test_client().get("/oauth/jwks").get_json()["keys"]
    assert {(key["alg"], key["kty"], key["use"]) for key in keys} == {
        ("RS256", "RSA", "sig"),
        ("ES256", "EC", "sig"),
    }
    assert len({key["kid"] for key in keys}) == 2
    for key in keys:
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys()


def test_anybody_may_read_and_keep_it(app: Flask) -> None:
    answer = app.test_client().get("/oauth/jwks", headers={"Origin": "https://any.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.mimetype == "application/json"
    again = app.test_client().get("/oauth/jwks", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_it_is_where_the_metadata_says(app: Flask) -> None:
    document = app.test_client().get("/.well-known/openid-configuration").get_json()
    assert document["jwks_uri"] == "https://auth.example/oauth/jwks"


def test_below_the_path_of_an_issuer_too() -> None:
    app = make_app(PKCE_ISSUER="https://auth.example/t/1")
    assert app.extensions["pkce"].metadata()["jwks_uri"] == "https://auth.example/t/1/oauth/jwks"
    assert app.test_client().get("/t/1/oauth/jwks").get_json()["keys"]


def test_a_key_is_published_before_it_signs_and_while_anything_it_signed_is_good(
    app: Flask, pkce_flow: Flow, pkce_clock: Clock
) -> None:
    pkce_flow.scope = "openid"

    def kid_and_token() -> tuple[str, str]:
        token = pkce_flow.tokens()["id_token"]
        return header(app, token)["kid"], token

    old, token = kid_and_token()
    run(app, "rotate")
    assert len(published(app).keys) == 4
    pkce_clock.advance(7199)
    assert kid_and_token()[0] == old
    pkce_clock.advance(1)
    new, _ = kid_and_token()
    assert new != old
    assert read(app, token)["sub"] == "1"
    pkce_clock.advance(2592000 - 1)
    assert old in [key.kid for key in published(app)]
    pkce_clock.advance(1)
    assert old not in [key.kid for key in published(app)]
    assert len(published(app).keys) == 2


def test_keys_that_are_over_are_pruned(app: Flask, pkce_clock: Clock) -> None:
    app.test_client().get("/oauth/jwks")
    run(app, "rotate")
    pkce_clock.advance(7200 + 2592000)
    output = app.test_cli_runner().invoke(args=["pkce", "prune"]).output
    assert "jwks 2" in output
    assert run(app, "list").count("active") == 2


def test_the_commands_name_each_key_and_its_state(app: Flask, pkce_clock: Clock) -> None:
    # Looking makes none: a shell may have another secret than the app.
    assert "No keys yet" in run(app, "list")
    published(app)
    assert run(app, "list").count(" active ") == 2
    output = run(app, "rotate")
    assert output.count("signs within 7200 seconds") == 2
    # A second time it is the same rotation.
    assert run(app, "rotate") == output
    listed = run(app, "list")
    assert (listed.count(" active "), listed.count(" next ")) == (2, 2)
    pkce_clock.advance(7200)
    listed = run(app, "list")
    assert (listed.count(" retired "), listed.count(" active ")) == (2, 2)


def test_compromised_keys_are_gone_at_once(app: Flask, pkce_flow: Flow) -> None:
    told: list[dict] = []

    def listen(app: Flask, **facts) -> None:
        told.append(facts)

    from flask_pkce_server import key_rotated

    key_rotated.connect(listen, app)
    token = pkce_flow.tokens(scope="openid")["id_token"]
    old = header(app, token)["kid"]
    run(app, "rotate", "--compromised", "--json")
    assert old not in [key.kid for key in published(app)]
    fresh = pkce_flow.tokens(scope="openid")["id_token"]
    assert read(app, fresh)["sub"] == "1"
    refused = parameters_of(pkce_flow.authorize(id_token_hint=token, prompt="none"))
    assert refused["error"] == "login_required"
    assert [(one["compromised"], len(one["kids"])) for one in told] == [(True, 2)]
