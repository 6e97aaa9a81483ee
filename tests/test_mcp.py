"""The verifier: an MCP server in a process of its own, and what it believes."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from flask import Flask, request, request_started
from joserfc.jwk import ECKey
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import MCPServer

from flask_pkce_server.errors import ConfigurationError
from flask_pkce_server.mcp import CannotVerify, TokenVerifier
from flask_pkce_server.testing import (
    Clock,
    Flow,
    RegisteredClient,
    hidden_fields,
    register,
    server_of,
)
from flask_pkce_server.wire.handle import ACCESS, new_handle

from .host import sign_in
from .live import served, served_host
from .mcp_client import Agent, Person

pytestmark = pytest.mark.thorough

#: An API of which the tokens are JWTs, and one of which they are opaque.
SIGNED, OPAQUE = "https://signed.example/mcp", "https://opaque.example/mcp"


@contextmanager
def live_host(tmp_path: Path, signed: str, opaque: str) -> Iterator[tuple[str, Flask]]:
    more = {
        "PKCE_FEATURES": {"registration": True},
        "PKCE_CLIENT_CREDENTIALS_SCOPES": ["notes:read"],
        "PKCE_JWT_ACCESS_TOKEN_RESOURCES": {signed: ["notes:read"]},
    }
    with served_host(tmp_path, **more) as (address, app):
        app.pkce.resource(opaque, scopes=["notes:read", "notes:write"])
        yield address, app


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Flask]]:
    with live_host(tmp_path_factory.mktemp("issuer"), SIGNED, OPAQUE) as found:
        yield found


@pytest.fixture(scope="module")
def flow(live: tuple[str, Flask]) -> Flow:
    _, app = live
    return Flow(sign_in(app), register(app), scope="notes:read offline_access")


@pytest.fixture(scope="module")
def api(live: tuple[str, Flask]) -> RegisteredClient:
    return api_of(live[1])


@pytest.fixture
def asked(live: tuple[str, Flask]) -> Iterator[list[str]]:
    """The paths that were asked for at the issuer over the network."""
    _, app = live
    paths: list[str] = []

    def note(sender: Flask, **_: Any) -> None:
        if request.headers.get("User-Agent", "").startswith("Python-urllib"):
            paths.append(request.path)

    with request_started.connected_to(note, app):
        yield paths


def api_of(app: Flask, resource: str = OPAQUE, **more: Any) -> RegisteredClient:
    """Register an API that may introspect the tokens for `resource`."""
    serves = {"resource_server": True, "resources": [resource]}
    more = {"client_metadata": serves, "grant_types": [], **more}
    return register(app, auth_method="client_secret_basic", redirect_uris=(), **more)


def asking(issuer: str, api: RegisteredClient, **more: Any) -> TokenVerifier:
    return TokenVerifier(
        issuer, OPAQUE, client_id=api.client_id, client_secret=api.client_secret, **more
    )


def told(verifier: TokenVerifier, *tokens: str) -> list[Any]:
    """Return what the verifier says of each token, one after the other."""

    async def work() -> list[Any]:
        return [await verifier.verify_token(token) for token in tokens]

    return asyncio.run(work())


def signed(app: Flask, typ: str = "at+jwt", **changes: Any) -> str:
    """Sign as the issuer does what it would not; a change to None leaves a claim out."""
    server = server_of(app)
    claims = {
        "iss": server.issuer,
        "sub": "1",
        "aud": SIGNED,
        "client_id": "c",
        "scope": "notes:read",
        "iat": server.now(),
        "exp": server.now() + 60,
        **changes,
    }
    with app.app_context():
        server.keys.prepare()
        claims = {name: value for name, value in claims.items() if value is not None}
        return server.keys.sign(claims, "ES256", typ)


def forged(token: str, sign: Callable[[bytes], bytes], **changes: Any) -> str:
    """Put another header on a JWT, and the signature that `sign` makes."""
    head, body, _ = token.split(".")
    header = {**json.loads(base64.urlsafe_b64decode(head + "==")), **changes}
    text = f"{encoded(json.dumps(header).encode())}.{body}"
    return f"{text}.{encoded(sign(text.encode()))}"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def mcp_app(verifier: TokenVerifier) -> Any:
    """An MCP server by the official SDK."""
    mcp = MCPServer("Diary", token_verifier=verifier, auth=verifier.auth_settings())

    @mcp.tool()
    def read_diary() -> str:
        token = get_access_token()
        return f"for {token.subject} through {token.client_id}"

    return mcp.streamable_http_app(stateless_http=True, json_response=True)


async def called(app: Any, token: str) -> httpx2.Response:
    """Call it in this process."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        return await http.post("/mcp", headers={"Authorization": f"Bearer {token}"})


@contextmanager
def running(app: Any, listening: socket.socket) -> Iterator[None]:
    """Run it as a server of its own, beside Flask."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def test_a_jwt_is_verified_by_the_published_keys_alone(
    live: tuple[str, Flask], flow: Flow, asked: list[str]
) -> None:
    token = flow.tokens(resource=SIGNED)["access_token"]
    verifier = TokenVerifier(live[0], SIGNED + "/")

    async def at_once() -> list[Any]:
        return await asyncio.gather(*(verifier.verify_token(token) for _ in range(20)))

    one, *others = asyncio.run(at_once())
    assert all(other == one for other in others)
    assert (one.token, one.client_id, one.subject) == (token, flow.client.client_id, "1")
    assert one.resource == SIGNED + "/"
    assert set(one.scopes) == {"notes:read", "offline_access"}
    assert one.expires_at == one.claims["exp"]
    assert one.claims["iss"] == live[0]
    assert told(verifier, token) == [one]
    assert asked == ["/.well-known/oauth-authorization-server", "/oauth/jwks"]


def test_an_opaque_token_is_asked_for_each_time(
    live: tuple[str, Flask], flow: Flow, api: RegisteredClient, asked: list[str]
) -> None:
    tokens = flow.tokens(resource=OPAQUE)
    verifier = asking(live[0], api)
    (one,) = told(verifier, tokens["access_token"])
    assert (one.client_id, one.subject, one.resource) == (flow.client.client_id, "1", OPAQUE)
    assert set(one.scopes) == {"notes:read", "offline_access"}
    flow.revoke(tokens["access_token"])
    assert told(verifier, tokens["access_token"]) == [None]
    assert asked.count("/oauth/introspect") == 2
    # And by nobody who may not ask.
    assert told(TokenVerifier(live[0], OPAQUE), flow.tokens(resource=OPAQUE)["access_token"]) == [
        None
    ]


def test_an_opaque_token_for_something_else_is_good_for_nothing(
    live: tuple[str, Flask], flow: Flow, api: RegisteredClient
) -> None:
    address, app = live
    own = Flow(
        flow.browser,
        register(app, auth_method="client_secret_basic"),
        scope="notes:read openid offline_access",
    )
    mine = own.tokens(resource=OPAQUE)
    # It asks as the very client that the tokens are of, and is told of all of them.
    itself = asking(address, own.client)
    good, *others = told(
        itself, mine["access_token"], mine["refresh_token"], own.tokens()["access_token"]
    )
    assert good.scopes
    assert others == [None, None]
    other = flow.tokens(resource=SIGNED)["access_token"]
    assert told(asking(address, api), flow.tokens()["access_token"], other) == [None, None]
    # An API is not told of tokens with none of its scopes, and of no scope but its own.
    narrow = api_of(app, scope=["profile"])
    token = flow.tokens(resource=OPAQUE)["access_token"]
    assert told(asking(address, narrow), token) == [None]
    narrow = api_of(app, scope=["notes:read"])
    assert told(asking(address, narrow), token)[0].scopes == ["notes:read"]


def test_what_a_signed_token_has_to_say(live: tuple[str, Flask]) -> None:
    # RFC 9068 4, MCP 2026-07-28
    address, app = live
    verifier, now = TokenVerifier(address, SIGNED), server_of(app).now()
    good = [
        {},
        {"aud": [address, "HTTPS://SIGNED.example:443/mcp/"]},
        {"typ": "application/at+jwt"},
        {"nbf": now + 5},
    ]
    assert all(told(verifier, *(signed(app, **changes) for changes in good)))
    bad = [
        {"typ": "JWT"},
        {"typ": "logout+jwt"},
        {"iss": address + "/"},
        {"iss": None},
        {"aud": address},
        {"aud": SIGNED + "/more"},
        {"aud": ["http://signed.example/mcp", "a#b", 1]},
        {"aud": None},
        {"exp": now - 1},
        {"exp": None},
        {"exp": "9999999999"},
        {"nbf": now + 3600},
        {"client_id": None},
        {"cnf": {"jkt": "x"}},
    ]
    assert told(verifier, *(signed(app, **changes) for changes in bad)) == [None] * len(bad)
    for time in (-3600, 0, 59, 61):
        verifier = TokenVerifier(address, SIGNED, clock=Clock(now + time))
        assert bool(*told(verifier, signed(app, exp=now + 60))) == (time < 60)


def test_a_machine_is_nobody(live: tuple[str, Flask]) -> None:
    # Somebody's subject may be the client_id of an app.
    address, app = live
    machine = register(
        app, auth_method="client_secret_basic", redirect_uris=(),
        grant_types=["client_credentials"], scope=["notes:read"],
    )  # fmt: skip
    flow = Flow(app.test_client(), machine)
    form = {"grant_type": "client_credentials", "scope": "notes:read", "resource": SIGNED}
    token = flow.post("token", form).get_json()["access_token"]
    (one,) = told(TokenVerifier(address, SIGNED), token)
    assert (one.client_id, one.subject) == (machine.client_id, None)


def test_a_header_is_not_believed(live: tuple[str, Flask], asked: list[str]) -> None:
    # RFC 8725 2.1, 3.1
    address, app = live
    token, now = signed(app), Clock()
    verifier = TokenVerifier(address, SIGNED, clock=now)
    assert told(verifier, token)[0]
    with app.app_context():
        published = server_of(app).keys.published()
    kid = next(key["kid"] for key in published if key["alg"] == "ES256")
    secrets = [json.dumps(key).encode() for key in published]
    secrets += [key["x"].encode() for key in published if "x" in key]
    forgeries = [
        forged(token, lambda text: b"", alg="none"),
        forged(token, lambda text: b"", alg="None", kid=None),
        forged(token, lambda text: b"\0" * 64),
        forged(token, lambda text: b"\0" * 64, alg="RS256"),
        forged(token, lambda text: b"\0" * 256, alg=["ES256"]),
        forged(token, lambda text: b"", kid=["a"]),
        forged(token, lambda text: b"", typ=1),
        token + "A",
        token.replace(".", ".e", 1),
        token.rpartition(".")[0],
        *(
            forged(token, lambda text, key=key: hmac.digest(key, text, "sha256"), alg="HS256")
            for key in secrets
        ),
    ]
    assert told(verifier, *forgeries) == [None] * len(forgeries)
    header = encoded(json.dumps({"alg": "ES256", "typ": "at+jwt", "kid": kid}).encode())
    assert told(verifier, f"{header}.{'a' * 9}.{'A' * 86}") == [None]
    assert len(asked) == 2


def test_what_is_no_token_asks_nobody(
    live: tuple[str, Flask], flow: Flow, api: RegisteredClient, asked: list[str]
) -> None:
    token = flow.tokens(resource=OPAQUE)["access_token"]
    refresh = flow.tokens(resource=OPAQUE)["refresh_token"]
    deep = encoded(b"[" * 9000)
    junk = [
        "", " ", ".", "..", "\u00e9", token[:-1], token + " ", "fpk_at_x", refresh,
        f"{deep}.{deep}.x", "A" * 100_000, f"{'A' * 50_000}.{'A' * 50_000}.",
    ]  # fmt: skip
    assert told(asking(live[0], api), *junk) == [None] * len(junk)
    assert asked == []


def test_an_unknown_key_is_looked_for_now_and_then(
    live: tuple[str, Flask], asked: list[str]
) -> None:
    address, app = live
    clock = Clock()
    verifier = TokenVerifier(address, SIGNED, clock=clock)
    old = signed(app)
    assert told(verifier, old)[0]
    strangers = [forged(old, lambda text: b"\0" * 64, kid=str(number)) for number in range(9)]
    assert told(verifier, *strangers) == [None] * 9
    assert asked.count("/oauth/jwks") == 1
    clock.advance(11)
    assert told(verifier, *strangers) == [None] * 9
    assert asked.count("/oauth/jwks") == 2

    with app.app_context():
        server_of(app).keys.rotate(compromised=True)
    new = signed(app)
    # Just now it was looked for another one.
    assert [bool(one) for one in told(verifier, old, new)] == [True, False]
    clock.advance(11)
    assert [bool(one) for one in told(verifier, new, old)] == [True, False]
    clock.advance(3600)
    new = signed(app, exp=int(clock.now) + 60)
    assert told(verifier, new)[0]
    assert asked.count("/oauth/jwks") == 4


def test_an_issuer_that_is_down_is_no_verdict(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    with live_host(tmp_path, SIGNED, OPAQUE) as (address, app):
        flow = Flow(sign_in(app), register(app), scope="notes:read")
        opaque, api = flow.tokens(resource=OPAQUE)["access_token"], api_of(app)
        jwt, both = signed(app), TokenVerifier(address, SIGNED, clock=clock)
        assert told(both, jwt)[0]
        later = signed(app, exp=int(clock.now) + 100_000)
        caplog.set_level(logging.DEBUG)
        wrong = RegisteredClient(api.client_id, "wrong", "", "client_secret_basic")
        with pytest.raises(CannotVerify) as refused:
            told(asking(address, wrong), opaque)
        assert "401" in caplog.text
        # Its name is compared to the letter (RFC 8414 3.3).
        with pytest.raises(CannotVerify):
            told(TokenVerifier(address + "/", SIGNED), jwt)
        assert "the issuer at" in caplog.text
    cold = asking(address, api, clock=clock)
    for _ in range(2):
        for token in (jwt, opaque):
            with pytest.raises(CannotVerify) as refused:
                told(cold, token)
            assert str(refused.value) == f"{address} did not answer; the log has why."
    assert caplog.text.count("Connection refused") == 1
    answer = asyncio.run(called(mcp_app(cold), jwt))
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert asyncio.run(called(mcp_app(cold), "x")).status_code == 401
    # What was read is good for a day.
    clock.advance(80_000)
    assert told(both, later)[0]
    clock.advance(10_000)
    with pytest.raises(CannotVerify):
        told(both, later)
    for secret in (jwt, opaque, later, api.client_secret):
        assert secret not in caplog.text
        assert secret not in repr(refused.getrepr(showlocals=False))


@pytest.mark.parametrize(
    "answer",
    ["[]", "x", "{}", '{"issuer": 1}', "[" * 9999, "x" * 99_999, '{"a": "' + "x" * 99_999 + '"}'],
    ids=range(7),
)
def test_an_odd_answer_is_none(answer: str) -> None:
    odd = Flask("odd")
    odd.add_url_rule("/<path:path>", view_func=lambda path: answer)
    token = f"{encoded(json.dumps({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 'k'}).encode())}.e.A"
    with served(odd) as address, pytest.raises(CannotVerify):
        told(TokenVerifier(address, SIGNED), token)


@contextmanager
def stranger(keys: Any, answer: Any = None) -> Iterator[str]:
    """An issuer that publishes `keys` and says `answer` of every token; with a path."""
    app, place = Flask("stranger"), {}
    # RFC 8414 3.1: the path stands behind the well-known one.
    at = "/.well-known/oauth-authorization-server/t1"
    app.add_url_rule(at, "metadata", view_func=lambda: place)
    app.add_url_rule("/t1/keys", "keys", view_func=lambda: {"keys": keys})
    app.add_url_rule("/t1/ask", "ask", view_func=lambda: answer, methods=["POST"])
    with served(app) as address:
        place.update(
            issuer=f"{address}/t1",
            jwks_uri=f"{address}/t1/keys",
            introspection_endpoint=f"{address}/t1/ask",
        )
        if answer:
            answer.setdefault("iss", place["issuer"])
        yield place["issuer"]


@pytest.mark.parametrize("keys", [None, 1, [1], [{"kid": ["a"]}], [{"kid": "k", "kty": "oct"}]])
def test_odd_keys_verify_nothing(keys: Any) -> None:
    token = f"{encoded(json.dumps({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 'k'}).encode())}.e30.A"
    with stranger(keys) as issuer:
        verifier = TokenVerifier(issuer, SIGNED)
        if "oct" in str(keys):
            assert told(verifier, token) == [None]
        else:
            with pytest.raises(CannotVerify):
                told(verifier, token)


@pytest.mark.parametrize("place", [None, "keys", "file:///etc/hostname", "http://["])
def test_an_odd_address_is_no_answer(place: str | None) -> None:
    app, api = Flask("odd"), RegisteredClient("api", "secret", "", "client_secret_basic")
    said: dict[str, Any] = {"introspection_endpoint": place}
    at = "/.well-known/oauth-authorization-server"
    app.add_url_rule(at, view_func=lambda: said)
    token = f"{encoded(json.dumps({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 'k'}).encode())}.e30.A"
    with served(app) as address:
        said["issuer"] = address
        with pytest.raises(CannotVerify):
            told(asking(address, api), new_handle(ACCESS))
        said["jwks_uri"] = place
        with pytest.raises(CannotVerify):
            told(TokenVerifier(address, SIGNED), token)


def test_a_header_that_has_to_be_understood_is_not() -> None:
    # RFC 7515 4.1.11
    key = ECKey.generate_key("P-256", {"kid": "k"})

    def sign(text: bytes) -> bytes:
        r, s = decode_dss_signature(key.private_key.sign(text, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    with stranger([key.as_dict(private=False)]) as issuer:
        claims = {"iss": issuer, "sub": "1", "aud": SIGNED, "client_id": "c", "exp": 2**32}
        text = f"e30.{encoded(json.dumps(claims).encode())}."
        known = {"alg": "ES256", "typ": "at+jwt", "kid": "k"}
        plain = forged(text, sign, **known)
        critical = forged(text, sign, **known, crit=["b64"], b64=True)
        assert list(map(bool, told(TokenVerifier(issuer, SIGNED), plain, critical))) == [
            True,
            False,
        ]


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({"active": "true"}, False),
        ({"active": False}, False),
        ({"token_type": "DPoP"}, False),
        ({"token_type": None}, False),
        ({"aud": None}, False),
        ({"iss": "https://other.example"}, False),
    ],
)
def test_what_an_introspected_token_has_to_be(changes: dict[str, Any], good: bool) -> None:
    answer = {"active": True, "token_type": "Bearer", "aud": OPAQUE, "client_id": "c", "exp": 2**32}
    api = RegisteredClient("api", "secret", "", "client_secret_basic")
    with stranger([], {**answer, **changes}) as issuer:
        assert bool(*told(asking(issuer, api), new_handle(ACCESS))) == good


def test_the_event_loop_goes_on_while_the_issuer_thinks() -> None:
    thought = threading.Event()
    slow = Flask("slow")
    slow.add_url_rule("/<path:path>", view_func=lambda path: (str(thought.wait(9)), 500))
    token = f"{encoded(json.dumps({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 'k'}).encode())}.e30.A"

    async def work(verifier: TokenVerifier) -> None:
        waiting, given_up = (asyncio.create_task(verifier.verify_token(token)) for _ in "ab")
        await asyncio.sleep(0.05)
        assert not waiting.done()
        given_up.cancel()
        thought.set()
        await waiting

    with served(slow) as address, pytest.raises(CannotVerify):
        asyncio.run(work(TokenVerifier(address, SIGNED)))


def test_several_event_loops_wait_for_one_answer() -> None:
    asked, thought, said = [], threading.Event(), {}
    slow, place = Flask("slow"), "/.well-known/oauth-authorization-server"
    slow.add_url_rule(place, view_func=lambda: asked.append(thought.wait(9)) or said)
    token = f"{encoded(json.dumps({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 'k'}).encode())}.e30.A"
    with served(slow) as address, ThreadPoolExecutor(2) as threads:
        said["issuer"] = address
        verifier = TokenVerifier(address, SIGNED)
        waiting = [threads.submit(told, verifier, token) for _ in range(2)]
        assert wait(waiting, timeout=0.2).done == set()
        thought.set()
        assert [one.result(9) for one in waiting] == [[None], [None]]
    assert asked == [True]


@pytest.mark.parametrize(
    ("issuer", "resource", "more"),
    [
        ("http://auth.example", SIGNED, {}),
        ("https://auth.example", "mcp", {}),
        ("https://auth.example", SIGNED, {"client_id": "api"}),
        ("https://auth.example", SIGNED, {"client_id": "api", "client_secret": ""}),
    ],
)
def test_a_set_up_that_cannot_work_says_what_to_write(
    issuer: str, resource: str, more: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match=r"TokenVerifier\("):
        TokenVerifier(issuer, resource, **more)


def test_the_scopes_may_stand_in_one_text_as_on_the_wire() -> None:
    for scopes in ("a b", ["a", "b"]):
        verifier = TokenVerifier("https://auth.example", SIGNED, required_scopes=scopes)
        assert verifier.scopes_supported == ["a", "b"]
        assert verifier.auth_settings().required_scopes == ["a", "b"]


@pytest.mark.parametrize("kind", ["jwt", "opaque"])
def test_from_the_bare_url_of_an_mcp_server_beside_flask_to_a_tool_call(
    tmp_path: Path, kind: str
) -> None:
    person = Person("ada")
    with socket.create_server(("127.0.0.1", 0)) as listening, person.browser:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        two = (url, OPAQUE) if kind == "jwt" else (SIGNED, url)
        with live_host(tmp_path, *two) as (address, app):
            api = api_of(app, two[1])
            verifier = TokenVerifier(
                address,
                url,
                required_scopes=["notes:read"],
                client_id=api.client_id,
                client_secret=api.client_secret,
            )
            agent = Agent(url, person)

            async def work() -> None:
                async with agent.session() as client:
                    for expired in (False, True):
                        if expired:
                            agent.forget_time()
                        answer = await client.call_tool("read_diary")
                        through = agent.client.client_id
                        assert answer.content[0].text == f"for 1 through {through}"
                    assert len(person.asked) == 1
                    page = person.browser.get(f"{address}/oauth/apps")
                    form = {**hidden_fields(page.text), "remove": "app"}
                    assert person.browser.post(page.url, data=form).ok
                    await client.call_tool("read_diary")

            with running(mcp_app(verifier), listening):
                asyncio.run(work())
    assert "Read your notes" in person.asked[0]
    assert agent.scopes == {"notes:read", "offline_access"}
    # A JWT is good until it expires; whoever is asked says at once that it is not.
    assert len(person.asked) == (1 if kind == "jwt" else 2)
