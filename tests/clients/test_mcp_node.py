"""The official SDKs of MCP for Node, unmodified, against the example app, from its bare URL.

The test is the user, at a browser, and what befalls the server; the client does what the SDK
does by itself. `v1` is `@modelcontextprotocol/sdk`, `v2` is `@modelcontextprotocol/client`.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask import Flask, Response, request

from example_app import create_app
from flask_pkce_server.testing import Clock, hidden_fields, server_of
from flask_pkce_server.wire.fetch import Document

from ..live import action_of, served
from ..services import THOROUGH

pytestmark = [pytest.mark.node, pytest.mark.programs]

CALLBACK = "http://127.0.0.1:8765/callback"
DISCOVERY = [
    "GET /.well-known/oauth-protected-resource/mcp 200",
    "GET /.well-known/oauth-authorization-server 200",
]
NOTES = "Ask Ada about the verifier\nA code works only once\nWater the fern"
#: v1 never asks for offline_access: it is given refresh tokens where all clients are.
ALWAYS = {"PKCE_REFRESH_TOKEN_WHEN": "always"}
#: What is at the client_id of a client that registers nowhere.
DOCUMENT: dict[str, Any] = {
    "client_id": "https://app.example.com/client.json",
    "client_name": "A desk",
    "redirect_uris": ["http://127.0.0.1/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
}
Tell = Callable[..., dict[str, Any]]


@dataclass
class Site:
    """The example app, served: its clock, and what it was asked."""

    app: Flask
    address: str
    clock: Clock
    _asked: list[str]

    def answers(self) -> list[str]:
        """Return what was asked since the last time, each with its status."""
        asked, self._asked[:] = list(self._asked), []
        # Whether there is a stream is found out beside all else.
        return [one for one in asked if one != "GET /mcp 405"]


@contextmanager
def served_site(tmp_path: Path, **config: Any) -> Iterator[Site]:
    app = create_app(
        {
            "TESTING": True,
            "PKCE_ISSUER": None,
            "SECRET_KEY": "a-secret-key-of-the-tests-0123456789",
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/notes.db",
            **config,
        }
    )
    asked: list[str] = []

    @app.after_request
    def note(response: Response) -> Response:
        asked.append(f"{request.method} {request.path} {response.status_code}")
        return response

    server_of(app).clock = clock = Clock()
    with served(app) as address:
        yield Site(app, address, clock, asked)
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


@contextmanager
def program(
    packages: Path, site: Site, sdk: str, method: str | None = None, **provided: Any
) -> Iterator[Tell]:
    """Start a client that registers for `method`; give what tells it what to do.

    Its provider, which the SDK asks for all that an app knows, has what is `provided`.
    """
    metadata = {
        "client_name": "A desk",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        **({"token_endpoint_auth_method": method} if method else {}),
    }
    options = json.dumps({"clientMetadata": metadata, **provided})
    with subprocess.Popen(
        ["node", "mcp.mjs", sdk, f"{site.address}/mcp", options],
        cwd=packages,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:

        def tell(do: str, **what: Any) -> dict[str, Any]:
            running.stdin.write(json.dumps({"do": do, **what}) + "\n")
            running.stdin.flush()
            return json.loads(running.stdout.readline())

        yield tell


class Person:
    """Dora at her browser."""

    def __init__(self, site: Site) -> None:
        self.site, self.browser = site, requests.Session()
        #: The page on which she decided last, and of what it asks all that has a badge.
        self.page, self.badges = "", dict[str, str]()

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *_: object) -> None:
        self.browser.close()

    def decides(self, url: str, decision: str = "allow") -> str:
        """Go where the client sends her, sign in if need be, decide; return where that leads."""
        page = self.browser.get(url)
        if "<h1>Sign in</h1>" in page.text:
            form = {**hidden_fields(page.text), "username": "demo", "password": "demo"}
            page = self.browser.post(page.url, data=form)
        assert "<bdi>A desk</bdi> wants to use" in page.text, page.text
        badge = r'<li[^>]*>([^<]*?)\s*<span class="pkce-badge[^>]*>([^<]*)'
        self.page, self.badges = page.text, dict(re.findall(badge, page.text))
        form = {**hidden_fields(page.text), "decision": decision}
        answer = self.browser.post(action_of(page), data=form, allow_redirects=False)
        assert answer.headers["Location"].startswith(f"{CALLBACK}?"), answer.text
        return answer.headers["Location"]

    def removes_the_app(self) -> None:
        """Take back, on the page of connected apps, what she gave."""
        url = f"{self.site.address}/oauth/apps"
        form = {**hidden_fields(self.browser.get(url).text), "remove": "app"}
        assert "Access was removed." in self.browser.post(url, data=form).text


def asked_for(url: str) -> dict[str, str]:
    """Return the parameters of an authorization request, each of which came once."""
    return {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}


@pytest.mark.parametrize(
    ("sdk", "method"),
    [
        # As its own example does, and Claude; and as programs do that can keep no secret.
        ("v1", "client_secret_post"),
        ("v2", None),
        *([("v1", None), ("v1", "client_secret_basic")] if THOROUGH else []),
        *([("v2", "client_secret_post"), ("v2-shaking", None)] if THOROUGH else []),
    ],
)
def test_a_client_finds_in_stays_in_and_comes_back(
    packages: Path, tmp_path: Path, sdk: str, method: str | None
) -> None:
    is_v1, config = (True, ALWAYS) if sdk == "v1" else (False, {})
    stay = "" if is_v1 else " offline_access"
    with (
        served_site(tmp_path, **config) as site,
        Person(site) as dora,
        program(packages, site, sdk, method) as tell,
    ):
        # Nothing is known of the server but its URL; not even what it asks for first.
        said = tell("auth")
        assert said["result"] == "REDIRECT"
        assert site.answers() == [*DISCOVERY, "POST /oauth/register 201"]
        wanted = asked_for(said["url"])
        assert wanted["resource"] == f"{site.address}/mcp"
        assert wanted["scope"] == f"notes:read notes:write{stay}"
        first = said["client"]
        assert first["token_endpoint_auth_method"] == (method or "none")
        said = tell("finish", sentTo=dora.decides(said["url"]), byHand=True)
        assert (said["result"], said["tokens"]["scope"]) == ("AUTHORIZED", wanted["scope"])
        assert tell("call", name="list_notes")["text"] == NOTES

        # Two windows notice at once that the token has expired, and nobody is asked.
        before = said["tokens"]
        site.clock.advance(3601)
        site.answers()
        said = tell("both", name="list_notes")
        assert said["texts"] == [NOTES, NOTES]
        assert {one for one in site.answers() if "/token" in one} == {"POST /oauth/token 200"}
        site.clock.advance(3601)
        after = tell("call", name="list_notes")["tokens"]
        assert site.answers() == ["POST /mcp 401", "POST /oauth/token 200", "POST /mcp 200"]
        refresh = {one["refresh_token"] for one in (before, said["tokens"], after)}
        assert len(refresh) == 3
        assert after["scope"] == before["scope"]

        # Taken back: invalid_grant. It signs in again, with what the challenge names.
        dora.removes_the_app()
        site.answers()
        said = tell("call", name="list_notes")
        assert site.answers() == ["POST /mcp 401", "POST /oauth/token 400"]
        assert (said["dropped"], said["client"]) == (["tokens"], first)
        assert asked_for(said["url"])["scope"] == f"notes:read{stay}"
        tell("finish", sentTo=dora.decides(said["url"]))
        assert tell("call", name="list_notes")["text"] == NOTES

        # Deleted: invalid_client. It registers again, for no more than that.
        runner = site.app.test_cli_runner()
        runner.invoke(args=["pkce", "client", "delete", first["client_id"]])
        site.answers()
        said = tell("call", name="list_notes")
        asked = ["POST /mcp 401", "POST /oauth/token 401", "POST /oauth/register 201"]
        assert [one for one in site.answers() if one not in DISCOVERY] == asked
        assert said["dropped"] == (["all"] if is_v1 else ["client", "tokens"])
        assert said["client"]["client_id"] != first["client_id"]
        assert said["client"]["scope"] == f"notes:read{stay}"
        tell("finish", sentTo=dora.decides(said["url"]))
        assert dora.badges == {}
        assert tell("call", name="list_notes")["text"] == NOTES

        if is_v1:
            # At a 403 it uses its refresh token as often as it has one, and gets no further.
            tell("forget", token="refresh_token")
        steps_up(tell, dora, site)


def steps_up(tell: Tell, dora: Person, site: Site) -> None:
    """See the client ask for one scope more: for that alone the user decides anew."""
    add = {"name": "add_note", "arguments": {"text": "by a model"}}
    site.answers()
    said = tell("call", **add)
    assert site.answers() == ["POST /mcp 403"]
    before = set(said["tokens"]["scope"].split())
    assert set(asked_for(said["url"])["scope"].split()) == before | {"notes:write"}
    said = tell("finish", sentTo=dora.decides(said["url"]))
    assert dora.badges.pop("Write notes for you") == "New"
    assert dora.badges.pop("Read your notes") == "Allowed before"
    assert set(said["tokens"]["scope"].split()) == before | {"notes:write"}
    assert tell("call", **add)["text"] == "Saved."
    assert tell("call", name="list_notes")["text"] == f"by a model\n{NOTES}"


def test_a_client_without_refresh_tokens_asks_again(packages: Path, tmp_path: Path) -> None:
    with (
        served_site(tmp_path) as site,
        Person(site) as dora,
        program(packages, site, "v1") as tell,
    ):
        said = tell("call", name="list_notes")
        asked = ["POST /mcp 401", *DISCOVERY, "POST /oauth/register 201"]
        assert site.answers() == asked
        assert asked_for(said["url"])["scope"] == said["client"]["scope"] == "notes:read"
        said = tell("finish", sentTo=dora.decides(said["url"]))
        assert "refresh_token" not in said["tokens"]
        assert tell("call", name="list_notes")["text"] == NOTES
        steps_up(tell, dora, site)
        site.clock.advance(3601)
        said = tell("call", name="list_notes")
        tell("finish", sentTo=dora.decides(said["url"]))
        assert dora.badges == {"Read your notes": "Allowed before"}
        assert "by a model" in tell("call", name="list_notes")["text"]


@pytest.mark.thorough
def test_a_refusal_is_told_with_the_issuer(packages: Path, tmp_path: Path) -> None:
    with (
        served_site(tmp_path) as site,
        Person(site) as dora,
        program(packages, site, "v2") as tell,
    ):
        said = tell("call", name="list_notes")
        said = tell("finish", sentTo=dora.decides(said["url"], "deny"))
        assert said["code"] == "access_denied"


@pytest.mark.parametrize("sdk", ["v1", *(["v2"] if THOROUGH else [])])
def test_where_no_metadata_is_found_the_root_of_the_origin_serves(
    packages: Path, tmp_path: Path, sdk: str
) -> None:
    # MCP 2025-03-26: nothing says for which server the tokens are to be.
    with (
        served_site(tmp_path, **ALWAYS) as site,
        Person(site) as dora,
        program(packages, site, sdk) as tell,
    ):

        @site.app.before_request
        def hide() -> tuple[dict[str, str], int] | None:
            known = not request.path.startswith("/.well-known/")
            return None if known else ({"error": "not_found"}, 404)

        said = tell("call", name="list_notes")
        assert urlsplit(said["url"]).path == "/authorize"
        tell("finish", sentTo=dora.decides(said["url"]))
        assert tell("call", name="list_notes")["text"] == NOTES
        site.clock.advance(3601)
        assert tell("call", name="list_notes")["text"] == NOTES
        asked = site.answers()
        assert asked.count("POST /register 201") == 1
        assert asked.count("POST /token 200") == 2
        assert not any(" /oauth/" in one for one in asked)


class Web:
    """All that this server can reach: one document."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get_document(self, uri: str) -> Document:
        """Return the document; it is the only one that anybody may want."""
        self.asked.append(uri)
        return Document({DOCUMENT["client_id"]: DOCUMENT}[uri])


