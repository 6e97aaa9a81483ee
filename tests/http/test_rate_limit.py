"""Rate limits: so many in ten minutes, counted by this server or by Flask-Limiter."""

from __future__ import annotations

import logging
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, request
from flask_limiter import Limiter
from limits.storage import MemoryStorage
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from flask_pkce_server.models.client import Client
from flask_pkce_server.models.registration import Registration
from flask_pkce_server.testing import Clock, Flow, RegisteredClient, server_of
from flask_pkce_server.wire.names import DEVICE_CODE as GRANT_TYPE

from ..client_documents import URL, WEB, Web
from ..client_documents import opened as documented
from ..counting import Counted
from ..device import Device, television
from ..ephemeral import KINDS, counts, kept_in
from ..host import lending, make_app, sign_in
from ..registering import SECRET, opened, post
from ..services import REDIS_URL, THOROUGH, missing
from ..signing import SIGNER, claims

pytestmark = pytest.mark.thorough

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def remote_address() -> str:
    return request.remote_addr or ""


def limited(app: Flask, key_func: Callable[[], Any] = remote_address, **more: Any) -> Limiter:
    """Give `app` a Flask-Limiter."""
    return Limiter(key_func, app=app, **{"storage_uri": "memory://", **more})


def register(app: Flask, number: int, address: str = "203.0.113.7", **headers: str) -> TestResponse:
    """Register a client that nobody registered before."""
    said = {"client_name": f"Tool {number}", "redirect_uris": ["http://127.0.0.1:8000/cb"]}
    return app.test_client(use_cookies=False).post(
        "/oauth/register", json=said, headers=headers, environ_base={"REMOTE_ADDR": address}
    )


def too_many(answer: TestResponse) -> int:
    """Assert that `answer` is a refusal for the time being; return the seconds to wait."""
    told = answer.get_json()
    assert (answer.status_code, told["error"]) == (429, "temporarily_unavailable"), answer.text
    assert told["error_description"].isascii()
    assert answer.headers["Cache-Control"] == "no-store"
    return int(answer.headers["Retry-After"])


@pytest.fixture(params=KINDS)
def app(request: pytest.FixtureRequest) -> Iterator[Flask]:
    with kept_in(request.param) as ephemeral, lending.app(opened, **ephemeral) as app:
        yield app


def device_of(app: Flask, **more: Any) -> Device:
    return Device(sign_in(app), television(app, **more))


# Without Flask-Limiter.


def test_a_customer_of_ipv6_counts_by_the_56_and_again_by_the_48(app: Flask) -> None:
    def started(device: Device, address: str) -> int:
        program = app.test_client(use_cookies=False)
        form = {"client_id": device.client.client_id, "scope": "profile"}
        environ = {"REMOTE_ADDR": address}
        return program.post(
            "/oauth/device_authorization", data=form, environ_base=environ
        ).status_code

    device = device_of(app)
    # 256 networks of a /56 are one sender ...
    answers = [started(device, f"2001:db8:0:{number:x}::1") for number in range(31)]
    assert answers == [*[200] * 30, 429]
    # ... and a /48 has five times as much.
    for customer in range(1, 5):
        answers = [started(device, f"2001:db8:0:{customer}00::1") for _ in range(30)]
        assert answers == [200] * 30
    assert started(device, "2001:db8:0:ff00::1") == 429
    # Whoever is refused leaves no count.
    assert counts(app) == [30, 30, 30, 30, 30, 150]
    assert started(device, "2001:db8:1::1") == 200


def test_devices_of_one_address_start_thirty_times(app: Flask, pkce_clock: Clock) -> None:
    device = device_of(app)
    for _ in range(30):
        assert device.start().status_code == 200
    wait = too_many(device.start())
    assert 0 < wait <= 600
    assert counts(app) == [30]
    # Registering is counted by itself.
    assert register(app, 1, address="127.0.0.1").status_code == 201
    pkce_clock.advance(wait)
    assert device.start().status_code == 200


def test_a_confidential_client_starts_as_many_devices_as_it_has(app: Flask) -> None:
    device = device_of(app, auth_method="client_secret_basic")
    for _ in range(31):
        assert device.start().status_code == 200
    assert counts(app) == []


def own_client(app: Flask) -> RegisteredClient:
    """Register a client with a secret, as anybody may."""
    grants = ["authorization_code", GRANT_TYPE]
    told = post(app, {**SECRET, "grant_types": grants}).get_json()
    uri = told["redirect_uris"][0]
    return RegisteredClient(
        told["client_id"], told["client_secret"], uri, told["token_endpoint_auth_method"]
    )


