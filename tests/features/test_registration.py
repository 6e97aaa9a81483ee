"""Registration: clients register themselves, and change what they said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from flask_pkce_server import ConfigurationError, client_registered
from flask_pkce_server.models.client import Client
from flask_pkce_server.models.registration import Registration
from flask_pkce_server.testing import Clock, Flow, RegisteredClient, parameters_of, server_of
from flask_pkce_server.wire.handle import digest

from ..device import Device
from ..ephemeral import IN_BOTH
from ..host import lending, make_app, sign_in
from ..registering import NATIVE, SECRET, WEB, opened, post, refused, registered
from ..services import POOL, empty_database

OTHER = {"client_name": "Other"}
INVITATION = "an-invitation-of-the-operator-0123456789"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
def app(ephemeral: dict[str, str]) -> Iterator[Flask]:
    with lending.app(opened, **ephemeral) as app:
        yield app


@pytest.fixture(scope="module")
def same() -> Flask:
    """One app for all that is refused, and so leaves nothing behind."""
    return opened()


def manage(
    app: Flask, told: dict[str, Any], method: str = "GET", said: Any = None, **changes: str
) -> TestResponse:
    token = changes.get("token") or told["registration_access_token"]
    path = changes.get("path") or told["registration_client_uri"].removeprefix(
        "https://auth.example"
    )
    return app.test_client(use_cookies=False).open(
        path, method=method, json=said, headers={"Authorization": f"Bearer {token}"}
    )


def stored(app: Flask, client_id: str) -> Client | None:
    with app.app_context():
        return server_of(app).find_client(client_id)


def update(app: Flask, client_id: str, **changes: Any) -> None:
    """What the operator does to a client."""
    with app.app_context():

        def work(session) -> None:
            client = session.get(Client, client_id)
            for name, value in changes.items():
                setattr(client, name, value)

        server_of(app).store.write(work)


def flow_of(app: Flask, told: dict[str, Any], **changes: Any) -> Flow:
    client = RegisteredClient(
        told["client_id"],
        told.get("client_secret"),
        told["redirect_uris"][0],
        told["token_endpoint_auth_method"],
    )
    return Flow(sign_in(app), client, scope="profile", **changes)


def prune(app: Flask) -> int:
    output = app.test_cli_runner().invoke(args=["pkce", "prune", "--json"]).output
    return json.loads(output)["deleted"]["registration"]


def count(app: Flask) -> int:
    with app.app_context(), server_of(app).store.reading() as session:
        return len(session.scalars(select(Client)).all())


# Off and on.


def test_it_is_off_until_it_is_asked_for() -> None:
    app = make_app()
    assert post(app, WEB).status_code == 404
    assert "registration_endpoint" not in server_of(app).metadata()


def test_the_metadata_names_the_endpoint(app: Flask) -> None:
    # RFC 8414 2
    endpoint = server_of(app).metadata()["registration_endpoint"]
    assert endpoint == "https://auth.example/oauth/register"


def test_doctor_says_that_it_is_open() -> None:
    app = opened()
    about = "Any program may register itself as a client."
    assert about in app.test_cli_runner().invoke(args=["pkce", "doctor"]).output
    app.pkce.may_register_client(lambda metadata: True)
    assert about not in app.test_cli_runner().invoke(args=["pkce", "doctor"]).output


# What is registered.


def test_what_is_left_out_is_filled_and_told(app: Flask, pkce_clock: Clock) -> None:
    # RFC 7591 2, 3.2.1
    answer = post(app, WEB)
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.get_json()
    client_id, secret = told.pop("client_id"), told.pop("client_secret")
    token = told.pop("registration_access_token")
    assert stored(app, client_id).check_client_secret(secret)
    assert token.startswith("fpk_ra_")
    assert told == {
        **WEB,
        "client_id_issued_at": int(pkce_clock.now),
        "client_secret_expires_at": 0,
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
        "application_type": "web",
        "scope": " ".join(server_of(app).scopes),
        "registration_client_uri": f"https://auth.example/oauth/register/{client_id}",
    }


def test_what_the_sdk_of_mcp_sends_makes_a_public_client(app: Flask) -> None:
    # As it was captured: no auth method, and offline_access in the scope.
    told = registered(
        app,
        {
            **NATIVE,
            "response_types": ["code"],
            "scope": "profile offline_access",
            "grant_types": ["authorization_code", "refresh_token"],
            "application_type": "native",
        },
    )
    assert told["token_endpoint_auth_method"] == "none"
    assert told["scope"] == "offline_access profile"
    assert told["grant_types"] == ["authorization_code", "refresh_token"]
    assert not [name for name in told if "secret" in name or name.startswith("registration")]


@pytest.mark.parametrize(
    ("uris", "kind", "method"),
    [
        (["http://127.0.0.1:19876/mcp/oauth/callback"], "native", "none"),
        (["http://localhost/callback", "com.example.app:/cb"], "native", "none"),
        (["https://a.example/cb", "http://localhost:1/cb"], "web", "client_secret_basic"),
    ],
)
def test_what_it_is_follows_from_where_it_is(
    app: Flask, uris: list[str], kind: str, method: str
) -> None:
    told = registered(app, {"redirect_uris": uris})
    assert (told["application_type"], told["token_endpoint_auth_method"]) == (kind, method)
    assert told["redirect_uris"] == uris


@pytest.mark.parametrize(
    ("said", "method"),
    [
        # VS Code, Cursor, Claude.
        (
            {
                "application_type": "native",
                "redirect_uris": ["http://127.0.0.1:33418", "https://vscode.dev/redirect"],
            },
            "none",
        ),
        (
            {
                "application_type": "web",
                "token_endpoint_auth_method": "none",
                "redirect_uris": [
                    "cursor://anysphere.cursor-mcp/oauth/callback",
                    "https://www.cursor.com/agents/mcp/oauth/callback",
                    "http://localhost:8787/callback",
                ],
            },
            "none",
        ),
        (
            {
                "token_endpoint_auth_method": "client_secret_post",
                "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
            },
            "client_secret_post",
        ),
    ],
)
def test_what_products_send_is_taken(app: Flask, said: dict[str, Any], method: str) -> None:
    told = registered(app, said)
    assert told["token_endpoint_auth_method"] == method
    assert {**told, **said} == told


def test_null_and_nothing_count_as_left_out(app: Flask) -> None:
    # And nothing in the answer is null.
    nothing = dict.fromkeys(
        ("token_endpoint_auth_method", "scope", "client_uri", "application_type"), None
    )
    told = registered(app, {**NATIVE, **nothing, "grant_types": [], "policy_uri": ""})
    assert None not in told.values()
    assert told["token_endpoint_auth_method"] == "none"
    assert not {"client_uri", "policy_uri"} & told.keys()


def test_a_name_is_made_of_the_host(app: Flask) -> None:
    told = registered(app, {"redirect_uris": ["https://a.example/cb"], "client_name": "  "})
    assert told["client_name"] == "a.example"


def test_only_grants_with_a_user_are_given(app: Flask) -> None:
    asked = ["client_credentials", "refresh_token", "implicit", "authorization_code"]
    told = registered(app, {**SECRET, "grant_types": asked})
    assert told["grant_types"] == ["authorization_code", "refresh_token"]
    refused(post(app, {**SECRET, "grant_types": ["client_credentials"]}), "invalid_client_metadata")


def test_a_device_registers_where_there_are_devices(app: Flask) -> None:
    said = {"client_name": "TV", "grant_types": [DEVICE, "refresh_token"]}
    told = registered(app, said)
    assert told["grant_types"] == ["refresh_token", DEVICE]
    assert (told["token_endpoint_auth_method"], told["response_types"]) == ("none", [])
    assert told["redirect_uris"] == []
    closed = make_app(PKCE_FEATURES={"registration": True, "device_code": False})
    refused(post(closed, said), "invalid_client_metadata")
    refused(post(app, {"grant_types": [DEVICE]}), "invalid_client_metadata")


def test_what_only_the_operator_says_is_ignored(app: Flask) -> None:
    # RFC 7591 2: what is not understood is ignored, and so is a software statement.
    told = registered(
        app,
        {
            **SECRET,
            "client_id": "mine",
            "client_secret": "x" * 40,
            "verified": True,
            "developer": "The bank",
            "resource_server": True,
            "skip_consent": True,
            "self_registered": False,
            "origins": ["https://evil.example"],
            "sector": "bank.example",
            "dialect": "auth0",
            "app_kind": "server",
            "access_token_format": "jwt",
            "backchannel_logout_uri": "https://10.0.0.1/",
            "software_statement": "x.y.z",
            "jwks_uri": "https://evil.example/jwks",
        },
    )
    client = stored(app, told["client_id"])
    assert client.client_id != "mine"
    assert not client.check_client_secret("x" * 40)
    assert (client.self_registered, client.skip_consent, client.origins) == (True, False, [])
    assert client.client_metadata == {"application_type": "web"}
    assert not {"verified", "developer", "jwks_uri", "software_statement"} & told.keys()


def test_what_a_client_may_say_is_kept_and_told(app: Flask) -> None:
    said = {
        **SECRET,
        "client_uri": "https://client.example/",
        "policy_uri": "https://client.example/privacy",
        "tos_uri": "https://client.example/terms",
        "post_logout_redirect_uris": ["https://client.example/bye"],
        "id_token_signed_response_alg": "ES256",
        "userinfo_signed_response_alg": "RS256",
    }
    told = registered(app, said)
    assert {**told, **said} == told


# What is refused.


@pytest.mark.parametrize(
    "uris",
    [
        None,
        [],
        "https://client.example/callback",
        [1],
        [None],
        [""],
        [["https://client.example/"]],
        ["http://client.example/cb"],
        ["javascript:alert(1)"],
        ["https://client.example/cb#x"],
        ["https://*.example/cb"],
        ["https://user@client.example/cb"],
        ["/cb"],
        ["https://client.example/\ud800"],
        ["https://client.example/\u0000"],
        ["https://client.example/" + "x" * 2000],
        ["https://client.example/cb"] * 51,
    ],
)
def test_redirect_uris_that_are_refused(same: Flask, uris: Any) -> None:
    # RFC 7591 3.2.2
    refused(post(same, {**WEB, "redirect_uris": uris}), "invalid_redirect_uri")


@pytest.mark.parametrize(
    "said",
    [
        {"client_name": ["x"]},
        {"client_name": "x" * 256},
        {"client_name": "Bank\u202e"},
        {"client_name": "\ud800"},
        {"client_name": "a\u0000b"},
        {"client_name": {"de": "x"}},
        {"scope": 5},
        {"scope": ["profile"]},
        {"scope": "no such scope"},
        {"grant_types": [{}]},
        {"grant_types": "authorization_code"},
        {"grant_types": ["implicit"]},
        {"response_types": [1]},
        {"response_types": ["token"]},
        {"token_endpoint_auth_method": ["none"]},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": "tls"},
        {"application_type": "desktop"},
        {"application_type": True},
        {"client_uri": "http://client.example"},
        {"client_uri": "javascript:alert(1)"},
        {"client_uri": "https://client.example/ <b>"},
        {"tos_uri": 1},
        {"post_logout_redirect_uris": ["data:x"]},
        {"post_logout_redirect_uris": [1]},
        {"id_token_signed_response_alg": "none"},
        {"subject_type": "pairwise"},
    ],
)
def test_metadata_that_is_refused(same: Flask, said: dict[str, Any]) -> None:
    # RFC 7591 3.2.2; Authlib 1.9.8 has a 500 for most of the types.
    refused(post(same, {**WEB, **said}), "invalid_client_metadata")
    assert count(same) == 0


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        '"x"',
        "{",
        "[" * 60000,
        '{"a":' * 10000,
        '{"redirect_uris": NaN}',
        '{"x": -Infinity}',
        '{"x": 1' + "0" * 5000 + "}",
        b"\xff\xfe{}",
        b'{"client_name": "\xff"}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_a_body_that_is_no_json_object(same: Flask, body: str | bytes) -> None:
    refused(post(same, body), "invalid_client_metadata")


def test_a_form_is_refused(app: Flask) -> None:
    answer = app.test_client().post("/oauth/register", data={"client_name": "x"})
    refused(answer, "invalid_client_metadata")


def test_other_methods_are_refused(app: Flask) -> None:
    answer = app.test_client().get("/oauth/register")
    refused(answer, "invalid_request", 405)


# Who may.


def test_an_initial_access_token_where_one_is_needed() -> None:
    # RFC 7591 3
    app = opened(PKCE_REGISTRATION_INITIAL_ACCESS_TOKENS=["x" * 32, INVITATION])
    for headers in ({}, {"Authorization": "Bearer é"}, {"Authorization": f"Basic {INVITATION}"}):
        answer = post(app, NATIVE, **headers)
        refused(answer, "invalid_token", 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    # Whoever was invited has a client of their own, also a public one.
    first, second = (
        registered(app, NATIVE, Authorization=f"Bearer {INVITATION}") for _ in range(2)
    )
    assert first["client_id"] != second["client_id"]
    assert manage(app, first).get_json()["client_id"] == first["client_id"]
    assert manage(app, first, token=second["registration_access_token"]).status_code == 401


def test_an_initial_access_token_is_long() -> None:
    with pytest.raises(ConfigurationError, match="can be guessed"):
        opened(PKCE_REGISTRATION_INITIAL_ACCESS_TOKENS=["short"])


def test_the_host_may_refuse(app: Flask) -> None:
    seen: list[dict[str, Any]] = []

    @app.pkce.may_register_client
    def may_register(metadata: dict[str, Any]) -> bool:
        seen.append(metadata)
        return metadata["client_name"] != "Tool"

    refused(post(app, NATIVE), "access_denied", 403)
    told = registered(app, SECRET)
    refused(
        manage(app, told, "PUT", {**SECRET, "client_id": told["client_id"], "client_name": "Tool"}),
        "access_denied",
        403,
    )
    assert stored(app, told["client_id"]).client_name == "Notebook"
    assert seen[0] == {
        **NATIVE,
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        "scope": " ".join(server_of(app).scopes),
    }


def test_the_scopes_of_such_clients(app: Flask) -> None:
    app = opened(PKCE_REGISTRATION_SCOPES=["profile", "notes:read"])
    assert registered(app, NATIVE)["scope"] == "notes:read profile"
    told = registered(app, {**NATIVE, "scope": "profile notes:write"})
    assert told["scope"] == "profile"
    refused(post(app, {**NATIVE, "scope": "notes:write"}), "invalid_client_metadata")
    answer = parameters_of(flow_of(app, told).authorize(scope="notes:write"))
    assert answer["error"] == "invalid_scope"


def test_what_is_registered_is_asked_for_by_default_and_more_may_be(app: Flask) -> None:
    # MCP 2026-07-28: a client registers what the first challenge named; the next one names more.
    told = registered(app, {**NATIVE, "scope": "profile"})
    flow = flow_of(app, told)
    assert flow.tokens(scope=None)["scope"] == "profile"
    assert flow.tokens(scope="profile notes:read")["scope"] == "notes:read profile"
    # Whoever says something else afterwards has no default left of it.
    invited = registered(app, {**WEB, "scope": "profile"})
    kept = {name: invited[name] for name in ("client_id", "client_name", "redirect_uris")}
    told = manage(app, invited, "PUT", kept).get_json()
    assert told["scope"] == " ".join(server_of(app).scopes)


@pytest.mark.parametrize(
    "wrong", [{"response_type": "x"}, {"scope": "nothing"}, {"code_challenge": None}]
)
def test_a_strangers_address_is_no_place_to_send_people_unasked(
    app: Flask, wrong: dict[str, str | None]
) -> None:
    # RFC 9700 4.11.2: nobody has signed in, and the link is ours.
    told = registered(app, {**WEB, "token_endpoint_auth_method": "none"})
    page = flow_of(app, told).authorize(**wrong)
    assert (page.status_code, page.mimetype) == (400, "text/html")
    assert "Location" not in page.headers
    # Those who may not be asked are not led anywhere: that is in a frame.
    silent = flow_of(app, told).authorize(**wrong, prompt="none")
    assert parameters_of(silent)["error"]
    # What comes back to this computer goes no further.
    tool = registered(app, NATIVE)
    assert parameters_of(flow_of(app, tool).authorize(**wrong))["error"]
    update(app, told["client_id"], client_metadata={"verified": True})
    assert parameters_of(flow_of(app, told).authorize(**wrong))["error"]


# It signs people in, and asks each time.


@pytest.mark.parametrize("said", [NATIVE, WEB, SECRET])
def test_a_registered_client_signs_in_and_is_warned_of(app: Flask, said: dict[str, Any]) -> None:
    flow = flow_of(app, registered(app, said))
    assert flow.tokens()["access_token"]
    page = flow.authorize()
    assert page.status_code == 200
    assert said["client_name"] in page.text


def test_blanks_in_a_name_are_one_space(app: Flask) -> None:
    told = registered(app, {**SECRET, "client_name": " My\u2003\u2003 \u00a0app "})
    assert told["client_name"] == "My app"


def test_it_is_told_of(app: Flask) -> None:
    told_of: list[str] = []

    def listen(sender: Flask, client_id: str) -> None:
        told_of.append(client_id)

    client_registered.connect(listen, app)
    ids = [registered(app, said)["client_id"] for said in (NATIVE, NATIVE, SECRET)]
    assert told_of == [ids[0], ids[2]]


# The same again.


@IN_BOTH
def test_the_same_public_client_is_found_again(app: Flask) -> None:
    first = registered(app, {**NATIVE, "scope": "profile notes:read"})
    same = {"software_version": "2", **NATIVE, "scope": "notes:read profile", "tos_uri": None}
    assert registered(app, same) == first
    assert count(app) == 1
    assert registered(app, NATIVE)["client_id"] != first["client_id"]
    other = {**NATIVE, "redirect_uris": ["http://127.0.0.1:8766/cb"]}
    assert registered(app, other)["client_id"] != first["client_id"]


def test_nobody_may_change_what_is_shared(app: Flask) -> None:
    told = registered(app, NATIVE)
    with app.app_context(), server_of(app).store.reading() as session:
        assert session.get(Registration, told["client_id"]).token_digest is None
    token = registered(app, SECRET)["registration_access_token"]
    path = f"/oauth/register/{told['client_id']}"
    for method in ("GET", "PUT", "DELETE"):
        answer = manage(app, told, method, NATIVE, token=token, path=path)
        refused(answer, "invalid_token", 401)


def test_a_confidential_client_is_never_shared(app: Flask) -> None:
    first, second = registered(app, SECRET), registered(app, SECRET)
    for name in ("client_id", "client_secret", "registration_access_token"):
        assert first[name] != second[name]


def test_who_is_deleted_is_registered_anew(app: Flask) -> None:
    told = registered(app, NATIVE)
    app.test_cli_runner().invoke(args=["pkce", "client", "delete", told["client_id"]])
    assert registered(app, NATIVE)["client_id"] != told["client_id"]


# Not too many.


@IN_BOTH
def test_one_address_registers_a_few_at_a_time(app: Flask, pkce_clock: Clock) -> None:
    for number in range(20):
        registered(app, {**NATIVE, "client_name": f"Tool {number}"})
    answer = post(app, SECRET)
    refused(answer, "temporarily_unavailable", 429)
    wait = int(answer.headers["Retry-After"])
    assert 0 < wait <= 600
    # What is there already is found all the same, and others go on.
    registered(app, {**NATIVE, "client_name": "Tool 3"})
    other = app.test_client().post(
        "/oauth/register", json=SECRET, environ_base={"REMOTE_ADDR": "2001:db8::1"}
    )
    assert other.status_code == 201
    pkce_clock.advance(wait)
    registered(app, SECRET)


@IN_BOTH
def test_so_many_may_wait_for_their_first_user(ephemeral: dict[str, str]) -> None:
    app = opened(PKCE_REGISTRATION_MAX_WAITING=2, **ephemeral)
    first = registered(app, SECRET)
    registered(app, NATIVE)
    answer = post(app, SECRET)
    refused(answer, "temporarily_unavailable", 429)
    assert answer.headers["Retry-After"] == "3600"
    assert count(app) == 2
    registered(app, NATIVE)
    flow_of(app, first).tokens()
    registered(app, SECRET)


def test_a_device_that_nobody_allowed_makes_no_client_a_used_one() -> None:
    app = opened(PKCE_REGISTRATION_MAX_WAITING=1)
    told = registered(app, {**SECRET, "grant_types": ["authorization_code", DEVICE]})
    device = Device(sign_in(app), flow_of(app, told).client, scope="profile")
    assert device.start().status_code == 200
    refused(post(app, NATIVE), "temporarily_unavailable", 429)
    device.decide()
    registered(app, NATIVE)


def test_whoever_waited_longest_makes_room(pkce_clock: Clock) -> None:
    app = opened(PKCE_REGISTRATION_MAX_WAITING=4)
    server_of(app).clock = pkce_clock
    used, checked, shared, idle = (
        registered(app, said)
        for said in (SECRET, {**SECRET, "client_name": "Checked"}, NATIVE, {**SECRET, **OTHER})
    )
    flow_of(app, used).tokens()
    update(app, checked["client_id"], client_metadata={"verified": True})
    pkce_clock.advance(1)
    registered(app, {**SECRET, "client_name": "Fourth"})
    refused(post(app, SECRET), "temporarily_unavailable", 429)
    pkce_clock.advance(3601)
    # It is registered again, and so does not count as the oldest.
    assert registered(app, NATIVE) == shared
    registered(app, {**SECRET, "client_name": "Fifth"})
    for told in (used, checked, shared):
        assert stored(app, told["client_id"]) is not None
    assert stored(app, idle["client_id"]) is None
    assert count(app) == 5


@pytest.mark.thorough
@pytest.mark.services
def test_the_idle_makes_room_on_postgresql(pkce_clock: Clock) -> None:
    with empty_database("postgresql") as url:
        options = {"SQLALCHEMY_ENGINE_OPTIONS": dict(POOL), "PKCE_REGISTRATION_MAX_WAITING": 1}
        app = opened(SQLALCHEMY_DATABASE_URI=url, **options)
        server_of(app).clock = pkce_clock
        idle = registered(app, SECRET)
        pkce_clock.advance(3601)
        registered(app, {**SECRET, "client_name": "Second"})
        assert stored(app, idle["client_id"]) is None
        with app.app_context():
            app.db.engine.dispose()


def test_one_network_leaves_places_to_others() -> None:
    # IPv6 customers have a /48 at most, and 20 registrations in ten minutes for each /56.
    app = opened(PKCE_REGISTRATION_MAX_WAITING=120)

    def register(number: int, address: str) -> int:
        said = {**SECRET, "client_name": f"Tool {number}"}
        program = app.test_client(use_cookies=False)
        environ = {"REMOTE_ADDR": address}
        return program.post("/oauth/register", json=said, environ_base=environ).status_code

    assert [register(number, f"2001:db8:0:{number}00::1") for number in range(13)] == [
        *[201] * 12,
        429,
    ]
    assert register(13, "2001:db8:1::1") == 201
    assert [register(number, f"203.0.113.{number}") for number in range(20, 33)] == [
        *[201] * 12,
        429,
    ]
    assert register(33, "198.51.100.1") == 201
    with app.app_context(), server_of(app).store.reading() as session:
        kept = {row.network_digest for row in session.scalars(select(Registration))}
    assert len(kept) == 4
    assert not any(digest(name) in kept for name in ("203.0.113.0/24", "2001:db8::/48"))


def test_a_network_whose_places_are_taken_replaces_its_own(pkce_clock: Clock) -> None:
    app = opened(PKCE_REGISTRATION_MAX_WAITING=100)
    server_of(app).clock = pkce_clock
    first = registered(app, SECRET)
    pkce_clock.advance(1)
    for number in range(9):
        registered(app, {**SECRET, "client_name": f"Tool {number}"})
    refused(post(app, SECRET), "temporarily_unavailable", 429)
    pkce_clock.advance(3600)
    registered(app, SECRET)
    assert stored(app, first["client_id"]) is None
    assert count(app) == 10


def test_what_signed_nobody_in_is_pruned(app: Flask, pkce_clock: Clock) -> None:
    used, asked, idle, checked = (
        registered(app, {**SECRET, "client_name": name}) for name in ("a", "b", "c", "d")
    )
    shared = registered(app, NATIVE)
    flow_of(app, used).tokens()
    update(app, checked["client_id"], client_metadata={"verified": True})
    pkce_clock.advance(7 * 86400 - 10)
    assert prune(app) == 0
    flow_of(app, asked).allow()
    assert registered(app, NATIVE) == shared
    pkce_clock.advance(20)
    assert prune(app) == 1
    assert stored(app, idle["client_id"]) is None
    # Long after all tokens of theirs, what people allowed is there.
    pkce_clock.advance(99 * 86400)
    assert prune(app) == 1
    kept = [stored(app, told["client_id"]) for told in (used, asked, checked)]
    assert None not in kept


def test_apps_of_the_portal_are_not_pruned(app: Flask, pkce_clock: Clock, pkce_register) -> None:
    pkce_register(self_registered=True)
    pkce_clock.advance(8 * 86400)
    assert prune(app) == 0
    assert count(app) == 1


# Management.


def test_a_client_reads_what_is_registered(app: Flask) -> None:
    # RFC 7592 2.1; the secret is kept as a digest alone, and cannot be told again.
    told = registered(app, SECRET)
    answer = manage(app, told)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.get_json() == {n: v for n, v in told.items() if n != "client_secret"}


def test_only_its_own_token_opens_a_client(app: Flask) -> None:
    # RFC 7592 2: unknown or another's, the answer is the same.
    told, other = registered(app, SECRET), registered(app, SECRET)
    token = told["registration_access_token"]
    path = "/oauth/register/{}".format
    for shown, where in (
        (other["registration_access_token"], told["client_id"]),
        (token, "nobody"),
        (token, "a%00b"),
        (token[:-1] + ("A" if token[-1] != "A" else "B"), told["client_id"]),
        (flow_of(app, told).tokens()["access_token"], told["client_id"]),
        (" ", told["client_id"]),
        ("\xe9", told["client_id"]),
    ):
        answer = manage(app, told, token=shown, path=path(where))
        refused(answer, "invalid_token", 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_the_token_opens_no_api(app: Flask) -> None:
    token = registered(app, SECRET)["registration_access_token"]
    me = app.test_client().get("/api/me", headers={"Authorization": f"Bearer {token}"})
    assert me.status_code == 401


def test_a_client_changes_what_it_said(app: Flask) -> None:
    # RFC 7592 2.2: all of it is replaced, what is left out too.
    told = registered(app, {**SECRET, "tos_uri": "https://client.example/terms"})
    said = {
        "client_id": told["client_id"],
        "client_secret": told["client_secret"],
        "client_name": "Notebook 2",
        "redirect_uris": ["https://other.example/cb"],
        "token_endpoint_auth_method": "client_secret_post",
    }
    answer = manage(app, told, "PUT", said)
    assert answer.status_code == 200, answer.text
    now = manage(app, told).get_json()
    assert answer.get_json() == now
    said.pop("client_secret")
    assert {**now, **said} == now
    assert "tos_uri" not in now
    assert stored(app, told["client_id"]).check_client_secret(told["client_secret"])
    flow = flow_of(app, {**now, "client_secret": told["client_secret"]})
    assert flow.tokens()["access_token"]
    with app.app_context():
        assert server_of(app).find_client(told["client_id"]).speaks_from("https://other.example")


def test_a_change_that_is_refused_changes_nothing(app: Flask) -> None:
    told = registered(app, SECRET)
    before = manage(app, told).get_json()
    for said, error in (
        ({"client_id": None}, "invalid_client_metadata"),
        ({"client_id": "other"}, "invalid_client_metadata"),
        ({"client_secret": "x" * 40}, "invalid_client_metadata"),
        ({"client_secret": 1}, "invalid_client_metadata"),
        ({"client_secret": "\ud800"}, "invalid_client_metadata"),
        ({"client_id_issued_at": 0}, "invalid_client_metadata"),
        ({"registration_access_token": "x"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "none"}, "invalid_client_metadata"),
        ({"subject_type": "pairwise"}, "invalid_client_metadata"),
        ({"redirect_uris": None}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:x"]}, "invalid_redirect_uri"),
    ):
        said = {**SECRET, "client_id": told["client_id"], **said}
        refused(manage(app, told, "PUT", said), error)
    refused(manage(app, told, "PUT", ["list"]), "invalid_client_metadata")
    assert manage(app, told).get_json() == before


def test_what_was_checked_is_not_once_it_changed(app: Flask) -> None:
    told = registered(app, SECRET)
    client_id, said = told["client_id"], {**SECRET, "client_id": told["client_id"]}
    theirs = {"verified": True, "developer": "Ada", "application_type": "web"}
    update(app, client_id, skip_consent=True, client_metadata=theirs)
    assert "verified" not in manage(app, told, "PUT", said).get_json()
    assert stored(app, client_id).verified
    assert stored(app, client_id).skips_consent
    manage(app, told, "PUT", {**said, "redirect_uris": ["https://evil.example/cb"]})
    client = stored(app, client_id)
    assert (client.verified, client.skip_consent) == (False, False)
    assert client.client_metadata == {"developer": "Ada", "application_type": "web"}


def test_a_client_deletes_itself_and_all_it_had(app: Flask) -> None:
    # RFC 7592 2.3
    told = registered(app, SECRET)
    token = flow_of(app, told).tokens()["access_token"]
    answer = manage(app, told, "DELETE")
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    assert stored(app, told["client_id"]) is None
    me = app.test_client().get("/api/me", headers={"Authorization": f"Bearer {token}"})
    assert me.status_code == 401
    for method in ("GET", "PUT", "DELETE"):
        refused(manage(app, told, method, {}), "invalid_token", 401)
    assert flow_of(app, told).redeem("x").get_json()["error"] == "invalid_client"


# Pages of other origins.


@pytest.mark.parametrize(
    ("path", "method"), [("/oauth/register", "POST"), ("/oauth/register/x", "PUT")]
)
def test_pages_of_any_origin_register(app: Flask, path: str, method: str) -> None:
    # The MCP inspector runs in a browser.
    headers = {
        "Origin": "http://localhost:6274",
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type, mcp-protocol-version",
    }
    browser = app.test_client()
    asked = browser.options(path, headers=headers)
    assert asked.headers["Access-Control-Allow-Origin"] == "*"
    assert method in asked.headers["Access-Control-Allow-Methods"]
    assert "mcp-protocol-version" in asked.headers["Access-Control-Allow-Headers"]
    answer = browser.open(path, method=method, json={}, headers={"Origin": "https://a.example"})
    assert answer.status_code >= 400
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    # All other endpoints answer the origins of clients alone.
    answer = browser.post("/oauth/token", headers={"Origin": "https://a.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers
