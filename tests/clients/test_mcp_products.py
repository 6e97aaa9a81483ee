"""Every product of mcp_products.py signs in from nothing but a URL, calls a tool, and stays."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from example_app import create_app
from example_app.extensions import db
from example_app.models import User
from flask_pkce_server.models.client_storage import remove
from flask_pkce_server.testing import Clock, hidden_fields, new_verifier, server_of
from flask_pkce_server.wire.code_challenge import challenge_of
from flask_pkce_server.wire.fetch import Document, Fetcher, FetchError
from flask_pkce_server.wire.names import JWT_BEARER_ASSERTION as ASSERTION_TYPE

from .mcp_products import PRODUCTS, Product, version

pytestmark = pytest.mark.thorough

BASE = "http://127.0.0.1:5000"
MCP = f"{BASE}/mcp"
MODERN = "2026-07-28"
#: What a preflight of a page that speaks MCP names.
NAMED = "authorization,content-type,mcp-protocol-version,mcp-method,mcp-name"

#: As the SDKs read the challenge: whatever stands first in the header.
SCOPE, METADATA = re.compile(r'scope="([^"]+)"'), re.compile(r'resource_metadata="([^"]+)"')
ITS_KEY = RSAKey.generate_key(2048, {"kid": "its-key"})


@dataclass(frozen=True)
class Documents(Fetcher):
    """What the products publish, in the place of the network."""

    def get_document(self, uri: str) -> Document:
        """Return the document of whoever it is, or the keys of the one that signs."""
        for product in PRODUCTS:
            said = product.document or {}
            if uri == said.get("client_id"):
                return Document(dict(said), 3600)
            if uri == said.get("jwks_uri"):
                return Document({"keys": [ITS_KEY.as_dict(private=False)]}, 3600)
        raise FetchError


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """One server for all of them, as in life."""
    app = create_app(
        {
            "TESTING": True,
            "SECRET_KEY": "a-secret-key-of-the-tests-0123456789",
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path_factory.mktemp('mcp')}/notes.db",
        }
    )
    server_of(app).clock, server_of(app).fetcher = Clock(), Documents()
    with app.app_context():
        # Signing in is theirs to do, and slow hashing the host's.
        demo = db.session.scalar(db.select(User))
        demo.password_hash = generate_password_hash("demo", "pbkdf2:sha256:1")
        db.session.commit()
    yield app
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


class Connection:
    """A product and its user, in front of the server."""

    def __init__(self, app: Flask, product: Product) -> None:
        self.app, self.product = app, product
        self.program = app.test_client(use_cookies=False)
        self.user = app.test_client()
        self.texts = {"{mcp}": MCP}
        self.headers = {"Origin": product.origin} if product.origin else {}
        self.metadata: dict[str, Any] = {}
        self.client: dict[str, Any] = {}
        self.page = ""
        self.is_modern = product.revision == MODERN

    def filled(self, value: Any) -> Any:
        """Return `value` with what is known by now in the place of the names in braces."""
        if isinstance(value, str):
            for name, text in self.texts.items():
                value = value.replace(name, text)
            return value
        if isinstance(value, Mapping):
            return {name: self.filled(one) for name, one in value.items()}
        return [self.filled(one) for one in value]

    def open(self, method: str, url: str, **what: Any) -> TestResponse:
        """Call the server as the product does; a page asks before, and must be able to read."""
        what["headers"] = {**self.headers, **what.get("headers", {})}
        if self.product.origin:
            asked = {"Access-Control-Request-Method": method}
            asked["Access-Control-Request-Headers"] = NAMED
            told = self.program.options(url, headers={**self.headers, **asked})
            assert told.headers["Access-Control-Allow-Origin"] in ("*", self.product.origin)
            allowed = told.headers["Access-Control-Allow-Headers"].lower()
            assert set(NAMED.split(",")) <= set(re.split(r",\s*", allowed))
            assert method in told.headers["Access-Control-Allow-Methods"]
        answer = self.program.open(url, method=method, **what)
        if self.product.origin:
            assert answer.headers["Access-Control-Allow-Origin"] in ("*", self.product.origin)
        return answer

    def call(self, method: str, token: str | None = None, **params: Any) -> TestResponse:
        """Send one message of MCP, with the headers of its revision."""
        headers = version(self.product.revision)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if self.is_modern:
            about = "io.modelcontextprotocol/"
            params["_meta"] = {f"{about}protocolVersion": MODERN, f"{about}clientCapabilities": {}}
            headers |= {"Mcp-Method": method, "Mcp-Name": params.get("name", "")}
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return self.open("POST", MCP, headers=headers, json=message)

    def find(self, places: Sequence[str], challenge: str = "") -> dict[str, Any]:
        """Return the first document at `places`; whatever is not there is a 4xx in JSON."""
        for place in places:
            url = urljoin(BASE, place.replace("{challenge}", challenge))
            answer = self.open("GET", url, headers=dict(self.product.headers))
            assert answer.content_type.startswith("application/json"), url
            if answer.status_code == 200:
                document: dict[str, Any] = answer.get_json()
                return document
            assert 400 <= answer.status_code < 500, url
        raise AssertionError(f"nothing at {places}")

    def discover(self) -> None:
        """Go from the URL alone to the metadata of the authorization server."""
        if self.product.opens_with == "POST":
            answer = self.call("server/discover" if self.is_modern else "initialize")
        else:
            answer = self.open(self.product.opens_with, MCP)
        header = answer.headers["WWW-Authenticate"]
        assert answer.status_code == 401
        assert header.startswith("Bearer ")
        self.texts["{challenged}"] = SCOPE.findall(header)[0]
        challenge = METADATA.findall(header)[0]
        resource = self.find(self.product.resource_documents, challenge)
        # Compared as texts, by VS Code and Gemini CLI say.
        assert resource["resource"] == MCP
        self.texts["{supported}"] = " ".join(resource["scopes_supported"])
        (issuer,) = resource["authorization_servers"]
        self.metadata = self.find(self.product.server_documents)
        assert self.metadata["issuer"] == issuer
        assert "code" in self.metadata["response_types_supported"]
        assert "S256" in self.metadata["code_challenge_methods_supported"]
        self.texts["{all}"] = " ".join(self.metadata["scopes_supported"])

    def identify(self) -> None:
        """Name itself by its document, or register."""
        if self.product.document is None:
            self.register()
            return
        assert self.metadata["client_id_metadata_document_supported"] is True
        assert "none" in self.metadata["token_endpoint_auth_methods_supported"]
        self.client = {"client_id": self.product.document["client_id"]}

    def register(self) -> None:
        """Register, as often as the product does; the last one counts."""
        said = self.filled(self.product.registers)
        for _ in range(self.product.registrations):
            answer = self.open("POST", self.metadata["registration_endpoint"], json=said)
            assert answer.status_code == 201, answer.text
            self.client = answer.get_json()
        # npm's SDKs throw at a member that is null, and where these are not told.
        assert None not in self.client.values()
        assert self.client["redirect_uris"] == said["redirect_uris"]
        method = self.client["token_endpoint_auth_method"]
        methods = {"none": "none", "post": "client_secret_post"}
        assert method == methods.get(self.product.shows, "client_secret_basic")
        assert ("client_secret" in self.client) == (method != "none")

    def authorize(self, asks: Mapping[str, str]) -> dict[str, Any]:
        """Send the user through login and consent; return what is redeemed for the code."""
        verifier = new_verifier()
        request = {
            "response_type": "code",
            "client_id": self.client["client_id"],
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
            "redirect_uri": self.product.redirect_uri,
            "state": new_verifier(),
            **self.filled(asks),
        }
        url = self.metadata["authorization_endpoint"]
        back = self.browse(self.user, self.user.get(url, query_string=request))
        # To the very URI, with nothing of another answer.
        assert back.startswith(f"{self.product.redirect_uri}?")
        told = parse_qs(urlsplit(back).query, keep_blank_values=True)
        (code,) = told.pop("code")
        assert told == {"state": [request["state"]], "iss": [self.metadata["issuer"]]}
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": self.product.redirect_uri,
            **self.filled(self.product.redeems),
        }
        return self.exchange(form)

    def browse(self, user: FlaskClient, answer: TestResponse) -> str:
        """Do what a user does until they are sent to the app; keep the page of the consent."""
        for _ in range(8):
            if answer.status_code == 200:
                form = hidden_fields(answer.text)
                login = {"username": "demo", "password": "demo"}
                if answer.request.path == "/login":
                    answer = user.post(answer.request.url, data={**form, **login})
                else:
                    self.page = answer.text
                    answer = user.post(answer.request.url, data={**form, "decision": "allow"})
            assert answer.status_code in (302, 303), answer.text
            place = urljoin(f"{BASE}/", answer.headers["Location"])
            if not place.startswith(f"{BASE}/"):
                return place
            answer = user.get(place)
        raise AssertionError("no way out")

    def exchange(self, form: dict[str, str]) -> dict[str, Any]:
        """Ask the token endpoint, and show who it is in the manner of the product."""
        shows, headers = self.product.shows, dict(self.product.headers)
        client_id, secret = self.client["client_id"], self.client.get("client_secret", "")
        if shows in ("none", "post", "basic and id"):
            form["client_id"] = client_id
        if shows == "post":
            form["client_secret"] = secret
        if shows == "assertion":
            form |= self.assertion()
        if "basic" in shows:
            quoted = str if shows == "raw basic" else lambda text: quote(text, safe="")
            pair = f"{quoted(client_id)}:{quoted(secret)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        answer = self.open("POST", self.metadata["token_endpoint"], data=form, headers=headers)
        told: dict[str, Any] = answer.get_json()
        assert answer.status_code == 200, told
        assert answer.headers["Cache-Control"] == "no-store"
        assert (told["token_type"], type(told["expires_in"])) == ("Bearer", int)
        return told

    def assertion(self) -> dict[str, str]:
        """Sign that it is itself (RFC 7523 2.2)."""
        client_id, now = self.client["client_id"], server_of(self.app).now()
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": self.metadata["token_endpoint"],
            "jti": new_verifier(),
            "iat": now,
            "exp": now + 60,
        }
        header = {"alg": "RS256", "kid": "its-key"}
        return {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": jwt.encode(header, claims, ITS_KEY),
        }

    def uses(self, token: str) -> None:
        """Do what a model does with the server: see its tools, and call one."""
        if not self.is_modern:
            hello = {"protocolVersion": self.product.revision, "capabilities": {}}
            assert self.call("initialize", token, **hello).status_code == 200
        tools = self.call("tools/list", token).get_json()["result"]["tools"]
        assert "list_notes" in [tool["name"] for tool in tools]
        notes = self.call("tools/call", token, name="list_notes", arguments={})
        assert "Water the fern" in notes.get_json()["result"]["content"][0]["text"]

    def adds_a_note(self, token: str) -> TestResponse:
        """Call the tool that needs more than the server tells at first."""
        text = {"text": f"by {self.product.name}"}
        return self.call("tools/call", token, name="add_note", arguments=text)

    def sign_in(self) -> dict[str, Any]:
        """Come from the URL of the server to tokens."""
        self.discover()
        self.identify()
        return self.authorize(self.product.asks)


@pytest.fixture(params=PRODUCTS, ids=[product.name for product in PRODUCTS])
def connection(app: Flask, request: pytest.FixtureRequest) -> Connection:
    return Connection(app, request.param)


def test_a_product_signs_in_asks_for_more_and_comes_back(connection: Connection) -> None:
    tokens = connection.sign_in()
    # MCP 2026-07-28: the user reads where they are sent.
    shown = urlsplit(connection.product.redirect_uri)
    assert (shown.netloc if shown.scheme.startswith("http") else shown.scheme) in connection.page
    connection.uses(tokens["access_token"])

    # A tool that needs more: the challenge, the user again, and the call again.
    answer = connection.adds_a_note(tokens["access_token"])
    if answer.status_code == 403:
        challenged = SCOPE.findall(answer.headers["WWW-Authenticate"])[0]
        had = tokens["scope"].split()
        wanted = " ".join([*had, *(one for one in challenged.split() if one not in had)])
        tokens = connection.authorize({**connection.product.asks, "scope": wanted})
        assert set(tokens["scope"].split()) == set(wanted.split())
        answer = connection.adds_a_note(tokens["access_token"])
    assert answer.get_json()["result"]["isError"] is False

    # An hour later.
    clock = server_of(connection.app).clock
    assert isinstance(clock, Clock)
    clock.advance(tokens["expires_in"] + 1)
    late = connection.call("tools/list", tokens["access_token"])
    assert (late.status_code, late.get_json()["error"]) == (401, "invalid_token")
    assert ("refresh_token" in tokens) == ("offline_access" in tokens["scope"].split())
    if "refresh_token" in tokens:
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        fresh = connection.exchange({**form, **connection.filled(connection.product.refreshes)})
        assert fresh["refresh_token"] != tokens["refresh_token"]
        connection.uses(fresh["access_token"])

    # And another day, with what it registered then.
    connection.uses(connection.authorize(connection.product.comes_back)["access_token"])


def named(name: str) -> Product:
    (product,) = [one for one in PRODUCTS if one.name == name]
    return product


@pytest.mark.parametrize("name", ["codex_cli", "vs_code"])
def test_without_metadata_a_product_falls_back_to_the_root(app: Flask, name: str) -> None:
    # MCP 2025-03-26: what both of them take for the endpoints then.
    connection = Connection(app, named(name))
    connection.texts |= {"{challenged}": "notes:read", "{supported}": "notes:read notes:write"}
    connection.metadata = {
        "issuer": f"{BASE}/",
        "authorization_endpoint": f"{BASE}/authorize",
        "token_endpoint": f"{BASE}/token",
        "registration_endpoint": f"{BASE}/register",
    }
    connection.register()
    # It is older than the parameter.
    asks = {key: value for key, value in connection.product.asks.items() if key != "resource"}
    connection.uses(connection.authorize(asks)["access_token"])


def test_claude_asks_for_offline_access_alone_and_means_the_usual_with_it(app: Flask) -> None:
    # As it was seen: a blank, and before it no scope.
    connection = Connection(app, named("claude_ai"))
    connection.discover()
    connection.identify()
    tokens = connection.authorize({"scope": " offline_access", "resource": "{mcp}"})
    assert tokens["scope"] == "notes:read offline_access"
    connection.uses(tokens["access_token"])


def test_a_product_that_was_deleted_is_told_so_and_registers_anew(app: Flask) -> None:
    connection = Connection(app, named("claude_ai"))
    tokens, before = connection.sign_in(), connection.client["client_id"]
    with app.app_context():
        server = server_of(app)
        server.store.write(lambda session: remove(session, before))
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    form |= {"client_id": before, "client_secret": connection.client["client_secret"]}
    answer = connection.program.post(connection.metadata["token_endpoint"], data=form)
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    connection.identify()
    assert connection.client["client_id"] != before
    connection.uses(connection.authorize(connection.product.asks)["access_token"])
