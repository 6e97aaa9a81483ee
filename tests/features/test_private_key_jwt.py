"""The private_key_jwt feature: a client signs who it is, for this server and once (RFC 7523)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.features.private_key_jwt import ALGORITHMS
from flask_pkce_server.models.client import Client
from flask_pkce_server.models.grant import Grant
from flask_pkce_server.models.spent_jti import SpentJti
from flask_pkce_server.testing import Clock, Flow, RegisteredClient, register, server_of
from flask_pkce_server.wire import remembered
from flask_pkce_server.wire.fetch import Fetcher, FetchError
from flask_pkce_server.wire.fetch_limit import MAX_WAITING
from flask_pkce_server.wire.handle import base64url
from flask_pkce_server.wire.names import JWT_BEARER_ASSERTION as ASSERTION_TYPE

from ..ephemeral import IN_BOTH
from ..host import ISSUER, make_app, sign_in
from ..signing import METHOD, OTHER, SIGNER, SIGNERS, Signer, claims, encoded, registered, unsigned

URI = "https://keys.example/jwks.json"
AUTHENTICATED, REFUSED = (400, "invalid_grant"), (401, "invalid_client")


def show(app: Flask, assertion: str | None, path: str = "/oauth/token", **form: Any) -> Any:
    fields = {
        "grant_type": "authorization_code",
        "code": "x",
        "token": "x",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        **form,
    }
    data = {name: value for name, value in fields.items() if value is not None}
    return app.test_client().post(path, data=data)


def outcome(answer: Any) -> tuple[int, str]:
    assert answer.get_json()["error_description"]
    return answer.status_code, answer.get_json()["error"]


def tried(app: Flask, client: RegisteredClient, signer: Signer = SIGNER, **changes: Any) -> Any:
    return outcome(show(app, signer.sign(claims(app, client.client_id, **changes))))


@pytest.fixture
def known(app: Flask) -> RegisteredClient:
    return registered(app)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_client_signs_its_way_to_tokens_and_back(app: Flask, algorithm: str) -> None:
    signer = SIGNERS[algorithm]
    client = registered(
        app, jwks=signer.jwks, token_endpoint_auth_signing_alg=algorithm, resource_server=True
    )
    flow = Flow(sign_in(app), client)

    def ask(path: str, **form: str) -> Any:
        return show(app, signer.sign(claims(app, client.client_id)), path, **form)

    code = flow.allow()["code"]
    # RFC 7521 4.2.1: client_id may be there too, and is the same then.
    given = ask(
        "/oauth/token",
        code=code,
        code_verifier=flow.verifier,
        client_id=client.client_id,
    ).get_json()
    fresh = ask(
        "/oauth/token", grant_type="refresh_token", refresh_token=given["refresh_token"]
    ).get_json()
    token = fresh["access_token"]
    assert ask("/oauth/introspect", token=token).get_json()["active"] is True
    assert ask("/oauth/revoke", token=token).status_code == 200
    assert ask("/oauth/introspect", token=token).get_json() == {"active": False}


@IN_BOTH
def test_a_machine_signs_its_way_to_a_token(app: Flask) -> None:
    client = register(
        app,
        auth_method=METHOD,
        redirect_uris=(),
        grant_types=["client_credentials"],
        client_metadata={"jwks": SIGNER.jwks},
    )
    signed = SIGNER.sign(claims(app, client.client_id))
    answer = show(app, signed, grant_type="client_credentials", code=None, token=None)
    assert answer.status_code == 200


@IN_BOTH
@pytest.mark.parametrize("first", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
def test_an_assertion_is_good_once_wherever_it_is_shown(
    app: Flask, known: RegisteredClient, first: str
) -> None:
    # RFC 7523 3: jti
    signed = SIGNER.sign(claims(app, known.client_id))
    assert show(app, signed, first).status_code in (200, 400)
    for path in ("/oauth/token", "/oauth/revoke", "/oauth/introspect"):
        assert outcome(show(app, signed, path)) == REFUSED
    # Another one with the same jti is the same one.
    again = claims(app, known.client_id, jti="one")
    assert outcome(show(app, SIGNER.sign(again))) == AUTHENTICATED
    assert outcome(show(app, SIGNER.sign({**again, "exp": again["exp"] + 1}))) == REFUSED
    # But not where another client chose it.
    assert tried(app, registered(app, OTHER), OTHER, jti="one") == AUTHENTICATED


@IN_BOTH
def test_of_two_at_once_one_gets_in(tmp_path: Path, ephemeral: dict[str, str]) -> None:
    app = make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db", **ephemeral)
    signed = SIGNER.sign(claims(app, registered(app).client_id))
    answers: list[tuple[int, str]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(outcome(show(app, signed))))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [AUTHENTICATED] + [REFUSED] * 5
    with app.app_context():
        app.db.engine.dispose()


@IN_BOTH
def test_what_is_refused_is_not_spent(app: Flask, known: RegisteredClient) -> None:
    assert tried(app, known, OTHER, jti="a") == REFUSED
    assert tried(app, known, jti="a", aud="https://other.example") == REFUSED
    assert tried(app, known, jti="a") == AUTHENTICATED


def test_a_code_whose_scopes_shrink_meanwhile_is_redeemed_by_one_assertion(app: Flask) -> None:
    # The grant looks twice then, and the client must not have to prove itself twice.
    client = registered(app)
    flow = Flow(sign_in(app), client, scope="profile notes:read")
    code = flow.allow()["code"]
    server = server_of(app)
    before = server.store.transaction

    def transaction(work: Callable) -> Any:
        if work.__name__ == "redeem" and server.store.transaction is transaction:
            server.store.transaction = before  # type: ignore[method-assign]
            less = update(Grant).values(scope=frozenset({"profile"}))
            before(lambda connection: connection.execute(less))
        return before(work)

    server.store.transaction = transaction  # type: ignore[method-assign]
    signed = SIGNER.sign(claims(app, client.client_id))
    answer = show(app, signed, code=code, code_verifier=flow.verifier)
    assert (answer.status_code, answer.get_json().get("scope")) == (200, "profile")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": None},
        {"aud": []},
        # draft-ietf-oauth-rfc7523bis: the issuer as a string, and no list even of one.
        {"aud": [ISSUER]},
        {"aud": [ISSUER, "https://other.example"]},
        {"aud": ISSUER + "/"},
        {"aud": ISSUER + "/oauth/token"},
        {"aud": "https://other.example"},
        {"aud": {"a": 1}},
        {"iss": None},
        {"iss": "other"},
        {"sub": "other"},
        {"jti": None},
        {"jti": ""},
        {"jti": 5},
        {"jti": "a\x00"},
        {"jti": "\ud800"},
        {"jti": "a" * 513},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": 10**400},
        {"exp": -1},
        {"exp": []},
        {"iat": "now"},
        {"iat": 0},
        {"iat": 10**12},
        {"nbf": 10**12},
    ],
)
def test_claims_that_show_nothing_here_are_refused(
    app: Flask, known: RegisteredClient, changes: dict[str, Any]
) -> None:
    assert tried(app, known, **changes) == REFUSED


@IN_BOTH
def test_it_lives_for_five_minutes_at_most(
    app: Flask, known: RegisteredClient, pkce_clock: Clock
) -> None:
    now = int(pkce_clock.now)
    for seconds, wanted in (
        (300, AUTHENTICATED),
        (330, AUTHENTICATED),
        (331, REFUSED),
        (86400, REFUSED),
        (-29, AUTHENTICATED),
        (-30, REFUSED),
    ):
        assert tried(app, known, exp=now + seconds, iat=now - 40) == wanted, seconds
    for iat, wanted in (
        (now + 30, AUTHENTICATED),
        (now + 31, REFUSED),
        (now - 300, AUTHENTICATED),
        (now - 400, REFUSED),
    ):
        assert tried(app, known, iat=iat) == wanted, iat - now
    assert tried(app, known, iat=None, nbf=now) == AUTHENTICATED
    assert tried(app, known, nbf=now + 31) == REFUSED


def forged(app: Flask, client_id: str, algorithm: str, secret: bytes = b"") -> str:
    text = f"{encoded({'alg': algorithm, 'kid': '1'})}.{encoded(claims(app, client_id))}"
    made = hmac.digest(secret, text.encode(), hashlib.sha256) if secret else b""
    return f"{text}.{base64url(made)}"


def test_no_algorithm_is_confused_with_another(app: Flask) -> None:
    signer = SIGNERS["RS256"]
    client = registered(app, signer)
    modulus = base64.urlsafe_b64decode(signer.jwk["n"] + "==")
    public = json.dumps(signer.jwks).encode()
    for text in (
        forged(app, client.client_id, "none"),
        forged(app, client.client_id, "None"),
        forged(app, client.client_id, "HS256", modulus),
        forged(app, client.client_id, "HS256", public),
        forged(app, client.client_id, "RS256", modulus),
        forged(app, client.client_id, "ES256"),
    ):
        assert outcome(show(app, text)) == REFUSED
    content = claims(app, client.client_id)
    for algorithm in ("PS256", "RS512", "ES256", "EdDSA", "", ["RS256"], {}, 1, None, "RS256 "):
        assert outcome(show(app, signer.sign(content, alg=algorithm))) == REFUSED, algorithm
    # An empty signature of numbers that are zero (CVE-2022-21449).
    elliptic = registered(app)
    text = SIGNER.sign(claims(app, elliptic.client_id)).rpartition(".")[0]
    for signature in (b"", bytes(64), bytes(63), b"\xff" * 64):
        assert outcome(show(app, f"{text}.{base64url(signature)}")) == REFUSED


def test_it_is_signed_as_registered_and_no_other_way(app: Flask) -> None:
    signer = SIGNERS["RS256"]
    client = registered(app, jwks=signer.jwks, token_endpoint_auth_signing_alg="PS256")
    assert tried(app, client, signer) == REFUSED
    other = Signer("PS256")
    other.key = signer.key
    assert tried(app, client, other) == AUTHENTICATED


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "at+jwt"},
        {"typ": "logout+jwt"},
        {"typ": 5},
        {"kid": "2"},
        {"kid": 1},
        {"kid": {"a": "b"}},
        {"crit": ["exp"], "exp": 1},
        {"jwk": OTHER.jwk, "kid": "2"},
    ],
)
def test_headers_that_mean_something_else_are_refused(
    app: Flask, known: RegisteredClient, header: dict[str, Any]
) -> None:
    assert outcome(show(app, SIGNER.sign(claims(app, known.client_id), **header))) == REFUSED


def test_the_kid_and_the_type_may_be_left_out(app: Flask) -> None:
    client = registered(app, jwks={"keys": [SIGNERS["RS256"].jwk, OTHER.jwk, SIGNER.jwk]})
    for header in ({"kid": None}, {"typ": None}, {"typ": "client-authentication+jwt"}):
        signed = SIGNER.sign(claims(app, client.client_id), **header)
        assert outcome(show(app, signed)) == AUTHENTICATED


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "a.b",
        "..",
        "a.b.c.d",
        unsigned([], {}),
        unsigned({}, []),
        unsigned({}, b"{"),
        unsigned({}, b"[" * 4000),
        unsigned(b"[" * 4000, {}),
        unsigned({}, b'{"sub":' * 500),
        unsigned({}, b'{"sub":' * 500 + b"1" + b"}" * 500),
        unsigned({}, {"sub": None}),
        unsigned({}, {"sub": 5}),
        unsigned({}, {"sub": ["a"]}),
        unsigned({}, {"sub": "a\x00"}),
        unsigned({}, {"sub": "\ud800"}),
        unsigned({}, b"\xff\xfe"),
        unsigned({}, b'{"sub":' + b"1" * 5000 + b"}"),
        unsigned({}, {"sub": "nobody"}),
        "é.é.é",
        "a=.b=.c=",
    ],
)
def test_what_is_no_assertion_is_an_invalid_client(app: Flask, text: str) -> None:
    assert outcome(show(app, text)) == REFUSED


def test_one_that_is_too_long_is_refused(app: Flask, known: RegisteredClient) -> None:
    signed = SIGNER.sign(claims(app, known.client_id, more="a" * 9000))
    assert outcome(show(app, signed)) == (400, "invalid_request")


def test_the_two_parameters_go_together(app: Flask, known: RegisteredClient) -> None:
    signed = SIGNER.sign(claims(app, known.client_id))
    assert outcome(show(app, signed, client_assertion_type=None)) == REFUSED
    assert outcome(show(app, signed, client_assertion_type="saml2-bearer")) == REFUSED
    assert outcome(show(app, None)) == REFUSED
    assert outcome(show(app, signed)) == AUTHENTICATED


def test_it_is_the_registered_method_and_the_only_one(app: Flask, known: RegisteredClient) -> None:
    secret = register(app, auth_method="client_secret_post")
    public = register(app)
    assert tried(app, secret) == REFUSED
    assert tried(app, public) == REFUSED
    alone = show(app, None, client_assertion_type=None, client_id=known.client_id)
    assert outcome(alone) == REFUSED
    signed = SIGNER.sign(claims(app, known.client_id))
    both = show(app, signed, client_id=known.client_id, client_secret="a" * 48)
    assert outcome(both) == (400, "invalid_request")
    other = show(app, signed, client_id=public.client_id)
    assert outcome(other) == (400, "invalid_request")
    twice = show(app, None, client_assertion=[signed, signed])
    assert outcome(twice) == (400, "invalid_request")


def test_unknown_and_wrong_are_told_in_the_same_words(app: Flask, known: RegisteredClient) -> None:
    wrong = show(app, OTHER.sign(claims(app, known.client_id)))
    unknown = show(app, OTHER.sign(claims(app, "unknown")))
    assert wrong.data == unknown.data


# Its keys.


class Host:
    """The document at a jwks_uri, and how often it was asked for."""

    def __init__(self, app: Flask) -> None:
        self.document: Any = SIGNER.jwks
        self.asked: list[str] = []
        host = self

        class Stored(Fetcher):
            def get_json(self, uri: str) -> dict[str, Any]:
                host.asked.append(uri)
                if host.document is None:
                    raise FetchError
                return host.document

        server_of(app).fetcher = Stored()


@pytest.fixture
def host(app: Flask) -> Host:
    return Host(app)


@pytest.fixture
def remote(app: Flask) -> RegisteredClient:
    return registered(app, jwks_uri=URI)


def test_keys_of_a_jwks_uri_are_fetched_and_kept(
    app: Flask, host: Host, remote: RegisteredClient, pkce_clock: Clock
) -> None:
    for _ in range(3):
        assert tried(app, remote) == AUTHENTICATED
    assert host.asked == [URI]
    pkce_clock.advance(3600)
    assert tried(app, remote) == AUTHENTICATED
    assert host.asked == [URI] * 2


def test_an_unknown_key_is_asked_for_once_a_minute(
    app: Flask, host: Host, remote: RegisteredClient, pkce_clock: Clock
) -> None:
    assert tried(app, remote) == AUTHENTICATED
    host.document = {"keys": [SIGNER.jwk, OTHER.jwk]}
    for _ in range(3):
        assert tried(app, remote, OTHER) == REFUSED
    assert host.asked == [URI]
    pkce_clock.advance(60)
    for _ in range(3):
        assert tried(app, remote, OTHER) == AUTHENTICATED
    assert host.asked == [URI] * 2


def test_keys_that_are_used_are_kept_whoever_else_comes(
    app: Flask, host: Host, remote: RegisteredClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "MAX_DOCUMENTS", 2)
    others = [registered(app, jwks_uri=f"{URI}/{number}") for number in range(3)]
    for other in others:
        assert tried(app, remote) == AUTHENTICATED
        assert tried(app, other) == AUTHENTICATED
    assert host.asked.count(URI) == 1


def test_a_host_that_is_down_locks_nobody_out_for_a_day(
    app: Flask, host: Host, remote: RegisteredClient, pkce_clock: Clock
) -> None:
    assert tried(app, remote) == AUTHENTICATED
    for broken in (None, {"keys": "x"}, {}):
        host.document = broken
        pkce_clock.advance(3600)
        for _ in range(2):
            assert tried(app, remote) == AUTHENTICATED
    assert host.asked == [URI] * 4
    pkce_clock.advance(86400)
    assert tried(app, remote) == REFUSED


def test_a_slow_host_holds_few_requests(tmp_path: Path) -> None:
    app = make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db")
    host, is_open = Host(app), threading.Event()
    fetch = server_of(app).fetcher.get_json

    class Slow(Fetcher):
        def get_json(self, uri: str) -> dict[str, Any]:
            assert is_open.wait(20)
            return fetch(uri)

    server_of(app).fetcher = Slow()
    client = registered(app, jwks_uri=URI)
    with ThreadPoolExecutor(MAX_WAITING + 4) as pool:
        answers = [pool.submit(tried, app, client) for _ in range(MAX_WAITING + 4)]
        busy = [answer.result() for answer in itertools.islice(as_completed(answers, 20), 3)]
        assert busy == [(503, "temporarily_unavailable")] * 3
        assert sum(answer.done() for answer in answers) == 3
        is_open.set()
    assert [answer.result() for answer in answers].count(AUTHENTICATED) == MAX_WAITING + 1
    assert host.asked == [URI]
    with app.app_context():
        app.db.engine.dispose()


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"keys": {}},
        {"keys": [None, 5, "x", []]},
        {"keys": [{"kty": "EC", "crv": "P-256", "x": 5, "y": None, "kid": "1"}]},
        {"keys": [{**SIGNER.jwk, "crv": "P-521"}]},
        {"keys": [{**SIGNER.jwk, "y": SIGNER.jwk["x"]}]},
        {"keys": [{**SIGNER.jwk, "use": "enc"}]},
        {"keys": [{**SIGNER.jwk, "key_ops": 5}]},
        {"keys": [{**SIGNER.jwk, "key_ops": ["encrypt"]}]},
        {"keys": [{**SIGNER.jwk, "alg": "ES512"}]},
        {"keys": [{"kty": "oct", "k": "AAAA", "kid": "1"}]},
        {"keys": [OTHER.jwk] * 20 + [SIGNER.jwk]},
    ],
)
def test_a_document_without_a_fitting_key_is_an_invalid_client(
    app: Flask, host: Host, remote: RegisteredClient, document: Any
) -> None:
    host.document = document
    assert tried(app, remote) == REFUSED


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "jwks or a jwks_uri"),
        ({"jwks": SIGNER.jwks, "jwks_uri": URI}, "not both"),
        ({"jwks_uri": "http://keys.example/"}, "https URL"),
        ({"jwks_uri": "https://127.0.0.1/"}, "https URL"),
        ({"jwks": {}}, "1 to 20"),
        ({"jwks": {"keys": []}}, "1 to 20"),
        ({"jwks": {"keys": [SIGNER.jwk] * 21}}, "1 to 20"),
        ({"jwks": {"keys": ["x"]}}, "not a JWK"),
        ({"jwks": {"keys": [{**SIGNER.jwk, "d": "AAAA"}]}}, "private"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}, "private"),
        ({"jwks": {"keys": [{"kty": "RSA", "n": "w" * 171, "e": "AQAB"}]}}, "2048"),
        ({"jwks": {"keys": [{"kty": "RSA", "n": "w" * 4000, "e": "AQAB"}]}}, "2048"),
        ({"jwks": "x"}, "another type"),
        ({"jwks": SIGNER.jwks, "token_endpoint_auth_signing_alg": "HS256"}, "one of"),
    ],
)
def test_keys_that_must_not_be_registered(
    app: Flask, metadata: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        register(app, auth_method=METHOD, client_metadata=metadata)


def test_a_client_that_signs_has_no_secret(app: Flask, known: RegisteredClient) -> None:
    assert known.client_secret is None
    with pytest.raises(InvalidRequestError, match="no secret"):
        register(
            app,
            auth_method=METHOD,
            client_secret="a" * 48,
            client_metadata={"jwks": SIGNER.jwks},
        )
    rotated = app.test_cli_runner().invoke(
        args=["pkce", "client", "rotate-secret", known.client_id]
    )
    assert rotated.exit_code == 1
    assert "has no secret" in rotated.output


def create(app: Flask, *more: str) -> Any:
    command = ["pkce", "client", "create", "--name", "N", "--type", "confidential"]
    command += ["--redirect-uri", "https://client.example/cb", "--auth-method", METHOD]
    return app.test_cli_runner().invoke(args=[*command, *more])


def test_it_is_registered_by_the_command(app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(SIGNER.jwks))
    made = json.loads(create(app, "--jwks", str(file), "--json").output)
    assert made["jwks"] == SIGNER.jwks
    assert "client_secret" not in made
    with app.app_context():
        client = server_of(app).find_client(made["client_id"])
        assert isinstance(client, Client)
        assert not client.is_public
    assert json.loads(create(app, "--jwks-uri", URI, "--json").output)["jwks_uri"] == URI
    assert "client_assertion=ASSERTION" in create(app, "--jwks-uri", URI).output
    assert "jwks or a jwks_uri" in create(app).output
    for text in ("{", "[]", "[" * 100_000):
        file.write_text(text)
        failed = create(app, "--jwks", str(file))
        assert failed.exit_code == 2
        assert "JSON" in failed.output
    assert "No such file" in create(app, "--jwks", str(tmp_path / "other.json")).output


def test_keys_that_are_published_take_the_place_of_those_that_were_sent(
    app: Flask, known: RegisteredClient, tmp_path: Path
) -> None:
    def update(*more: str) -> Any:
        command = ["pkce", "client", "update", known.client_id, *more, "--json"]
        return app.test_cli_runner().invoke(args=command)

    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(OTHER.jwks))
    assert "jwks" not in json.loads(update("--jwks-uri", URI).output)
    assert "jwks_uri" not in json.loads(update("--jwks", str(file)).output)
    assert tried(app, known, OTHER) == AUTHENTICATED
    assert "not both" in update("--jwks", str(file), "--jwks-uri", URI).output


def test_discovery_names_the_method_and_its_algorithms(app: Flask) -> None:
    document = server_of(app).metadata()
    for name in ("token", "revocation", "introspection"):
        assert METHOD in document[f"{name}_endpoint_auth_methods_supported"]
        # RFC 8414 2: none of them is "none".
        algorithms = document[f"{name}_endpoint_auth_signing_alg_values_supported"]
        assert algorithms == ["PS256", "ES256", "EdDSA", "RS256"]


def test_prune_forgets_what_has_expired(
    app: Flask, known: RegisteredClient, pkce_clock: Clock
) -> None:
    def pruned() -> int:
        done = app.test_cli_runner().invoke(args=["pkce", "prune", "--json"])
        return json.loads(done.output)["deleted"]["private_key_jwt"]

    signed = SIGNER.sign(claims(app, known.client_id))
    assert outcome(show(app, signed)) == AUTHENTICATED
    # The clock may be put back by an hour.
    pkce_clock.advance(89 + 3600)
    assert (pruned(), outcome(show(app, signed))) == (0, REFUSED)
    pkce_clock.advance(1)
    assert (pruned(), outcome(show(app, signed))) == (1, REFUSED)


@IN_BOTH
def test_a_client_that_comes_again_does_not_revive_its_assertions(
    app: Flask, known: RegisteredClient
) -> None:
    signed = SIGNER.sign(claims(app, known.client_id))
    assert outcome(show(app, signed)) == AUTHENTICATED
    app.test_cli_runner().invoke(args=["pkce", "client", "delete", known.client_id])
    register(
        app,
        auth_method=METHOD,
        client_id=known.client_id,
        client_metadata={"jwks": SIGNER.jwks},
    )
    assert outcome(show(app, signed)) == REFUSED
    assert "client_id" not in SpentJti.__table__.columns


def test_without_the_room_an_assertion_is_nothing() -> None:
    app = make_app(PKCE_FEATURES={METHOD: False})
    assert METHOD not in server_of(app).metadata()["token_endpoint_auth_methods_supported"]
    with pytest.raises(InvalidRequestError, match=r"reads jwks\."):
        registered(app)
