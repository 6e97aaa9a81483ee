"""ID tokens, scopes, the claims parameter, pairwise subjects."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_login import current_user

from flask_pkce_server import ConfigurationError
from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.testing import (
    Clock,
    Flow,
    RegisteredClient,
    hidden_fields,
    parameters_of,
    register,
)
from flask_pkce_server.wire.names import DEVICE_CODE

from ..device import Device, television
from ..host import make_app, sign_in
from ..openid import header, id_token, published, read

SCOPE = "openid profile offline_access"


@pytest.fixture
def flow(pkce_flow: Flow) -> Flow:
    pkce_flow.scope = SCOPE
    return pkce_flow


def test_an_id_token_says_who_signed_in(app: Flask, pkce_clock: Clock) -> None:
    # OIDC Core 2. Signed in by the clock of the server.
    flow = Flow(sign_in(app), register(app), scope=SCOPE)
    signed_in_at = int(pkce_clock.now)
    pkce_clock.advance(100)
    tokens = flow.tokens(nonce="n-0S6_WzA2Mj")
    claims = read(app, tokens["id_token"])
    now = int(pkce_clock.now)
    half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert claims.pop("sid")
    assert claims == {
        "iss": "https://auth.example",
        "sub": "1",
        "aud": flow.client.client_id,
        "exp": now + 3600,
        "iat": now,
        "auth_time": signed_in_at,
        "nonce": "n-0S6_WzA2Mj",
        "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
    }


def test_without_a_nonce_there_is_none(flow: Flow) -> None:
    assert "nonce" not in id_token(flow)


def test_the_order_of_scopes_does_not_matter(flow: Flow) -> None:
    assert id_token(flow, scope="profile openid")["sub"] == "1"


def test_without_openid_there_is_no_id_token(flow: Flow) -> None:
    assert "id_token" not in flow.tokens(scope="profile offline_access")


def test_rs256_where_the_client_says_nothing(app: Flask, flow: Flow) -> None:
    top = header(app, flow.tokens()["id_token"])
    assert (top["alg"], top["typ"]) == ("RS256", "JWT")
    assert top["kid"] in [key.kid for key in published(app)]


def test_es256_for_the_client_that_chose_it(app: Flask, client: FlaskClient) -> None:
    flow = Flow(
        client,
        register(app, client_metadata={"id_token_signed_response_alg": "ES256"}),
        scope=SCOPE,
    )
    tokens = flow.tokens()
    assert header(app, tokens["id_token"])["alg"] == "ES256"
    again = flow.refresh(tokens["refresh_token"]).get_json()["id_token"]
    assert header(app, again)["alg"] == "ES256"


@pytest.mark.parametrize("algorithm", ["none", "HS256", "rs256", "PS256"])
def test_no_other_algorithm_can_be_registered(app: Flask, algorithm: str) -> None:
    # DOT #1737, Authlib CVE-2026-28802: no HS256 with a hashed secret, and never none.
    with pytest.raises(InvalidRequestError, match="one of: RS256, ES256"):
        register(app, client_metadata={"id_token_signed_response_alg": algorithm})


def test_a_refresh_gives_a_new_id_token_of_the_same_sign_in(
    app: Flask, flow: Flow, pkce_clock: Clock
) -> None:
    # OIDC Core 12.2
    tokens = flow.tokens(nonce="once")
    first = read(app, tokens["id_token"])
    pkce_clock.advance(1000)
    again = flow.refresh(tokens["refresh_token"]).get_json()
    second = read(app, again["id_token"])
    for same in ("iss", "sub", "aud", "auth_time", "sid"):
        assert second[same] == first[same]
    assert second["iat"] == first["iat"] + 1000
    assert "nonce" not in second
    assert second["at_hash"] != first["at_hash"]


def test_a_narrowed_refresh_still_says_who_it_is(app: Flask, flow: Flow) -> None:
    tokens = flow.tokens()
    again = flow.refresh(tokens["refresh_token"], scope="profile").get_json()
    assert again["scope"] == "profile"
    assert read(app, again["id_token"])["sub"] == "1"


def test_a_repeated_refresh_says_the_same(app: Flask, flow: Flow, pkce_clock: Clock) -> None:
    tokens = flow.tokens()
    first = flow.refresh(tokens["refresh_token"]).get_json()
    pkce_clock.advance(3)
    second = flow.refresh(tokens["refresh_token"]).get_json()
    assert read(app, second["id_token"]) == read(app, first["id_token"])


def test_two_clients_of_one_session_have_its_sid(app: Flask, client: FlaskClient) -> None:
    one = id_token(Flow(client, register(app), scope="openid"))
    two = id_token(Flow(client, register(app), scope="openid"))
    other = id_token(Flow(sign_in(app), register(app), scope="openid"))
    assert one["sid"] == two["sid"] != other["sid"]


def test_the_profile_is_told_by_userinfo_unless_the_host_says_otherwise(app: Flask) -> None:
    # OIDC Core 5.4
    assert "name" not in id_token(Flow(sign_in(app), register(app), scope=SCOPE))
    app = make_app(PKCE_OPENID_CLAIMS_IN_ID_TOKEN=True)
    claims = id_token(Flow(sign_in(app), register(app), scope=SCOPE))
    assert claims["name"] == "Ada Lovelace"
    assert claims["preferred_username"] == "ada"
    assert "email" not in claims


def test_the_claims_parameter_asks_for_single_ones(app: Flask, flow: Flow) -> None:
    # OIDC Core 5.5
    asked = {"id_token": {"name": {"essential": True}, "email": None, "unheard": None}}
    claims = id_token(flow, claims=json.dumps(asked))
    assert claims["name"] == "Ada Lovelace"
    assert "preferred_username" not in claims
    assert "unheard" not in claims


ALL_CLAIMS = json.dumps(
    {"id_token": dict.fromkeys(["name", "email", "salary", "risk_score"])},
)


@pytest.fixture
def telling_app() -> Flask:
    """A host that knows more of its users than any client should."""
    app = make_app(
        PKCE_SCOPES={"payroll": "See your salary"},
        PKCE_OPENID_CLAIMS={"payroll": ["salary"]},
        PKCE_CONSENT_OPTIONAL_SCOPES=["email"],
    )
    told = {"name": "Ada", "email": "ada@example.com", "salary": 90000, "risk_score": 7}
    app.pkce.user_claims(lambda user: told)
    return app


RELEASED = {"name", "email", "salary", "risk_score"}


@pytest.mark.parametrize(
    ("scope", "released"),
    [
        ("openid", set()),
        ("openid profile", {"name"}),
        ("openid payroll", {"salary"}),
        # The user leaves the box of this one unticked.
        ("openid email", set()),
    ],
)
def test_the_claims_parameter_never_exceeds_the_granted_scopes(
    telling_app: Flask, scope: str, released: set[str]
) -> None:
    # OIDC Core 3.1.2.4
    flow = Flow(sign_in(telling_app), register(telling_app), scope=scope)
    assert RELEASED & id_token(flow, claims=ALL_CLAIMS).keys() == released


def test_the_claims_parameter_never_exceeds_what_a_device_was_granted(telling_app: Flask) -> None:
    device = Device(sign_in(telling_app), television(telling_app), "openid profile")
    claims = read(telling_app, device.tokens(claims=ALL_CLAIMS)["id_token"])
    assert RELEASED & claims.keys() == {"name"}


def test_a_claim_ends_with_the_scope_that_the_user_takes_back(telling_app: Flask) -> None:
    flow = Flow(sign_in(telling_app), register(telling_app), scope="openid payroll offline_access")
    tokens = flow.tokens(claims=ALL_CLAIMS)
    assert "salary" in read(telling_app, tokens["id_token"])
    page = flow.browser.get("/oauth/apps")
    form = {**hidden_fields(page.text), "remove": "scopes", "scope": "payroll"}
    assert flow.browser.post("/oauth/apps", data=form).status_code == 303
    again = flow.refresh(tokens["refresh_token"]).get_json()
    assert "salary" not in read(telling_app, again["id_token"])


def test_what_was_asked_for_by_name_is_said_at_each_refresh(app: Flask, flow: Flow) -> None:
    tokens = flow.tokens(claims='{"id_token": {"name": null}}')
    again = flow.refresh(tokens["refresh_token"]).get_json()
    assert read(app, again["id_token"])["name"] == "Ada Lovelace"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "1",
        '"x"',
        '{"id_token": []}',
        '{"userinfo": {"name": 1}}',
        '{"id_token": {"name": []}}',
        "[" * 4000,
        '{"a":' * 1500 + "1" + "}" * 1500,
        '{"id_token": {"name": {"essential": "true"}}}',
        '{"id_token": {"name": {"essential": NaN}}}',
        '{"id_token": {"name": {"values": "Ada"}}}',
        '{"id_token": {"acr": {"essential": true, "values": 5}}}',
        '{"id_token": {"acr": {"essential": true, "values": "silver"}}}',
        '{"id_token": {"acr": {"essential": true, "values": ["silver", null]}}}',
        '{"userinfo": {"acr": {"essential": true, "value": ["silver"]}}}',
        '{"userinfo": {"sub": {"value": 1}}}',
        '{"id_token": {"sub": {"value": {"x": 1}}}}',
    ],
)
def test_claims_that_are_no_such_object_are_refused(flow: Flow, text: str) -> None:
    answer = parameters_of(flow.authorize(claims=text))
    assert answer["error"] == "invalid_request"


def test_claims_are_checked_at_every_way_in(app: Flask, flow: Flow) -> None:
    text = '{"id_token": {"acr": {"essential": true, "values": 5}}}'
    for answer in (
        flow.post("par", {**flow.request(), "claims": text}),
        Device(flow.browser, television(app)).start(claims=text),
    ):
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


JSON_VALUES = ["null", "true", "7", "1e999", '"x"', '"\\ud800"', '"\\u0000"', "[]", "[[]]", "{}"]


@pytest.mark.parametrize("value", JSON_VALUES)
def test_no_json_in_the_claims_parameter_is_a_server_error(app: Flask, value: str) -> None:
    # In debug mode and in tests, an unexpected error would be raised here.
    flow = Flow(sign_in(app), register(app, skip_consent=True), scope="openid")
    for text in (
        '{"id_token": X, "userinfo": X, "other": X}',
        '{"id_token": {"acr": X, "sub": X, "name": X}}',
        '{"userinfo": {"acr": {"essential": X, "value": X, "values": X, "other": X}}}',
        '{"id_token": {"sub": {"essential": true, "value": X, "values": [X]}}}',
        '{"id_token": {"\\ud800": X, "": null, "a\\u0000": X}}',
    ):
        answer = flow.authorize(claims=text.replace("X", value))
        assert answer.status_code == 302
        assert parameters_of(answer).get("error") in (
            None, "invalid_request", "login_required", "unmet_authentication_requirements",
        )  # fmt: skip


def test_a_member_of_a_claim_request_that_nobody_knows_is_ignored(flow: Flow) -> None:
    # OIDC Core 5.5.1: "any members used that are not understood MUST be ignored"
    asked = '{"id_token": {"name": {"essential": true, "purpose": 7}}, "verified_claims": []}'
    assert id_token(flow, claims=asked)["name"] == "Ada Lovelace"


def test_names_that_no_scope_releases_are_not_stored(app: Flask, flow: Flow) -> None:
    names = [f"claim{number}" for number in range(300)]
    tokens = flow.tokens(claims=json.dumps({"id_token": dict.fromkeys(["name", *names])}))
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    bindings = app.test_client().get("/api/me", headers=headers).get_json()["bindings"]
    assert bindings["openid"]["id_token_claims"] == ["name"]


def test_a_claim_that_only_the_server_sets_belongs_to_no_scope() -> None:
    with pytest.raises(ConfigurationError, match="only the server sets"):
        make_app(PKCE_OPENID_CLAIMS={"profile": ["department", "iss"]})


def test_huge_claims_are_refused(flow: Flow) -> None:
    huge = json.dumps({"id_token": {f"claim{number}": None for number in range(2000)}})
    assert parameters_of(flow.authorize(claims=huge))["error"] == "invalid_request"


def test_an_acr_that_is_not_essential_is_taken_and_forgotten(flow: Flow) -> None:
    # OIDC Core 5.5.1.1
    wish = {"values": ["urn:mace:incommon:iap:silver"]}
    assert "code" in flow.allow(claims=json.dumps({"id_token": {"acr": wish}}))


def test_how_the_user_signed_in_is_said_if_the_host_says_it(app: Flask) -> None:
    @app.post("/second-factor")
    def second_factor() -> str:
        app.pkce.signed_in(current_user, acr="silver", amr=["pwd", "otp"])
        return ""

    browser = sign_in(app)
    before = id_token(Flow(browser, register(app), scope="openid"))
    browser.post("/second-factor")
    claims = id_token(Flow(browser, register(app), scope="openid"))
    assert (claims["acr"], claims["amr"]) == ("silver", ["pwd", "otp"])
    assert claims["sid"] == before["sid"]


def test_who_came_back_by_a_cookie_signed_in_at_a_time_that_nobody_knows(app: Flask) -> None:
    browser = app.test_client()
    with browser.session_transaction() as session:
        session["_user_id"] = "1"  # as Flask-Login restores it from its remember cookie
    assert "auth_time" not in id_token(Flow(browser, register(app), scope="openid"))


def test_claims_of_the_hosts_own_scope(app: Flask) -> None:
    app = make_app(PKCE_OPENID_CLAIMS={"notes:read": ["note_count"]})
    app.pkce.user_claims(lambda user: {"note_count": 7, "name": user.name})
    flow = Flow(sign_in(app), register(app), scope="openid notes:read")
    tokens = flow.tokens()
    answer = app.test_client().get(
        "/oauth/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}
    )
    assert answer.get_json() == {"sub": "1", "note_count": 7}
    assert "note_count" in app.extensions["pkce"].metadata()["claims_supported"]


def test_a_claim_of_the_host_cannot_replace_one_of_the_protocol(app: Flask) -> None:
    # DK-OIDC #273
    app.pkce.user_claims(lambda user: {"sub": "2", "iss": "https://evil.example", "name": "Ada"})
    asked = '{"id_token": {"sub": null, "iss": null, "name": null}}'
    flow = Flow(sign_in(app), register(app), scope="openid profile")
    claims = id_token(flow, claims=asked)
    assert (claims["sub"], claims["iss"], claims["name"]) == ("1", "https://auth.example", "Ada")


def test_what_fails_while_an_id_token_is_made_burns_nothing() -> None:
    # It is signed inside the transaction that spends the code.
    app = make_app(TESTING=False, PROPAGATE_EXCEPTIONS=False, PKCE_OPENID_CLAIMS_IN_ID_TOKEN=True)

    def fail(user: Any) -> dict[str, Any]:
        raise RuntimeError("the directory does not answer")

    flow = Flow(sign_in(app), register(app), scope=SCOPE)
    code = flow.allow()["code"]
    usual = app.extensions["pkce"].users.host.user_claims
    app.pkce.user_claims(fail)
    answer = flow.redeem(code)
    assert (answer.status_code, answer.get_json()["error"]) == (500, "server_error")
    app.pkce.user_claims(usual)
    assert "id_token" in flow.redeem(code).get_json()


def test_the_same_nonce_twice_is_the_clients_business(flow: Flow) -> None:
    # OIDC Core 15.5.2: the client compares it; a server that looks it up only loses time.
    for _ in range(2):
        assert id_token(flow, nonce="again")["nonce"] == "again"


def test_a_nonce_comes_back_byte_for_byte_and_is_not_endless(app: Flask, flow: Flow) -> None:
    assert id_token(flow, nonce='a "b" é \\ c')["nonce"] == 'a "b" é \\ c'
    assert parameters_of(flow.authorize(nonce="x" * 1025))["error"] == "invalid_request"


@pytest.mark.parametrize("name", ["request", "request_uri"])
def test_request_objects_are_refused_by_name(flow: Flow, name: str) -> None:
    # OIDC Core 3.1.2.6
    answer = parameters_of(flow.authorize(**{name: "https://client.example/x"}))
    assert answer["error"] == f"{name}_not_supported"


# Pairwise subjects (OIDC Core 8.1).


def pairwise(app: Flask, *uris: str, **metadata: str):
    return register(app, redirect_uris=uris, client_metadata={"subject_type": "pairwise"})


def test_a_pairwise_client_knows_users_by_subjects_of_its_own() -> None:
    app = make_app(PKCE_OPENID_PAIRWISE_SALT="never changes")
    ada, bob = sign_in(app), sign_in(app, "bob")
    one, two = pairwise(app, "https://a.example/cb"), pairwise(app, "https://b.example/cb")
    sibling = pairwise(app, "https://a.example/other")
    subjects = {
        (user, client.redirect_uri): id_token(Flow(browser, client, scope="openid"))["sub"]
        for user, browser in {"ada": ada, "bob": bob}.items()
        for client in (one, two, sibling)
    }
    assert len(set(subjects.values())) == 4
    for user in ("ada", "bob"):
        same = subjects[user, sibling.redirect_uri]
        assert subjects[user, one.redirect_uri] == same
    assert "1" not in subjects.values()
    flow = Flow(ada, one, scope="openid")
    token = flow.tokens()["access_token"]
    said = app.test_client().get("/oauth/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert said.get_json()["sub"] == subjects["ada", one.redirect_uri]


def test_the_server_may_want_it_so_for_all() -> None:
    app = make_app(PKCE_OPENID_SUBJECT_TYPE="pairwise", PKCE_OPENID_PAIRWISE_SALT="salt")
    assert id_token(Flow(sign_in(app), register(app), scope="openid"))["sub"] != "1"
    public = register(app, client_metadata={"subject_type": "public"})
    assert id_token(Flow(sign_in(app), public, scope="openid"))["sub"] == "1"


def test_where_all_are_pairwise_a_client_of_several_hosts_names_its_sector() -> None:
    app = make_app(PKCE_OPENID_SUBJECT_TYPE="pairwise", PKCE_OPENID_PAIRWISE_SALT="salt")
    uris = ("https://a.example/cb", "https://b.example/cb")
    with pytest.raises(InvalidRequestError, match="several hosts"):
        register(app, redirect_uris=uris)
    register(app, redirect_uris=uris, client_metadata={"sector": "a.example"})


def test_pairwise_subjects_need_a_salt(app: Flask) -> None:
    with pytest.raises(InvalidRequestError, match="PKCE_OPENID_PAIRWISE_SALT"):
        pairwise(app, "https://a.example/cb")
    with pytest.raises(ConfigurationError, match="PKCE_OPENID_PAIRWISE_SALT"):
        make_app(PKCE_OPENID_SUBJECT_TYPE="pairwise")


def test_redirect_uris_of_several_hosts_name_their_sector() -> None:
    app = make_app(PKCE_OPENID_PAIRWISE_SALT="salt")
    with pytest.raises(InvalidRequestError, match="several hosts"):
        pairwise(app, "https://a.example/cb", "https://b.example/cb")
    register(
        app,
        redirect_uris=("https://a.example/cb", "https://b.example/cb"),
        client_metadata={"subject_type": "pairwise", "sector": "a.example"},
    )


PAIRWISE = {"PKCE_OPENID_SUBJECT_TYPE": "pairwise", "PKCE_OPENID_PAIRWISE_SALT": "never changes"}


def subject_of(browser: FlaskClient, client: RegisteredClient) -> str:
    subject: str = id_token(Flow(browser, client, scope="openid"))["sub"]
    return subject


@pytest.mark.parametrize(
    "uris",
    [
        ("http://127.0.0.1/callback",),
        ("http://localhost/callback",),
        ("com.example.app:/callback",),
        # Any program on the computer can get codes at the second one.
        ("https://clinic.example/callback", "http://127.0.0.1/callback"),
    ],
)
def test_native_apps_of_different_makers_share_no_subjects(uris: tuple[str, ...]) -> None:
    # OIDC Core 8.1
    app = make_app(**PAIRWISE)
    browser = sign_in(app)
    clients = [register(app, redirect_uris=uris) for _ in range(2)]
    clinic = register(app, redirect_uris=("https://clinic.example/callback",))
    assert len({subject_of(browser, client) for client in (*clients, clinic)}) == 3


def test_a_client_that_registered_itself_shares_the_subjects_of_no_host() -> None:
    app = make_app(**PAIRWISE)
    uris, browser = ("https://clinic.example/callback",), sign_in(app)
    clinic = register(app, redirect_uris=uris)
    stranger = register(app, redirect_uris=uris, self_registered=True)
    assert subject_of(browser, stranger) != subject_of(browser, clinic)
    # Several hosts are no question then.
    several = ("https://a.example/callback", "https://b.example/callback")
    subject_of(browser, register(app, redirect_uris=several, self_registered=True))


def test_a_device_shares_the_subjects_of_no_host_whatever_it_registered() -> None:
    app = make_app(**PAIRWISE)
    uris, browser = ("https://clinic.example/callback",), sign_in(app)
    clinic = register(app, redirect_uris=uris)
    other = register(app, redirect_uris=uris, grant_types=[DEVICE_CODE])
    tokens = Device(browser, other, "openid").tokens()
    assert read(app, tokens["id_token"])["sub"] != subject_of(browser, clinic)


def test_the_sector_that_the_operator_names_is_respected() -> None:
    app = make_app(**PAIRWISE)
    browser, metadata = sign_in(app), {"sector": "clinic.example"}
    loopback = ("http://127.0.0.1/callback",)
    native = register(app, redirect_uris=loopback, client_metadata=metadata)
    web = register(app, redirect_uris=("https://clinic.example/callback",))
    assert subject_of(browser, native) == subject_of(browser, web)


def test_pairwise_clients_know_a_session_by_different_sids_and_can_end_it() -> None:
    app = make_app(**PAIRWISE)
    sent: dict[str, str] = {}
    app.pkce.logout_delivery(lambda uri, fields: sent.update({uri: fields["logout_token"]}))
    browser, sids, tokens = sign_in(app), {}, {}
    for host in ("https://a.example", "https://b.example"):
        metadata = {"backchannel_logout_uri": host, "post_logout_redirect_uris": [host]}
        client = register(app, redirect_uris=(f"{host}/cb",), client_metadata=metadata)
        tokens[host] = Flow(browser, client, scope="openid").tokens()["id_token"]
        sids[host] = read(app, tokens[host])["sid"]
    assert len(set(sids.values())) == 2
    # The ID token is of this session, so nobody is asked.
    query = {"id_token_hint": tokens["https://a.example"]}
    query["post_logout_redirect_uri"] = "https://a.example"
    answer = browser.get("/oauth/logout", query_string=query)
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://a.example")
    # OIDC Back-Channel Logout 1.0 2.4: the sid is the one of the ID token.
    assert {uri: read(app, token)["sid"] for uri, token in sent.items()} == sids


def test_a_pairwise_client_is_told_nothing_once_the_salt_is_gone(tmp_path: Path) -> None:
    database = {"SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/users.db"}
    client = pairwise(make_app(**database, PKCE_OPENID_PAIRWISE_SALT="salt"), "https://a.example/c")
    app = make_app(**database, init=False)
    app.pkce.init_app(app)
    with pytest.raises(ConfigurationError, match="salt of its subjects is gone"):
        subject_of(sign_in(app), client)