def test_a_secret_of_ones_own_starts_no_more_devices(app: Flask) -> None:
    device = Device(sign_in(app), own_client(app))
    for _ in range(30):
        assert device.start().status_code == 200
    too_many(device.start())
    verify = ["pkce", "client", "update", device.client.client_id, "--verified"]
    assert app.test_cli_runner().invoke(args=verify).exit_code == 0
    assert device.start().status_code == 200


def test_a_key_of_ones_own_starts_no_more_devices() -> None:
    document = {
        **WEB,
        "grant_types": ["authorization_code", GRANT_TYPE],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": SIGNER.jwks,
    }
    app = documented(Web(document))

    def start() -> TestResponse:
        assertion = SIGNER.sign(claims(app, URL))
        form = {"client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE}
        program = app.test_client(use_cookies=False)
        return program.post("/oauth/device_authorization", data={"scope": "profile", **form})

    for _ in range(30):
        assert start().status_code == 200
    too_many(start())


def test_a_secret_of_ones_own_pushes_no_more_requests(app: Flask) -> None:
    flow = Flow(sign_in(app), own_client(app), scope="profile")
    for _ in range(100):
        assert flow.post("par", flow.request()).status_code == 201
    too_many(flow.post("par", flow.request()))


def test_who_is_refused_for_another_reason_is_not_counted(app: Flask) -> None:
    device = device_of(app)
    assert device.start(scope="no such").status_code == 400
    assert device.start(client_id="unknown").status_code == 401
    assert post(app, {"redirect_uris": ["http://client.example/"]}).status_code == 400
    assert counts(app) == []


# With it.


def test_flask_limiter_counts_and_this_server_does_not(app: Flask) -> None:
    limited(app)
    device = device_of(app)
    for number in range(20):
        assert register(app, number).status_code == 201
    assert 0 < too_many(register(app, 20)) <= 600
    # What is there already is found all the same, and others go on.
    assert register(app, 3).status_code == 201
    assert register(app, 20, address="203.0.113.8").status_code == 201
    for _ in range(30):
        assert device.start().status_code == 200
    assert 0 < too_many(device.start()) <= 600
    assert counts(app) == []


def test_a_device_starts_with_one_statement_less(app: Flask) -> None:
    limited(app)
    device = device_of(app)
    with Counted(app).expect(2, 1):
        assert device.start().status_code == 200


def test_it_counts_the_documents_that_are_fetched_for_one_address() -> None:
    app, web = make_app(PKCE_FEATURES={"client_id_metadata": True}), Web()
    limited(app)
    server = server_of(app)
    server.fetcher = web
    # An operator at the command line is not counted.
    with app.app_context():
        assert [server.find_client(f"{URL}/{number}") for number in range(30)] == [None] * 30
    program = app.test_client(use_cookies=False)
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    answers = [
        program.post("/oauth/token", data={**form, "client_id": f"{URL}/{number}"})
        for number in range(40, 61)
    ]
    assert [answer.status_code for answer in answers[:20]] == [401] * 20
    assert 0 < too_many(answers[20]) <= 600
    assert len(web.asked) == 30 + 20
    assert counts(app) == []


@pytest.mark.parametrize("strategy", ["fixed-window", "moving-window", "sliding-window-counter"])
def test_any_strategy_says_how_long_to_wait(app: Flask, strategy: str) -> None:
    limited(app, strategy=strategy)
    for number in range(20):
        assert register(app, number).status_code == 201
    assert 0 < too_many(register(app, 20)) <= 600


def test_the_key_function_of_the_host_says_who_asks(app: Flask) -> None:
    limited(app, key_func=lambda: request.headers.get("X-Tenant"))
    for number in range(20):
        address = f"203.0.113.{number}"
        assert register(app, number, address, **{"X-Tenant": "a"}).status_code == 201
    too_many(register(app, 20, "198.51.100.1", **{"X-Tenant": "a"}))
    assert register(app, 20, "198.51.100.1", **{"X-Tenant": "b"}).status_code == 201
    # Who has no key has an address; Flask-Limiter would let them all pass.
    for number in range(30, 50):
        assert register(app, number, "2001:db8::1").status_code == 201
    too_many(register(app, 50, "2001:db8::2"))


def test_two_apps_in_one_storage_count_by_themselves() -> None:
    shared = MemoryStorage()
    apps = [opened(), opened(PKCE_ISSUER="https://other.example")]
    for app in apps:
        limited(app).limiter.storage = shared
    for number in range(20):
        assert register(apps[0], number).status_code == 201
    too_many(register(apps[0], 20))
    assert register(apps[1], 20).status_code == 201


def test_several_limiters_all_count(app: Flask) -> None:
    limited(app)
    limited(app, key_func=lambda: "everybody")
    for number in range(20):
        assert register(app, number, f"203.0.113.{number}").status_code == 201
    too_many(register(app, 20, "198.51.100.1"))
    assert counts(app) == []


@pytest.mark.parametrize("when", ["never", "later"])
def test_a_limiter_that_is_switched_off_leaves_it_to_this_server(
    app: Flask, pkce_clock: Clock, when: str
) -> None:
    if when == "never":
        app.config["RATELIMIT_ENABLED"] = False
    limited(app).enabled = False
    for number in range(20):
        assert register(app, number).status_code == 201
    too_many(register(app, 20))
    assert counts(app) == [20]


class Unreachable(MemoryStorage):
    """A storage whose server is gone."""

    STORAGE_SCHEME = ("unreachable",)
    raised: Exception = ConnectionRefusedError("password@10.0.0.1")

    def incr(self, *args: Any, **more: Any) -> int:
        raise self.raised


@pytest.mark.parametrize(
    "more",
    [{}, {"swallow_errors": True}, {"storage_options": {"wrap_exceptions": True}}],
    ids=["as it is", "swallowed", "wrapped"],
)
def test_a_storage_that_fails_leaves_it_to_this_server(
    app: Flask, pkce_clock: Clock, caplog: pytest.LogCaptureFixture, more: dict[str, Any]
) -> None:
    limited(app, storage_uri="unreachable://", **more)
    device = device_of(app)
    with caplog.at_level(logging.WARNING, logger="flask_pkce_server"):
        for number in range(20):
            assert register(app, number).status_code == 201
        too_many(register(app, 20))
        assert device.start().status_code == 200
    assert counts(app) == [1, 20]
    assert "this server does" in caplog.text
    assert "password" not in caplog.text


def test_a_redis_that_is_gone_leaves_it_to_this_server(app: Flask) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        limited(app, storage_uri=f"redis://127.0.0.1:{closed.getsockname()[1]}")
        assert register(app, 1).status_code == 201
    assert counts(app) == [1]


def test_a_limiter_that_counts_in_memory_for_want_of_its_storage_is_asked(app: Flask) -> None:
    # As soon as it has noticed by a limit of the host's.
    limited(
        app,
        storage_uri="unreachable://",
        in_memory_fallback_enabled=True,
        default_limits=["1000 per hour"],
    )
    for number in range(20):
        assert register(app, number).status_code == 201
    too_many(register(app, 20))
    assert counts(app) == []


# What is no rate limit.


def test_guesses_at_user_codes_are_counted_by_this_server_all_the_same(
    app: Flask, pkce_clock: Clock
) -> None:
    # The arithmetic of docs/device.md holds: a storage that forgets, or one for each worker,
    # takes nothing from it.
    limiter = limited(app)
    device = device_of(app)
    device.start()
    for _ in range(5):
        assert device.enter("BCDF-GHJK").status_code == 400
        limiter.reset()
    assert device.enter().status_code == 429
    assert counts(app) == [5, 5]


# The host's own limits.


@pytest.fixture
def tight() -> Flask:
    """A host that lets everybody do everything twice."""
    app = make_app()
    limited(app, default_limits=["2 per hour"])
    return app


@pytest.mark.parametrize(
    "path", ["/oauth/token", "/oauth/jwks", "/.well-known/openid-configuration"]
)
def test_programs_read_json_when_a_limit_of_the_host_is_reached(tight: Flask, path: str) -> None:
    program = tight.test_client(use_cookies=False)
    answers = [program.get(path) for _ in range(3)]
    assert [answer.status_code for answer in answers[:2]] != [429, 429]
    assert answers[2].status_code == 429
    assert answers[2].get_json()["error"] == "temporarily_unavailable"
    assert answers[2].headers["Cache-Control"] == "no-store"


def test_people_read_a_page_when_a_limit_of_the_host_is_reached(tight: Flask) -> None:
    browser = tight.test_client()
    answers = [browser.get("/oauth/authorize") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [400, 400, 429]
    assert "Try again in a moment." in answers[2].text
    assert answers[2].headers["X-Frame-Options"] == "DENY"


def test_the_host_may_take_our_endpoints_out_of_its_limits(tight: Flask) -> None:
    (limiter,) = tight.extensions["limiter"]
    limiter.exempt(tight.pkce.blueprint)
    program = tight.test_client()
    assert [program.get("/oauth/jwks").status_code for _ in range(5)] == [200] * 5
    assert [program.get("/api/me").status_code for _ in range(3)] == [401, 401, 429]


def test_the_host_says_how_long_to_wait_if_it_wants_to() -> None:
    app = make_app()
    limited(app, default_limits=["1 per hour"], headers_enabled=True)
    program = app.test_client()
    answers = [program.get("/oauth/jwks") for _ in range(2)]
    assert 0 < int(answers[1].headers["Retry-After"]) <= 3600


def test_an_answer_of_the_hosts_own_is_left_alone() -> None:
    app = make_app()
    limited(
        app, default_limits=["1 per hour"], on_breach=lambda limit: app.make_response("Slowly!")
    )
    program = app.test_client()
    assert [program.get("/oauth/jwks").text == "Slowly!" for _ in range(2)] == [False, True]


def test_files_and_views_of_the_host_are_none_of_ours(tight: Flask) -> None:
    browser = tight.test_client()
    assert [browser.get("/login").status_code for _ in range(3)] == [200, 200, 429]
    assert browser.get("/login").mimetype == "text/html"
    assert "server" not in browser.get("/login").text


# A flood of registrations.


def held(app: Flask) -> tuple[int, int]:
    """Return how many clients there are, and how many of them registered themselves."""
    with app.app_context(), server_of(app).store.reading() as session:
        counts = [select(func.count()).select_from(table) for table in (Client, Registration)]
        clients, registrations = map(session.scalar, counts)
        return clients, registrations


def prune(app: Flask) -> None:
    assert app.test_cli_runner().invoke(args=["pkce", "prune"]).exit_code == 0


@pytest.mark.parametrize("times", [1_000 if THOROUGH else 300])
def test_whatever_registers_at_each_start_leaves_one_row(
    app: Flask, pkce_clock: Clock, times: int
) -> None:
    ids = {register(app, 1, f"203.0.113.{n % 250}").get_json()["client_id"] for n in range(times)}
    assert len(ids) == 1
    assert held(app) == (1, 1)
    # And the address that was first has used one of its twenty.
    assert counts(app) == [1]


@pytest.mark.thorough
def test_a_flood_from_many_networks_stops_at_the_cap(pkce_clock: Clock) -> None:
    app = opened(PKCE_REGISTRATION_MAX_WAITING=60)
    server_of(app).clock = pkce_clock
    shared = register(app, 0, "203.0.113.0").get_json()
    # None of them comes near to what one address may.
    answers = [register(app, n, f"203.{n // 250}.{n % 250}.7") for n in range(1, 300)]
    assert [answer.status_code for answer in answers] == [201] * 59 + [429] * 240
    assert {too_many(answer) for answer in answers[59:]} == {3600}
    assert held(app) == (60, 60)
    # Who is there already signs in as ever, and is found.
    assert register(app, 0, "203.0.113.9").get_json() == shared
    # Room again, once nobody came for them.
    pkce_clock.advance(7 * 86400 - 60)
    assert register(app, 0).get_json() == shared
    pkce_clock.advance(120)
    prune(app)
    assert held(app) == (1, 1)
    assert counts(app) == []
    assert register(app, 300).status_code == 201


@pytest.mark.parametrize("limiter", [False, True], ids=["database", "Flask-Limiter"])
def test_to_be_refused_for_want_of_room_costs_a_turn(pkce_clock: Clock, limiter: bool) -> None:
    # Looking for a free place is the dearest part of a registration.
    app = opened(PKCE_REGISTRATION_MAX_WAITING=1)
    server_of(app).clock = pkce_clock
    if limiter:
        limited(app)
    assert register(app, 0, "203.0.113.1").status_code == 201
    waits = [too_many(register(app, number)) for number in range(1, 22)]
    assert waits[:20] == [3600] * 20
    assert 0 < waits[20] <= 600


# Redis.


@pytest.fixture
def redis_url() -> Iterator[str]:
    """A Redis, in which what the test counts has a prefix of its own."""
    import redis

    client = redis.Redis.from_url(REDIS_URL)
    try:
        client.ping()
    except redis.RedisError as error:
        missing(f"no Redis at {REDIS_URL.rpartition('@')[2]}: {error}")
    yield REDIS_URL
    client.close()


@pytest.mark.services
def test_redis_counts_for_all_workers(redis_url: str) -> None:
    issuer = f"https://{secrets.token_hex(8)}.example"
    workers = [opened(PKCE_ISSUER=issuer) for _ in range(2)]
    limiters = [limited(worker, storage_uri=redis_url) for worker in workers]
    began = time.time()
    answers = [register(workers[number % 2], number) for number in range(21)]
    assert [answer.status_code for answer in answers[:20]] == [201] * 20
    assert 0 < too_many(answers[20]) <= 600
    assert time.time() - began < 60
    for worker, limiter in zip(workers, limiters, strict=True):
        assert counts(worker) == []
        store = limiter.storage
        for key in store.storage.scan_iter(f"*{issuer}*"):
            store.storage.delete(key)
        store.storage.close()
