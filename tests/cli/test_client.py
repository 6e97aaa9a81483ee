"""The commands of the operator."""

from __future__ import annotations

import json
import re
import shlex
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_pkce_server import client_registered
from flask_pkce_server.testing import (
    Clock,
    Flow,
    RegisteredClient,
    hidden_fields,
    parameters_of,
    register,
    server_of,
)

from ..host import make_app

URI = "https://client.example/callback"
CHOSEN = "a-secret-of-the-operators-own-choice"


def run(app: Flask, *args: str, code: int = 0) -> str:
    result = app.test_cli_runner().invoke(args=["pkce", *args])
    assert result.exit_code == code, result.output
    return result.output


def create(app: Flask, *args: str) -> dict:
    base = ["client", "create", "--name", "Notebook", "--redirect-uri", URI, "--json"]
    return json.loads(run(app, *base, *args))


def test_a_public_client_has_no_secret(app: Flask) -> None:
    told = []
    client_registered.connect(lambda app, **facts: told.append(facts), weak=False)
    made = create(app, "--type", "public")
    assert made["token_endpoint_auth_method"] == "none"
    assert made["grant_types"] == ["authorization_code", "refresh_token"]
    assert made["redirect_uris"] == [URI]
    assert made["scope"] is None
    assert "client_secret" not in made
    assert made["client_id"].isalnum()
    assert told[-1] == {"client_id": made["client_id"]}


def test_a_confidential_client_is_shown_its_secret_once(app: Flask) -> None:
    made = create(app, "--type", "confidential")
    assert made["client_secret"].isalnum()
    assert made["token_endpoint_auth_method"] == "client_secret_basic"
    for output in (
        run(app, "client", "show", made["client_id"], "--json"),
        run(app, "client", "show", made["client_id"]),
        run(app, "client", "list", "--json"),
        run(app, "client", "list"),
    ):
        assert made["client_secret"] not in output
        assert made["client_id"] in output


def test_what_is_said_is_what_is_kept(app: Flask) -> None:
    made = create(
        app,
        *["--type", "confidential", "--auth-method", "client_secret_post"],
        *["--scope", "profile notes:read", "--grant-type", "authorization_code"],
        *["--origin", "https://pages.example", "--redirect-uri", "com.example.app:/cb"],
        *["--client-id", "notebook", "--client-secret", CHOSEN, "--skip-consent"],
    )
    shown = json.loads(run(app, "client", "show", "notebook", "--json"))
    assert shown == {name: value for name, value in made.items() if name != "client_secret"}
    assert shown["client_id"] == "notebook"
    assert shown["scope"] == "notes:read profile"
    assert shown["grant_types"] == ["authorization_code"]
    assert shown["origins"] == ["https://pages.example"]
    assert shown["redirect_uris"] == [URI, "com.example.app:/cb"]
    assert shown["skip_consent"] is True
    assert made["client_secret"] == CHOSEN


@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
def test_creating_a_client_ends_with_a_url_and_a_curl_line_that_work(
    app: Flask, client: FlaskClient, method: str
) -> None:
    kind = "public" if method == "none" else "confidential"
    output = run(
        app,
        *["client", "create", "--name", "Notebook", "--redirect-uri", URI],
        *["--type", kind, "--auth-method", method],
    )
    url = urlsplit(re.search(r"https://auth.example/\S+", output)[0])
    page = client.get(url.path, query_string=url.query)
    form = {**hidden_fields(page.text), "decision": "allow"}
    code = parameters_of(client.post(url.path, data=form))["code"]
    curl = shlex.split(re.search(r"curl .*", output)[0].replace("CODE", code))
    assert curl[1] == "https://auth.example/oauth/token"
    body = dict(
        curl[at + 1].split("=", 1) for at, word in enumerate(curl) if word == "--data-urlencode"
    )
    user = tuple(curl[curl.index("-u") + 1].split(":")) if "-u" in curl else None
    tokens = app.test_client(use_cookies=False).post("/oauth/token", data=body, auth=user)
    assert tokens.status_code == 200, tokens.text
    asked = parse_qs(url.query)["scope"][0].split()
    # What the host declares, a sign-in and a refresh token; not the whole of the user.
    usual = {"profile", "notes:read", "notes:write", "openid", "offline_access"}
    assert set(tokens.get_json()["scope"].split()) == set(asked) == usual


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--redirect-uri", "http://evil.example"], "https"),
        (["--redirect-uri", "javascript:alert(1)"], "browser itself"),
        (["--redirect-uri", URI + "#x"], "fragment"),
        (["--redirect-uri", URI, "--scope", "unheard-of"], "Not declared in PKCE_SCOPES"),
        (["--redirect-uri", URI, "--grant-type", "password"], "no grant type password"),
        (["--redirect-uri", URI, "--origin", "https://a.example/x"], "origin"),
        (["--redirect-uri", URI, "--client-id", "a b"], "client_id"),
        (["--redirect-uri", URI, "--client-id", "\u00e9"], "client_id"),
        (["--redirect-uri", URI, "--client-secret", "s" * 40], "no secret"),
        (["--redirect-uri", URI, "--name", " "], "name"),
        ([], "at least one redirect URI"),
    ],
)
def test_what_is_unfit_is_refused_with_a_reason(app: Flask, args: list[str], words: str) -> None:
    output = run(app, *["client", "create", "--name", "N", "--type", "public"], *args, code=1)
    assert words in output
    assert json.loads(run(app, "client", "list", "--json")) == []


