"""JWT access tokens: opt-in, verified by others, revoked with their family."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from werkzeug.test import TestResponse

from flask_pkce_server import DescribedToken
from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.testing import Clock, Flow, register

from ..host import lending, make_app, sign_in
from ..openid import header, read

SCOPE = "openid profile notes:read offline_access"
RESOURCES = {"https://api.example": ["notes:read", "notes:write"]}


@pytest.fixture
def app() -> Iterator[Flask]:
    with lending.app(make_app, PKCE_ACCESS_TOKEN_FORMAT="jwt") as app:
        yield app


@pytest.fixture
def flow(pkce_flow: Flow) -> Flow:
    pkce_flow.scope = SCOPE
    return pkce_flow


def call(app: Flask, token: str, path: str = "/api/notes") -> TestResponse:
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client(use_cookies=False).get(path, headers=headers)


def test_it_says_what_rfc_9068_wants(app: Flask, flow: Flow, pkce_clock: Clock) -> None:
    # RFC 9068 2
    token = flow.tokens()["access_token"]
    top, claims = header(app, token), read(app, token)
    assert (top["typ"], top["alg"]) == ("at+jwt", "RS256")
    now = int(pkce_clock.now)
    assert len(claims.pop("jti")) == 43
    claims.pop("auth_time", None)
    assert claims == {
        "iss": "https://auth.example",
        "sub": "1",
        "aud": "https://auth.example",
        "client_id": flow.client.client_id,
        "exp": now + 3600,
        "iat": now,
        "scope": "notes:read offline_access openid profile",
    }


def test_it_opens_what_an_opaque_one_opens(app: Flask, flow: Flow) -> None:
    token = flow.tokens()["access_token"]
    assert call(app, token).get_json() == ["milk"]
    assert call(app, token, "/api/me").get_json()["name"] == "Ada Lovelace"
    assert call(app, token, "/oauth/userinfo").get_json()["name"] == "Ada Lovelace"
    narrow = flow.tokens(scope="openid")["access_token"]
    assert call(app, narrow).status_code == 403


def test_the_id_token_has_its_hash(app: Flask, flow: Flow) -> None:
    import hashlib

    tokens = flow.tokens()
    half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    wanted = base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    assert read(app, tokens["id_token"])["at_hash"] == wanted


def test_it_is_opt_in_for_the_server_and_for_a_client(client: FlaskClient) -> None:
    app = make_app()
    browser = sign_in(app)
    usual = Flow(browser, register(app), scope="profile").tokens()["access_token"]
    assert usual.startswith("fpk_at_")
    chosen = register(app, client_metadata={"access_token_format": "jwt"})
    assert Flow(browser, chosen, scope="profile").tokens()["access_token"].count(".") == 2
    app = make_app(PKCE_ACCESS_TOKEN_FORMAT="jwt", PKCE_JWT_ACCESS_TOKEN_ALG="ES256")
    browser = sign_in(app)
    token = Flow(browser, register(app), scope="profile").tokens()["access_token"]
    assert header(app, token)["alg"] == "ES256"
    opaque = register(app, client_metadata={"access_token_format": "opaque"})
    token = Flow(browser, opaque, scope="profile").tokens()["access_token"]
    assert token.startswith("fpk_at_")


def test_the_scopes_of_another_api_name_it_as_the_audience() -> None:
    # RFC 9068 3
    app = make_app(PKCE_JWT_ACCESS_TOKEN_RESOURCES=RESOURCES)
    flow = Flow(sign_in(app), register(app))
    token = flow.tokens(scope="notes:read")["access_token"]
    assert read(app, token)["aud"] == "https://api.example"
    both = flow.tokens(scope="openid notes:read")["access_token"]
    assert read(app, both)["aud"] == ["https://auth.example", "https://api.example"]
    assert flow.tokens(scope="profile")["access_token"].startswith("fpk_at_")
    # It is not for this app, though the app has a view of that scope.
    assert call(app, token).status_code == 401
    assert call(app, both).status_code == 200
    assert call(app, both, "/oauth/userinfo").status_code == 200


def test_an_opaque_token_for_another_api_opens_nothing_here_either() -> None:
    app = make_app(PKCE_JWT_ACCESS_TOKEN_RESOURCES=RESOURCES)
    metadata = {"access_token_format": "opaque"}
    flow = Flow(sign_in(app), register(app, client_metadata=metadata), scope="notes:read")
    token = flow.tokens()["access_token"]
    assert token.startswith("fpk_at_")
    assert call(app, token).status_code == 401


def test_it_is_revoked_with_its_family(app: Flask, flow: Flow) -> None:
    tokens = flow.tokens()
    flow.revoke(tokens["refresh_token"])
    assert call(app, tokens["access_token"]).get_json()["error"] == "invalid_token"


def test_it_can_be_given_back_and_introspected_itself(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app, auth_method="client_secret_basic"), scope=SCOPE)
    tokens = flow.tokens()
    said = flow.post("introspect", {"token": tokens["access_token"]}).get_json()
    assert (said["active"], said["sub"]) == (True, "1")
    assert flow.revoke(tokens["access_token"]).status_code == 200
    said = flow.post("introspect", {"token": tokens["access_token"]}).get_json()
    assert said == {"active": False}
    assert flow.refresh(tokens["refresh_token"]).status_code == 400


def test_a_host_may_do_without_asking_whether_it_was_revoked() -> None:
    app = make_app(PKCE_ACCESS_TOKEN_FORMAT="jwt", PKCE_JWT_ACCESS_TOKEN_CHECK_REVOCATION=False)
    flow = Flow(sign_in(app), register(app), scope=SCOPE)
    tokens = flow.tokens()
    assert call(app, tokens["access_token"], "/api/me").get_json()["subject"] == "1"
    flow.revoke(tokens["refresh_token"])
    assert call(app, tokens["access_token"]).status_code == 200
    # The endpoints of the server itself always ask.
    assert call(app, tokens["access_token"], "/oauth/userinfo").status_code == 401


def test_it_expires(app: Flask, flow: Flow, pkce_clock: Clock) -> None:
    token = flow.tokens()["access_token"]
    pkce_clock.advance(3600)
    assert call(app, token).status_code == 401


def test_a_repeated_refresh_gives_the_same_claims(
    app: Flask, flow: Flow, pkce_clock: Clock
) -> None:
    spent = flow.tokens()["refresh_token"]
    first = flow.refresh(spent).get_json()
    pkce_clock.advance(4)
    second = flow.refresh(spent).get_json()
    assert read(app, second["access_token"]) == read(app, first["access_token"])
    assert second["expires_in"] == 3596
    assert call(app, second["access_token"]).status_code == 200


def verified(app: Flask, token: str, audience: str) -> dict[str, Any]:
    """Verify a token as an API elsewhere does (RFC 9068 4), which knows only the issuer."""
    metadata = app.test_client().get("/.well-known/oauth-authorization-server").get_json()
    keys = app.test_client().get(urlsplit(metadata["jwks_uri"]).path).get_json()
    read = jwt.decode(token, KeySet.import_key_set(keys), algorithms=["RS256"])
    assert read.header["typ"] == "at+jwt"
    wanted = {"iss": metadata["issuer"], "aud": audience}
    registry = jwt.JWTClaimsRegistry(
        now=lambda: int(app.extensions["pkce"].now()),
        exp={"essential": True},
        **{name: {"essential": True, "value": value} for name, value in wanted.items()},
    )
    registry.validate(read.claims)
    return dict(read.claims)


def test_the_host_adds_claims_that_the_api_reads() -> None:
    # RFC 9068 2.2.3.1
    app = make_app(
        PKCE_JWT_ACCESS_TOKEN_RESOURCES=RESOURCES, PKCE_CLIENT_CREDENTIALS_SCOPES=["notes:write"]
    )

    @app.pkce.access_token_claims
    def claims(user: Any, token: DescribedToken) -> dict[str, Any]:
        if user is None:
            return {"tenant": token.client_id}
        return {
            "roles": {user.username, "editor"},
            "tenant": UUID(int=1),
            "for": [token.audience, token.scopes, token.client_id, token.actors],
        }

    flow = Flow(sign_in(app), register(app), scope="notes:read offline_access")
    tokens = flow.tokens(resource="https://api.example")
    for token in (tokens, flow.refresh(tokens["refresh_token"]).get_json()):
        said = verified(app, token["access_token"], "https://api.example")
        assert said["roles"] == ["ada", "editor"]
        assert said["tenant"] == "00000000-0000-0000-0000-000000000001"
        scopes = ["notes:read", "offline_access"]
        assert said["for"] == [["https://api.example"], scopes, flow.client.client_id, []]
    machine = register(
        app, auth_method="client_secret_post", redirect_uris=(), grant_types=["client_credentials"]
    )
    form = {"grant_type": "client_credentials", "scope": "notes:write"}
    token = Flow(app.test_client(), machine).post("token", form).get_json()["access_token"]
    said = verified(app, token, "https://api.example")
    assert (said["tenant"], said["sub"]) == (machine.client_id, machine.client_id)


RESERVED = dict.fromkeys(
    [
        *["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "client_id", "grant_type"],
        *["act", "cnf", "auth_time", "acr", "amr", "sid", "active", "token_type", "username"],
    ],
    "forged",
)


def test_the_host_replaces_no_claim_of_the_protocol(
    app: Flask, flow: Flow, pkce_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    usual = read(app, flow.tokens()["access_token"])
    app.pkce.access_token_claims(lambda user, token: {**RESERVED, "roles": ["a"]})
    token = flow.tokens()["access_token"]
    said = read(app, token)
    assert said.pop("roles") == ["a"]
    assert said.keys() == usual.keys()
    for name in usual.keys() - {"jti"}:
        assert said[name] == usual[name]
    for name in RESERVED:
        assert f"the claim {name} of an access token is left out" in caplog.text
    assert "forged" not in caplog.text
    assert call(app, token).get_json() == ["milk"]


def test_a_claim_that_a_scope_releases_needs_this_scope_here_too() -> None:
    app = make_app(PKCE_ACCESS_TOKEN_FORMAT="jwt", PKCE_OPENID_CLAIMS={"notes:read": ["plan"]})
    told = {"email": "ada@example.com", "plan": "paid", "roles": ["a"]}
    app.pkce.access_token_claims(lambda user, token: told)
    flow = Flow(sign_in(app), register(app))
    for scope, names in (
        ("openid", {"roles"}),
        ("openid email", {"roles", "email"}),
        ("notes:read", {"roles", "plan"}),
    ):
        claims = read(app, flow.tokens(scope=scope)["access_token"])
        assert claims.keys() & told.keys() == names


def test_a_claim_that_json_has_not_is_left_out_of_an_access_token(
    app: Flask, flow: Flow, caplog: pytest.LogCaptureFixture
) -> None:
    app.pkce.access_token_claims(lambda user, token: {"roles": ["a"], "photo": b"raw"})
    claims = read(app, flow.tokens()["access_token"])
    assert claims["roles"] == ["a"]
    assert "photo" not in claims
    assert "the claim photo is left out" in caplog.text


def test_a_function_of_the_host_that_fails_burns_no_code() -> None:
    app = make_app(TESTING=False, PROPAGATE_EXCEPTIONS=False, PKCE_ACCESS_TOKEN_FORMAT="jwt")

    def fail(user: Any, token: DescribedToken) -> dict[str, Any]:
        raise RuntimeError("the directory does not answer")

    flow = Flow(sign_in(app), register(app), scope=SCOPE)
    code = flow.allow()["code"]
    app.pkce.access_token_claims(fail)
    answer = flow.redeem(code)
    assert (answer.status_code, answer.get_json()["error"]) == (500, "server_error")
    app.pkce.access_token_claims(lambda user, token: None)
    assert flow.redeem(code).get_json()["error"] == "server_error"
    app.pkce.access_token_claims(lambda user, token: {"roles": ["a"]})
    assert read(app, flow.redeem(code).get_json()["access_token"])["roles"] == ["a"]


def test_a_pairwise_client_is_given_opaque_ones() -> None:
    app = make_app(PKCE_ACCESS_TOKEN_FORMAT="jwt", PKCE_OPENID_PAIRWISE_SALT="salt")
    metadata = {"subject_type": "pairwise"}
    flow = Flow(sign_in(app), register(app, client_metadata=metadata), scope="openid")
    assert flow.tokens()["access_token"].startswith("fpk_at_")
    with pytest.raises(InvalidRequestError, match="opaque"):
        register(app, client_metadata={**metadata, "access_token_format": "jwt"})


def forged(app: Flask, flow: Flow) -> dict[str, str]:
    """What an attacker makes of a good token and of what is published."""
    tokens = flow.tokens()
    good = tokens["access_token"]
    top, body, signature = good.split(".")
    claims = read(app, good)
    own = ECKey.generate_key("P-256", {"kid": "mine"})
    kid = header(app, good)["kid"]

    def encode(content: dict) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()

    richer = encode({**claims, "scope": "notes:read notes:write"})
    return {
        "an ID token": tokens["id_token"],
        "no signature": f"{top}.{body}.",
        "other claims": f"{top}.{richer}.{signature}",
        "none": f"{encode({'alg': 'none', 'typ': 'at+jwt', 'kid': kid})}.{richer}.",
        "HS256": f"{encode({'alg': 'HS256', 'typ': 'at+jwt', 'kid': kid})}.{richer}.{signature}",
        # Authlib CVE-2026-27962
        "a key in the header": jwt.encode(
            {"alg": "ES256", "typ": "at+jwt", "kid": kid, "jwk": own.as_dict(private=False)},
            claims,
            own,
        ),
        "another's key": jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "mine"}, claims, own),
        "an odd kid": f"{encode({'alg': 'RS256', 'typ': 'at+jwt', 'kid': ['x']})}.{body}.x",
        "an odd typ": f"{encode({'alg': 'RS256', 'typ': 7, 'kid': kid})}.{body}.x",
        "a list for a header": f"{base64.urlsafe_b64encode(b'[1]').decode()}.{body}.x",
        "a deep header": f"{base64.urlsafe_b64encode(b'[' * 3000).decode()}.{body}.x",
        "not base64": f"!!.{body}.x",
        "huge": "a." * 2 + "a" * 20000,
    }


def test_what_was_not_signed_here_as_an_access_token_opens_nothing(app: Flask, flow: Flow) -> None:
    # RFC 8725, RFC 9068 4: typ, alg, kid and signature have all to be right.
    for what, token in forged(app, flow).items():
        answer = call(app, token)
        assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_token"), what
        assert flow.revoke(token).status_code in (200, 400), what


def test_a_token_of_another_issuer_with_our_keys_opens_nothing(app: Flask, flow: Flow) -> None:
    flow.tokens()
    server = app.extensions["pkce"]
    with app.app_context():
        server.keys.prepare()
        claims = {"iss": "https://other.example", "aud": "https://auth.example", "sub": "1"}
        assert call(app, server.keys.sign(claims, "RS256", typ="at+jwt")).status_code == 401
