"""The official Python SDK of MCP, against the example app: from the bare URL to a tool call."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from mcp import MCPError
from werkzeug.security import generate_password_hash

from example_app import create_app
from example_app.extensions import db
from example_app.models import User
from flask_pkce_server import current_token
from flask_pkce_server.testing import Clock, hidden_fields, server_of
from flask_pkce_server.wire.fetch import Document, Fetcher

from ..live import _free_port, served, served_host
from ..mcp_client import Agent, Person

pytestmark = pytest.mark.programs

DOCUMENT = {
    "client_id": "https://app.example.com/client.json",
    "client_name": "Documented",
    "redirect_uris": ["http://127.0.0.1/cb"],
    "grant_types": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_method": "none",
}


class Documents(Fetcher):
    """The document of the client, in the place of the network."""

    def get_document(self, uri: str) -> Document:
        assert uri == DOCUMENT["client_id"]
        return Document(dict(DOCUMENT), 3600)


@pytest.fixture(scope="module")
def live(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[str, Flask]]:
    host, port = getattr(request, "param", "127.0.0.1"), _free_port()
    app = create_app(
        {
            "TESTING": True,
            "SECRET_KEY": "a-secret-key-of-the-tests-0123456789",
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path_factory.mktemp('mcp')}/notes.db",
            "PKCE_ISSUER": f"http://{host}:{port}/",
        }
    )
    server_of(app).clock, server_of(app).fetcher = Clock(), Documents()
    with app.app_context():
        # Slow hashing is the host's business.
        demo = db.session.scalar(db.select(User))
        demo.password_hash = generate_password_hash("demo", "pbkdf2:sha256:1")
        db.session.commit()
    with served(app, port):
        yield f"http://{host}:{port}", app
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


@pytest.fixture
def person() -> Iterator[Person]:
    person = Person("demo")
    with person.browser:
        yield person


def removed(person: Person, address: str) -> None:
    """Take everything back from all apps that the person let in."""
    page = person.browser.get(f"{address}/oauth/apps")
    form = {**hidden_fields(page.text), "remove": "all"}
    assert "Access was removed." in person.browser.post(page.url, data=form).text


@pytest.mark.parametrize(
    ("live", "mode", "version"),
    [("127.0.0.1", "auto", "2026-07-28"), ("localhost", "legacy", "2025-11-25")],
    indirect=["live"],
)
def test_from_the_bare_url_to_a_tool_call(
    live: tuple[str, Flask], person: Person, mode: str, version: str
) -> None:
    address, _ = live
    host = urlsplit(address).hostname
    agent = Agent(f"{address}/mcp", person, redirect_uri=f"http://{host}:8765/callback")

    async def work() -> None:
        async with agent.session(mode) as client:
            assert client.protocol_version == version
            assert client.server_info.name == "notes"
            tools = (await client.list_tools()).tools
            assert [tool.name for tool in tools] == ["list_notes", "add_note"]
            notes = await client.call_tool("list_notes")
            assert notes.content[0].text.endswith("Water the fern")
            with pytest.raises(MCPError) as refused:
                await client.call_tool("drop_notes")
            assert refused.value.code == -32602

    asyncio.run(work())
    (page,) = person.asked
    assert f"<bdi>{agent.name}</bdi> wants to use your Marginalia account" in page
    assert "Read your notes" in page
    assert "Write notes for you" not in page
    assert f'<bdi dir="ltr">{host}:8765</bdi>' in page
    assert agent.client.token_endpoint_auth_method == "none"
    assert agent.client.client_secret is None
    assert agent.client.issuer == f"{address}/"
    assert agent.scopes == {"notes:read", "offline_access"}


def test_an_expired_access_token_is_refreshed_by_all_that_share_it(
    live: tuple[str, Flask], person: Person
) -> None:
    address, app = live
    agent = Agent(f"{address}/mcp", person)
    # As two windows of one program do: it starts with what the other one stored.
    other = Agent(f"{address}/mcp", person)

    async def work() -> None:
        async with agent.session() as client:
            await client.call_tool("list_notes")
            first = agent.tokens
            other.tokens, other.client = agent.tokens, agent.client
            server_of(app).clock.advance(first.expires_in + 1)
            agent.forget_time()
            await client.call_tool("list_notes")
            assert agent.tokens.access_token != first.access_token
            assert agent.tokens.refresh_token != first.refresh_token
            assert agent.tokens.scope == first.scope
        # It knows no metadata yet, and asks at the root.
        other.forget_time()
        async with other.session() as client:
            await client.call_tool("list_notes")
        assert other.tokens.refresh_token == agent.tokens.refresh_token
        for one in (agent, other):
            one.forget_time()
            async with one.session() as client:
                await client.call_tool("list_notes")

    asyncio.run(work())
    assert len(person.asked) == 1


@pytest.mark.parametrize("restarted", [False, True], ids=["at work", "restarted"])
def test_a_tool_that_needs_more_asks_for_it_and_keeps_the_rest(
    live: tuple[str, Flask], person: Person, restarted: bool
) -> None:
    address, _ = live
    agent = Agent(f"{address}/mcp", person)

    async def work() -> None:
        nonlocal agent
        async with agent.session() as client:
            await client.call_tool("list_notes")
            before = agent
            if restarted:
                agent = Agent(f"{address}/mcp", person)
                agent.tokens, agent.client = before.tokens, before.client
        async with agent.session() as client:
            assert (await client.call_tool("add_note", {"text": "Buy milk"})).is_error is False
            notes = await client.call_tool("list_notes")
            assert notes.content[0].text.startswith("Buy milk\n")
            assert (await client.call_tool("add_note", {"text": " "})).is_error is True

    asyncio.run(work())
    assert agent.scopes == {"notes:read", "notes:write", "offline_access"}
    first, second = person.asked
    assert "pkce-new" not in first
    assert re.findall(r"<li>([^<]*) <span class=\"pkce-badge pkce-new\">New</span>", second) == [
        "Write notes for you"
    ]
    assert re.search(r"Read your notes <span[^>]*>Allowed before</span>", second)


@pytest.mark.parametrize("expired", [False, True], ids=["access token", "refresh token"])
def test_what_the_user_took_back_is_asked_for_again(
    live: tuple[str, Flask], person: Person, expired: bool
) -> None:
    address, _ = live
    agent = Agent(f"{address}/mcp", person)

    async def work() -> None:
        async with agent.session() as client:
            await client.call_tool("list_notes")
            before = agent.tokens
            removed(person, address)
            if expired:
                agent.forget_time()
            await client.call_tool("list_notes")
            assert agent.tokens.access_token != before.access_token

    asyncio.run(work())
    assert len(person.asked) == 2
    assert "Allowed before" not in person.asked[1]


def test_after_its_deletion_a_client_is_registered_anew(
    live: tuple[str, Flask], person: Person
) -> None:
    address, app = live
    agent = Agent(f"{address}/mcp", person)
    assert asyncio.run(agent.get()).status_code == 405
    known = agent.client.client_id
    done = app.test_cli_runner().invoke(args=["pkce", "client", "delete", known])
    assert done.exit_code == 0, done.output
    # This SDK never drops a client by itself: the person is told what to do.
    agent.forget_time()
    with pytest.raises(AssertionError, match="remove the connection"):
        asyncio.run(agent.get())
    agent = Agent(f"{address}/mcp", person)
    assert asyncio.run(agent.get()).status_code == 405
    assert agent.client.client_id != known
    assert len(person.asked) == 2


@pytest.mark.parametrize("path", ["/api/me", "/api/v2/diary"])
def test_an_api_without_mcp_is_opened_with_metadata_and_without(tmp_path: Path, path: str) -> None:
    person = Person("ada")
    with served_host(tmp_path, PKCE_FEATURES={"registration": True}) as (address, app):
        if path != "/api/me":
            diary = f"{address}{path}"
            app.pkce.resource(diary, scopes=["notes:read"])

            @app.get(path)
            @app.pkce.require("notes:read", resource=diary)
            def read_diary() -> list[str]:
                return [current_token.user.name]

        agent = Agent(f"{address}{path}", person)
        with person.browser:
            answer = asyncio.run(agent.get())
    assert answer.status_code == 200
    assert "Ada Lovelace" in answer.text
    found = agent.auth.context.protected_resource_metadata
    assert (found is not None) == (path != "/api/me")
    assert len(person.asked) == 1


def test_a_client_with_a_document_registers_nowhere(
    live: tuple[str, Flask], person: Person
) -> None:
    address, app = live
    agent = Agent(f"{address}/mcp", person, client_metadata_url=DOCUMENT["client_id"])

    async def work() -> None:
        async with agent.session() as client:
            await client.call_tool("list_notes")
            assert agent.client.client_id == DOCUMENT["client_id"]
            agent.forget_time()
            assert (await client.call_tool("add_note", {"text": "Milk"})).is_error is False
            # Gone here, it is found again where it says what it is.
            done = app.test_cli_runner().invoke(
                args=["pkce", "client", "delete", DOCUMENT["client_id"]]
            )
            assert done.exit_code == 0, done.output
            await client.call_tool("list_notes")

    asyncio.run(work())
    assert len(person.asked) == 3
    assert all("<bdi>Documented</bdi> wants" in page for page in person.asked)
    assert all("app.example.com" in page for page in person.asked)
    assert agent.client.client_id == DOCUMENT["client_id"]
    found = app.test_cli_runner().invoke(args=["pkce", "client", "list", "--json"])
    known = [one["client_name"] for one in json.loads(found.output)]
    assert "Documented" in known
    assert agent.name not in known