@pytest.mark.parametrize("secret", ["short", "s" * 32, "0101" * 16])
def test_a_secret_that_can_be_guessed_is_refused(app: Flask, secret: str) -> None:
    args = ["--name", "N", "--type", "confidential", "--redirect-uri", URI]
    output = run(app, "client", "create", *args, "--client-secret", secret, code=1)
    assert "32 characters, and 8 different ones" in output
    assert secret not in output


def test_a_secret_is_read_from_the_standard_input(app: Flask) -> None:
    args = ["--name", "N", "--type", "confidential", "--redirect-uri", URI, "--client-id", "n"]
    command = ["pkce", "client", "create", *args, "--client-secret", "-"]
    nothing = app.test_cli_runner().invoke(args=command, input="\n")
    assert (nothing.exit_code, "no line on the standard input" in nothing.output) == (2, True)
    done = app.test_cli_runner().invoke(args=[*command, "--json"], input=f"{CHOSEN}\r\n")
    assert json.loads(done.output)["client_secret"] == CHOSEN
    with app.app_context():
        assert server_of(app).find_client("n").check_client_secret(CHOSEN)


@pytest.mark.parametrize(
    ("kind", "method"), [("public", "client_secret_basic"), ("confidential", "none")]
)
def test_type_and_method_have_to_agree(app: Flask, kind: str, method: str) -> None:
    args = ["--name", "N", "--redirect-uri", URI, "--type", kind, "--auth-method", method]
    assert "does not use" in run(app, "client", "create", *args, code=2)


def test_a_client_id_is_given_once(app: Flask) -> None:
    create(app, "--type", "public", "--client-id", "notebook")
    args = ["--name", "N", "--redirect-uri", URI, "--type", "public", "--client-id", "notebook"]
    assert "already" in run(app, "client", "create", *args, code=1)


def test_a_scheme_without_a_dot_is_a_warning_and_no_refusal() -> None:
    app = make_app(PKCE_DIALECTS=[])
    args = ["--name", "N", "--type", "public", "--redirect-uri", "cursor://callback"]
    assert "Warning: The scheme cursor: has no dot" in run(app, "client", "create", *args)
    assert "cursor: has no dot" in run(app, "doctor")


def test_what_a_room_reads_of_a_client_is_an_option_and_is_checked(app: Flask) -> None:
    made = create(
        app,
        *["--type", "public", "--post-logout-redirect-uri", "https://client.example/bye"],
        *["--post-logout-redirect-uri", "https://client.example/ciao"],
        *["--backchannel-logout-uri", "https://client.example/bcl"],
        *["--id-token-signed-response-alg", "ES256", "--backchannel-logout-session-required"],
    )
    said = {
        "post_logout_redirect_uris": ["https://client.example/bye", "https://client.example/ciao"],
        "backchannel_logout_uri": "https://client.example/bcl",
        "backchannel_logout_session_required": True,
        "id_token_signed_response_alg": "ES256",
    }
    assert {name: made[name] for name in said} == said
    client_id = made["client_id"]
    run(app, "client", "update", client_id, "--backchannel-logout-uri", "https://b.example/bcl")
    shown = json.loads(run(app, "client", "show", client_id, "--json"))
    assert shown["backchannel_logout_uri"] == "https://b.example/bcl"
    assert shown["post_logout_redirect_uris"] == said["post_logout_redirect_uris"]
    for option, value in (
        ("--backchannel-logout-uri", "http://client.example/bcl"),
        ("--post-logout-redirect-uri", "javascript:alert(1)"),
        ("--access-token-format", "saml"),
    ):
        run(app, "client", "update", client_id, option, value, code=2 if value == "saml" else 1)
    app = make_app(PKCE_FEATURES={"logout": False})
    create_args = ["client", "create", "--name", "x", "--type", "public", "--redirect-uri", URI]
    output = run(app, *create_args, "--post-logout-redirect-uri", URI, code=2)
    assert "No such option" in output


def test_an_api_is_registered_to_introspect(app: Flask) -> None:
    result = run(
        app,
        *["client", "create", "--name", "Notes API", "--type", "confidential"],
        *["--resource-server", "--scope", "notes:read", "--json"],
    )
    made = json.loads(result)
    assert (made["grant_types"], made["redirect_uris"]) == ([], [])
    assert made["resource_server"] is True