@pytest.mark.parametrize("sdk", ["v2", *(["v1"] if THOROUGH else [])])
def test_a_client_that_a_document_describes_registers_nowhere(
    packages: Path, tmp_path: Path, sdk: str
) -> None:
    url, config = DOCUMENT["client_id"], ALWAYS if sdk == "v1" else {}
    with (
        served_site(tmp_path, **config) as site,
        Person(site) as dora,
        program(packages, site, sdk, clientMetadataUrl=url) as tell,
    ):
        server_of(site.app).fetcher = web = Web()
        said = tell("call", name="list_notes")
        assert site.answers() == ["POST /mcp 401", *DISCOVERY]
        assert asked_for(said["url"])["client_id"] == url
        tell("finish", sentTo=dora.decides(said["url"]))
        assert "app.example.com" in dora.page
        assert tell("call", name="list_notes")["text"] == NOTES
        assert web.asked == [url]

        site.clock.advance(3601)
        site.answers()
        assert tell("call", name="list_notes")["text"] == NOTES
        assert site.answers() == ["POST /mcp 401", "POST /oauth/token 200", "POST /mcp 200"]

        # It is not the operator's to delete: its tokens end, and it comes back.
        site.app.test_cli_runner().invoke(args=["pkce", "client", "delete", url])
        said = tell("call", name="list_notes")
        assert said["dropped"] == ["tokens"]
        assert asked_for(said["url"])["client_id"] == url
        tell("finish", sentTo=dora.decides(said["url"]))
        assert tell("call", name="list_notes")["text"] == NOTES