def test_an_update_changes_what_is_given_and_nothing_else(app: Flask) -> None:
    made = create(app, "--type", "public", "--client-id", "notebook", "--skip-consent")
    updated = json.loads(
        run(app, "client", "update", "notebook", "--name", "Diary", "--ask-consent", "--json")
    )
    assert updated == {**made, "client_name": "Diary", "skip_consent": False}
    run(app, "client", "update", "notebook", "--scope", "profile")
    run(app, "client", "update", "notebook", "--origin", "https://pages.example")
    run(app, "client", "update", "notebook", "--grant-type", "authorization_code")
    run(app, "client", "update", "notebook", "--redirect-uri", URI + "2")
    shown = json.loads(run(app, "client", "show", "notebook", "--json"))
    assert shown["scope"] == "profile"
    assert shown["origins"] == ["https://pages.example"]
    assert shown["grant_types"] == ["authorization_code"]
    assert shown["redirect_uris"] == [URI + "2"]
    refused = run(app, "client", "update", "notebook", "--redirect-uri", "data:x", code=1)
    assert "browser itself" in refused
    assert json.loads(run(app, "client", "show", "notebook", "--json")) == shown


def test_a_new_secret_ends_the_old_one(app: Flask, client: FlaskClient) -> None:
    known = register(app, auth_method="client_secret_basic")
    made = json.loads(run(app, "client", "rotate-secret", known.client_id, "--json"))
    assert made["client_secret"] != known.client_secret
    old, new = (
        Flow(client, known),
        Flow(client, RegisteredClient(**{**vars(known), "client_secret": made["client_secret"]})),
    )
    assert old.refresh("x").status_code == 401
    assert new.refresh("x").status_code == 400
    assert "shown this once" in run(app, "client", "rotate-secret", known.client_id)


def test_the_old_secret_is_kept_until_the_next_rotation(app: Flask, client: FlaskClient) -> None:
    known = register(app, auth_method="client_secret_basic")

    def rotate(*options: str) -> RegisteredClient:
        made = json.loads(run(app, "client", "rotate-secret", known.client_id, *options, "--json"))
        return RegisteredClient(**{**vars(known), "client_secret": made["client_secret"]})

    def is_good(one: RegisteredClient) -> bool:
        return Flow(client, one).refresh("x").status_code == 400

    second = rotate("--keep")
    assert [is_good(one) for one in (known, second)] == [True, True]
    output = run(app, "client", "rotate-secret", known.client_id, "--keep", code=1)
    assert "has two secrets already" in output
    third = rotate()
    assert [is_good(one) for one in (known, second, third)] == [False, False, True]


def test_a_public_client_has_no_secret_to_rotate(app: Flask) -> None:
    output = run(app, "client", "rotate-secret", register(app).client_id, code=1)
    assert "public client" in output


def test_a_deleted_client_takes_all_it_had_with_it(app: Flask, pkce_flow: Flow) -> None:
    tokens = pkce_flow.tokens()
    output = run(app, "client", "delete", pkce_flow.client.client_id, "--json")
    assert json.loads(output) == {"deleted": pkce_flow.client.client_id}
    answer = pkce_flow.refresh(tokens["refresh_token"])
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    register(app, client_id=pkce_flow.client.client_id)
    assert pkce_flow.refresh(tokens["refresh_token"]).get_json()["error"] == "invalid_grant"
    assert pkce_flow.authorize().status_code == 200


@pytest.mark.parametrize("command", ["show", "update", "delete", "rotate-secret"])
def test_an_unknown_client_is_said_to_be_unknown(app: Flask, command: str) -> None:
    assert "There is no client nobody" in run(app, "client", command, "nobody", code=1)


def test_an_empty_list_says_what_to_do(app: Flask) -> None:
    assert "flask pkce client create" in run(app, "client", "list")


def test_prune_says_what_it_deleted(app: Flask, pkce_flow: Flow, pkce_clock: Clock) -> None:
    pkce_flow.tokens()
    pkce_flow.allow()
    pkce_clock.advance(31 * 86400)
    deleted = json.loads(run(app, "prune", "--json"))["deleted"]
    assert {name: number for name, number in deleted.items() if number} == {
        "token": 4,  # and their grants
        "authorization_code": 2,
    }
    assert {"jwks", "device_code", "limits", "par"} < deleted.keys()
    assert run(app, "prune") == "Rows deleted: none.\n"


def test_without_tables_the_commands_say_so() -> None:
    app = make_app(init=False)
    app.pkce.init_app(app)
    for args in (["client", "list"], ["client", "show", "x"], ["prune"]):
        assert "flask pkce doctor" in run(app, *args, code=1)
