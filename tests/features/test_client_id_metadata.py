"""Client ID metadata: a client_id that is the URL of a document which says what the client is."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from flask_pkce_server import ConfigurationError, client_registered
from flask_pkce_server.features import private_key_jwt
from flask_pkce_server.features.client_id_metadata import ClientIdMetadataFeature
from flask_pkce_server.http.rate_limit import RateLimit
from flask_pkce_server.models.client_document import is_client_url
from flask_pkce_server.models.client_origin import ClientOrigin
from flask_pkce_server.models.pairwise import sector_of
from flask_pkce_server.models.spent_jti import SpentJti
from flask_pkce_server.testing import (
    Clock,
    Flow,
    RegisteredClient,
    hidden_fields,
    parameters_of,
    register,
    server_of,
)
from flask_pkce_server.wire.fetch_limit import MAX_FETCHES, MAX_WAITING
from flask_pkce_server.wire.names import DEVICE_CODE as GRANT_TYPE
from flask_pkce_server.wire.names import JWT_BEARER_ASSERTION as ASSERTION_TYPE
from flask_pkce_server.wire.remembered import MAX_DOCUMENTS

from ..client_documents import (
    DAY,
    HOME,
    LOCAL,
    SIGNED,
    TOOL,
    URL,
    WEB,
    Web,
    count,
    flow_of,
    is_known,
    opened,
    stored,
    tool_flow,
)
from ..counting import Counted
from ..device import Device, press
from ..ephemeral import IN_BOTH
from ..host import ISSUER, make_app, sign_in
from ..signing import OTHER, SIGNER, claims
from ..website import Website, answer

pytestmark = pytest.mark.thorough


@pytest.fixture
def web() -> Web:
    return Web(WEB)


@pytest.fixture
def app(web: Web, ephemeral: dict[str, str]) -> Flask:
    return opened(web, **ephemeral)


@pytest.fixture
def flow(app: Flask) -> Flow:
    return flow_of(app)


def run(app: Flask, *words: str, code: int = 0) -> str:
    done = app.test_cli_runner().invoke(args=["pkce", *words])
    assert done.exit_code == code, done.output
    return done.output


def doctor(app: Flask) -> str:
    # Whatever else there is to say.
    return app.test_cli_runner().invoke(args=["pkce", "doctor"]).output


# Off and on.


def test_it_is_off_where_there_is_no_mcp_server(web: Web) -> None:
    app = make_app()
    server_of(app).fetcher = web
    assert "client_id_metadata_document_supported" not in server_of(app).metadata()
    assert flow_of(app).authorize().status_code == 400
    assert not is_known(app)
    assert web.asked == []


def test_one_line_for_mcp_turns_it_on_and_another_leaves_it_out(web: Web) -> None:
    for features, on in (({}, True), ({"client_id_metadata": False}, False)):
        app = opened(web, PKCE_FEATURES=features)
        app.pkce.mcp("/mcp", scopes={"tasks:read": "Read your tasks"})
        document = server_of(app).metadata()
        assert document.get("client_id_metadata_document_supported", False) is on
        # Without this one Claude would not send its URL.
        assert "none" in document["token_endpoint_auth_methods_supported"]
        assert is_known(app) is on


def test_what_was_stored_is_unknown_when_it_is_left_out(app: Flask, flow: Flow, web: Web) -> None:
    token = flow.tokens(scope="profile offline_access")["refresh_token"]
    server_of(app).settings.features["client_id_metadata"] = False
    assert flow.refresh(token).status_code == 401
    assert flow.authorize().status_code == 400


@pytest.mark.parametrize("name", ["ALLOW", "DENY"])
@pytest.mark.parametrize(
    "host", ["https://apps.example", "Apps.example", "apps.example/x", "x", ""]
)
def test_a_host_that_is_none_is_refused_at_start(name: str, host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"PKCE_CLIENT_ID_METADATA_{name}"):
        make_app(**{f"PKCE_CLIENT_ID_METADATA_{name}": [host]})


@pytest.mark.parametrize(
    ("allow", "deny", "known"),
    [
        (["apps.example"], [], True),
        (["example.com"], [], False),
        (["pps.example"], [], False),
        ([], ["apps.example"], False),
        ([], ["example.com"], True),
        (["apps.example"], ["apps.example"], False),
    ],
)
def test_the_host_says_where_documents_may_be(
    web: Web, allow: list[str], deny: list[str], known: bool
) -> None:
    app = opened(web, PKCE_CLIENT_ID_METADATA_ALLOW=allow, PKCE_CLIENT_ID_METADATA_DENY=deny)
    assert is_known(app) is known
    assert len(web.asked) == known


def test_subdomains_are_of_their_host_and_ports_are_of_any() -> None:
    url = "https://eu.apps.example:8443/c"
    web = Web({**WEB, "client_id": url})
    assert is_known(opened(web, PKCE_CLIENT_ID_METADATA_ALLOW=["apps.example"]), url)
    assert not is_known(opened(web, PKCE_CLIENT_ID_METADATA_DENY=["apps.example"]), url)


@pytest.mark.parametrize(
    ("allow", "deny", "known"),
    [
        (["apps.example"], [], False),
        (["apps.example", "keys.example"], [], True),
        ([], ["keys.example"], False),
        ([], [], True),
    ],
)
def test_the_host_says_where_their_keys_may_be(
    allow: list[str], deny: list[str], known: bool
) -> None:
    uri = "https://keys.example:8443/jwks.json"
    web = Web({**SIGNED, "jwks_uri": uri})
    web.documents[uri] = SIGNER.jwks
    app = opened(web, PKCE_CLIENT_ID_METADATA_ALLOW=allow, PKCE_CLIENT_ID_METADATA_DENY=deny)
    error = ask(app, SIGNER, grant_type="authorization_code", code="x").get_json()["error"]
    assert error == ("invalid_grant" if known else "invalid_client")
    assert web.asked == [URL, uri][: 1 + known]


def test_keys_on_a_host_that_is_denied_later_are_denied() -> None:
    uri = "https://keys.example/jwks.json"
    web = Web({**SIGNED, "jwks_uri": uri})
    web.documents[uri] = SIGNER.jwks
    app = opened(web)
    assert flow_of(app).allow()["code"]
    server_of(app).settings.client_id_metadata_deny.append("keys.example")
    assert ask(app, SIGNER, grant_type="refresh_token").status_code == 401
    assert uri not in web.asked


def test_a_host_that_is_denied_later_is_denied(app: Flask, flow: Flow) -> None:
    token = flow.tokens(scope="profile offline_access")["refresh_token"]
    server_of(app).settings.client_id_metadata_deny.append("apps.example")
    assert flow.refresh(token).status_code == 401


# The whole way.


def test_over_the_wire_on_every_leg(tmp_path: Path) -> None:
    website = Website(tmp_path)
    try:
        url = "https://keys.example/client"
        document = {**TOOL, "client_id": url}
        website.pieces = [answer(json.dumps(document).encode(), Cache_Control="max-age=600")]
        app = opened(website.fetcher())
        clock = server_of(app).clock = Clock()
        flow = flow_of(app, url, "http://localhost:8123/callback")
        tokens = flow.tokens(scope="profile offline_access")
        fresh = flow.refresh(tokens["refresh_token"]).get_json()
        assert len(website.requests) == 1
        headers = {"Authorization": f"Bearer {fresh['access_token']}"}
        me = app.test_client().get("/api/me", headers=headers).get_json()
        assert (me["name"], me["client_id"]) == ("Ada Lovelace", url)
        clock.advance(599)
        assert flow.refresh(fresh["refresh_token"]).status_code == 200
        assert len(website.requests) == 1
        clock.advance(1)
        assert flow.revoke(fresh["access_token"]).status_code == 200
        assert len(website.requests) == 2
        assert app.test_client().get("/api/me", headers=headers).status_code == 401
    finally:
        website.close()


def test_a_portless_loopback_uri_has_any_port(web: Web) -> None:
    web.documents[URL] = TOOL
    flow = tool_flow(opened(web))
    assert "code" in flow.allow()
    assert flow.authorize(redirect_uri="http://localhost:1/other").status_code == 400


def test_on_a_device(web: Web) -> None:
    web.documents[URL] = {**TOOL, "grant_types": [GRANT_TYPE, "refresh_token"]}
    app = opened(web)
    device = Device(
        sign_in(app), RegisteredClient(URL, None, "", "none"), scope="profile offline_access"
    )
    device.start()
    assert device.error() == "authorization_pending"
    page = device.enter()
    assert 'Described at <bdi dir="ltr">apps.example</bdi>' in page.text
    assert stored(app) is None
    assert press(device.browser, page, "allow").status_code == 200
    assert stored(app).client_name == "Tool"
    tokens = device.poll().get_json()
    assert device.flow.refresh(tokens["refresh_token"]).status_code == 200
    assert web.asked == [URL]


def test_a_resource_server_reads_its_tokens(app: Flask, flow: Flow) -> None:
    token = flow.tokens()["access_token"]
    api = register(
        app, auth_method="client_secret_basic", client_metadata={"resource_server": True}
    )
    told = Flow(flow.browser, api).post("introspect", {"token": token}).get_json()
    assert (told["active"], told["client_id"]) == (True, URL)


def test_pages_of_its_origin_may_read_what_it_is_told(app: Flask, flow: Flow) -> None:
    flow.tokens()
    assert count(app, ClientOrigin) == 1
    origin = {"Origin": "https://apps.example"}
    preflight = app.test_client().options("/oauth/token", headers=origin)
    assert preflight.headers["Access-Control-Allow-Origin"] == origin["Origin"]


def test_it_is_seen_and_removed_among_the_connected_apps(app: Flask, flow: Flow) -> None:
    flow.tokens()
    page = flow.browser.get("/oauth/apps").text
    assert '<bdi dir="ltr">apps.example</bdi>' in page
    form = {**hidden_fields(page), "remove": "all"}
    flow.browser.post("/oauth/apps", data=form)
    assert "Web" not in flow.browser.get("/oauth/apps").text


# Who signs.


def ask(
    app: Flask, signer: Any, path: str = "token", aud: str = ISSUER, **form: str
) -> TestResponse:
    signed = signer.sign(claims(app, URL, aud=aud))
    fields = {"client_assertion": signed, "client_assertion_type": ASSERTION_TYPE, **form}
    return app.test_client().post(f"/oauth/{path}", data=fields)


@pytest.mark.parametrize("published", ["jwks_uri", "jwks"])
def test_one_that_signs_does_so_on_every_leg(published: str) -> None:
    keys = {"jwks_uri": SIGNED["jwks_uri"], "jwks": SIGNER.jwks}[published]
    others = {name: value for name, value in SIGNED.items() if name != "jwks_uri"}
    web = Web({**others, published: keys})
    web.documents[SIGNED["jwks_uri"]] = SIGNER.jwks
    app = opened(web)
    flow = flow_of(app)
    code = flow.allow(scope="profile offline_access")["code"]
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": flow.verifier}
    # It lists none too; but whoever has no key is not it.
    assert flow.redeem(code).status_code == 401
    assert ask(app, OTHER, **form).status_code == 401
    tokens = ask(app, SIGNER, **form).get_json()
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert flow.refresh(tokens["refresh_token"]).status_code == 401
    fresh = ask(app, SIGNER, **refresh).get_json()
    told = ask(app, SIGNER, "introspect", token=fresh["access_token"]).get_json()
    assert told["active"] is True
    assert ask(app, SIGNER, "revoke", token=fresh["access_token"]).status_code == 200
    assert web.asked.count(URL) == 1


def test_one_that_signs_for_the_token_endpoint_does_so_there_alone() -> None:
    # As ChatGPT does, whatever the metadata say.
    web = Web(SIGNED)
    web.documents[SIGNED["jwks_uri"]] = SIGNER.jwks
    app, endpoint = opened(web), f"{ISSUER}/oauth/token"
    flow = flow_of(app)
    form = {"grant_type": "authorization_code", "code_verifier": flow.verifier}
    code = flow.allow()["code"]
    for other in (f"{endpoint}/", f"{ISSUER}/oauth/revoke", "https://other.example/oauth/token"):
        assert ask(app, SIGNER, aud=other, **form, code=code).status_code == 401
    token = ask(app, SIGNER, aud=endpoint, **form, code=code).get_json()["access_token"]
    assert ask(app, SIGNER, "revoke", aud=endpoint, token=token).status_code == 401
    assert ask(app, SIGNER, "introspect", aud=endpoint, token=token).status_code == 401
    assert ask(app, SIGNER, "revoke", token=token).status_code == 200


def test_where_nobody_reads_signatures_it_is_public_if_it_says_so() -> None:
    web = Web(SIGNED)
    app = opened(web, PKCE_FEATURES={"client_id_metadata": True, "private_key_jwt": False})
    assert flow_of(app).tokens()["scope"] == "profile"
    web.documents[URL] = {**SIGNED, "token_endpoint_auth_methods_supported": ["private_key_jwt"]}
    app = opened(web, PKCE_FEATURES={"client_id_metadata": True, "private_key_jwt": False})
    assert not is_known(app)


def test_one_that_signs_fills_no_table_before_a_user_lets_it_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(private_key_jwt, "NEW_ASSERTIONS", RateLimit("assertion", 3))
    app = opened(Web({**SIGNED, "jwks": SIGNER.jwks, "jwks_uri": None}))
    server_of(app).clock = Clock(1790000400 // 600 * 600 + 1)
    flow = flow_of(app)
    form = {"grant_type": "authorization_code", "code": "x", "code_verifier": flow.verifier}
    for _ in range(3):
        assert ask(app, SIGNER, **form).get_json()["error"] == "invalid_grant"
    refused = ask(app, SIGNER, **form)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 600
    assert count(app, SpentJti) == 3
    # One that is not its own, or was used before, is wrong as ever and costs nothing.
    assert ask(app, OTHER, **form).status_code == 401
    code = flow.allow()["code"]
    for _ in range(3):
        assert ask(app, SIGNER, "revoke", token="x").status_code == 200
    assert ask(app, SIGNER, **{**form, "code": code}).get_json()["scope"] == "profile"


def test_one_that_nobody_let_in_signs_each_time_anew() -> None:
    # RFC 7523 3
    app = opened(Web({**SIGNED, "jwks": SIGNER.jwks, "jwks_uri": None}))
    fields = {
        "grant_type": "authorization_code",
        "code": "x",
        "client_assertion": SIGNER.sign(claims(app, URL)),
        "client_assertion_type": ASSERTION_TYPE,
    }
    answers = [app.test_client().post("/oauth/token", data=fields).get_json() for _ in range(2)]
    assert [answer["error"] for answer in answers] == ["invalid_grant", "invalid_client"]


# What a document may say.


def changed(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**WEB, **changes}.items() if value != "left out"}


BAD = {
    "no client_id": changed(client_id="left out"),
    "another client_id": changed(client_id=URL + "?"),
    "another spelling": changed(client_id="https://APPS.example/oauth/client.json"),
    "a list": changed(client_id=[URL]),
    "a secret": changed(client_secret="x" * 40),
    "an empty secret": changed(client_secret=None),
    "the end of a secret": changed(client_secret_expires_at=0),
    "client_secret_basic": changed(token_endpoint_auth_method="client_secret_basic"),
    "client_secret_post": changed(
        token_endpoint_auth_method="client_secret_post",
        token_endpoint_auth_methods_supported=["none"],
    ),
    "client_secret_jwt": changed(token_endpoint_auth_method="client_secret_jwt"),
    "secrets listed alone": changed(
        token_endpoint_auth_method="left out",
        token_endpoint_auth_methods_supported=["client_secret_post"],
    ),
    "a method that is no text": changed(token_endpoint_auth_method={"none": 1}),
    "no key": changed(token_endpoint_auth_method="private_key_jwt"),
    "keys over http": changed(
        token_endpoint_auth_method="private_key_jwt", jwks_uri="http://apps.example/jwks"
    ),
    "keys inside": changed(
        token_endpoint_auth_method="private_key_jwt", jwks_uri="https://127.0.0.1/jwks"
    ),
    "a private key": changed(
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [{**SIGNER.jwk, "d": "AQAB"}]},
    ),
    "a shared key": changed(
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [{"kty": "oct", "k": "AQAB"}]},
    ),
    "odd keys": changed(
        token_endpoint_auth_method="private_key_jwt", jwks={"keys": [SIGNER.jwk], "x": "\ud800"}
    ),
    "endless keys": changed(
        token_endpoint_auth_method="private_key_jwt", jwks={"keys": [SIGNER.jwk], "x": 1e999}
    ),
    # What MariaDB and MySQL would not store.
    "deep keys": changed(
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [SIGNER.jwk], "x": json.loads("[" * 40 + "]" * 40)},
    ),
    "high keys": changed(
        token_endpoint_auth_method="private_key_jwt", jwks={"keys": [SIGNER.jwk], "x": 10**400}
    ),
    "keys that are a list": changed(token_endpoint_auth_method="private_key_jwt", jwks=[]),
    "no redirect_uris": changed(redirect_uris="left out"),
    "empty redirect_uris": changed(redirect_uris=[]),
    "a text of redirect_uris": changed(redirect_uris=HOME),
    "a redirect URI over http": changed(redirect_uris=[HOME, "http://apps.example/cb"]),
    "javascript": changed(redirect_uris=["javascript:alert(1)"]),
    "a wildcard": changed(redirect_uris=["https://*.apps.example/cb"]),
    "a fragment": changed(redirect_uris=[HOME + "#x"]),
    "a long host": changed(redirect_uris=[f"https://{'a.' * 200}example/cb"]),
    "numbers": changed(redirect_uris=[1]),
    "machines": changed(grant_types=["client_credentials"]),
    "tokens": changed(response_types=["token"]),
    "an unseen name": changed(client_name="To\u202eol"),
    "a long name": changed(client_name="x" * 256),
    "a name that is no text": changed(client_name=["Web"]),
    "a number of a link": changed(client_uri=1),
}


@pytest.fixture(scope="module")
def shared() -> tuple[Flask, Web]:
    """One app for all documents that are refused, and so leave nothing behind."""
    web = Web()
    return opened(web), web


@pytest.mark.parametrize("document", BAD.values(), ids=BAD)
def test_a_bad_document_is_none(shared: tuple[Flask, Web], document: dict[str, Any]) -> None:
    app, web = shared
    url = f"{URL}/{len(web.asked)}"
    if document.get("client_id") == URL:
        document = {**document, "client_id": url}
    web.documents[url] = document
    assert not is_known(app, url)
    # To a person, and nobody is sent anywhere.
    page = flow_of(app, url).authorize()
    assert page.status_code == 400
    assert "No app is registered here under this client_id." in page.text
    assert web.asked.count(url) == 1
    assert count(app) == 0


GOOD = {
    "nothing else": {"client_id": URL, "redirect_uris": [HOME]},
    "nulls": changed(client_name=None, grant_types=None, logo_uri=None, scope=None),
    "both methods": {**SIGNED, "jwks_uri": "https://keys.apps.example/jwks"},
    "methods listed alone": changed(
        token_endpoint_auth_method="left out",
        token_endpoint_auth_methods_supported=["none", "private_key_jwt"],
    ),
    "grants of others": changed(grant_types=["authorization_code", "implicit", "urn:x"]),
    "scopes of others": changed(scope="calendar mcp:tools"),
    "links that cannot be shown": changed(client_uri="http://apps.example/", tos_uri="data:x"),
    "what is not to be had": changed(
        subject_type="pairwise", id_token_signed_response_alg="none", application_type="x"
    ),
    "keys of one that does not sign": changed(jwks={"keys": "?"}, jwks_uri="http://x/"),
    "an app": changed(redirect_uris=["com.example.app:/cb", "cursor://x/cb", HOME]),
    "what only the operator says": changed(
        verified=True, skip_consent=True, document={}, resource_server=True, developer="We"
    ),
}  # fmt: skip


@pytest.mark.parametrize("document", GOOD.values(), ids=GOOD)
def test_a_document_is_read_as_far_as_it_is_understood(document: dict[str, Any]) -> None:
    app = opened(Web(document))
    flow = flow_of(app)
    page = flow.authorize()
    assert page.status_code == 200, page.text
    assert "code" in parameters_of(flow.decide(page))
    client = stored(app)
    assert client.client_name == (document.get("client_name") or "apps.example")
    assert client.scope is None
    assert not client.verified
    assert not client.skip_consent
    assert {"http://apps.example/", "none", "x", "We"}.isdisjoint(
        [one for one in client.client_metadata.values() if isinstance(one, str)]
    )


def test_the_host_limits_what_they_may_ask_for(web: Web) -> None:
    app = opened(web, PKCE_CLIENT_ID_METADATA_SCOPES=["profile"])
    assert flow_of(app).tokens()["scope"] == "profile"
    assert "invalid_scope" in flow_of(app).authorize(scope="profile notes:read").text


def test_a_limit_counts_at_once_for_who_was_let_in_before(tmp_path: Path, web: Web) -> None:
    uri = f"sqlite:///{tmp_path}/app.db"
    before = opened(web, SQLALCHEMY_DATABASE_URI=uri)
    flow_of(before).tokens(scope="profile notes:read")
    limits = {"PKCE_CLIENT_ID_METADATA_SCOPES": ["profile"]}
    after = opened(web, SQLALCHEMY_DATABASE_URI=uri, init=False, **limits)
    # The copy is as fresh as it was.
    assert "invalid_scope" in flow_of(after).authorize(scope="profile notes:read").text
    assert flow_of(after).tokens()["scope"] == "profile"
    assert flow_of(before).tokens(scope="notes:read")["scope"] == "notes:read"
    assert web.asked == [URL]
    for app in (before, after):
        with app.app_context():
            app.db.engine.dispose()


@pytest.mark.parametrize(
    ("uri", "sector"),
    [
        ("https://login.apps.example/cb", "apps.example"),
        ("https://other.example/cb", URL),
        ("http://127.0.0.1/cb", URL),
    ],
)
def test_pairwise_subjects_are_made_for_its_host_if_codes_go_there(
    web: Web, uri: str, sector: str
) -> None:
    web.documents[URL] = changed(redirect_uris=[HOME, uri])
    app = opened(web, PKCE_OPENID_SUBJECT_TYPE="pairwise", PKCE_OPENID_PAIRWISE_SALT="s" * 32)
    flow_of(app).tokens(scope="openid")
    assert sector_of(stored(app)) == sector


# What an id may be.


@pytest.mark.parametrize(
    "url",
    [
        "http://apps.example/c",
        "HTTP://apps.example/c",
        "https://apps.example",
        "https://apps.example/",
        "https://apps.example?c",
        "https://apps.example/c#",
        "https://apps.example/c#x",
        "https://u@apps.example/c",
        "https://u:p@apps.example/c",
        "https://apps.example/./c",
        "https://apps.example/../c",
        "https://apps.example/a/..",
        "https://apps.example/%2e%2e/x",
        "https://apps.example/%2E/x",
        "https://apps.example/.%2e/x",
        "https://apps.example/%252e%252e/x",
        "https://apps.example/..%2fx",
        "https://apps.example/..%5cx",
        "https://apps.example/a\\..\\c",
        "https://apps.example/%zz",
        "https://apps.example/%",
        "https://apps.example/a b",
        'https://apps.example/"',
        "https://apps.example/<c>",
        "https://apps.example/\u00e9",
        "https://\u00e4pps.example/c",
        "https://apps.example:0/c",
        "https://apps.example:999999/c",
        "https://apps.example:/c",
        "https://localhost/c",
        "https://127.0.0.1/c",
        "https://[::1]/c",
        "https://0x7f000001/c",
        "https://apps/c",
        "https:///c",
        "https:apps.example/c",
        "//apps.example/c",
        "https://apps.example/" + "c" * 240,
        "https://apps.example/" + "c" * 100_000,
        "https://apps.example/c\n",
        "https://apps.example/c\x00",
        " https://apps.example/c",
        "https://",
        "javascript:https://apps.example/c",
    ],
    ids=lambda url: ascii(url)[1:40],
)
def test_what_is_no_url_of_a_document_is_never_asked_for(
    shared: tuple[Flask, Web], url: str
) -> None:
    app, web = shared
    before = len(web.asked)
    assert not is_client_url(url)
    page = flow_of(app, url).authorize()
    assert page.status_code == 400
    told = app.test_client().post(
        "/oauth/token", data={"grant_type": "refresh_token", "client_id": url}
    )
    assert told.status_code in (400, 401, 413)
    assert told.get_json()["error_description"].isascii()
    assert len(web.asked) == before


@pytest.mark.parametrize(
    "url",
    [
        "https://apps.example/c",
        "https://apps.example/c/",
        "https://apps.example//",
        "https://apps.example:8443/c?v=1&a=%20",
        "https://apps.example/...",
        "https://apps.example/" + "c" * 234,
        "https://claude.ai/oauth/mcp-oauth-client-metadata",
        "https://chatgpt.com/oauth/a_B-9/client.json",
    ],
    ids=lambda url: url[8:40],
)
def test_what_is_one_is(url: str) -> None:
    assert is_known(opened(Web({**WEB, "client_id": url})), url)


def test_a_client_that_is_registered_with_a_url_is_what_it_was(app: Flask, web: Web) -> None:
    # Other products had such ids too.
    register(app, client_id=URL, name="Ours")
    assert "Ours" in flow_of(app, uri="https://client.example/callback").authorize().text
    assert web.asked == []


# How long it is good.


@pytest.mark.parametrize(
    ("max_age", "life"), [(None, 3600), (0, 300), (299, 300), (7200, 7200), (10**8, DAY)]
)
@pytest.mark.parametrize("is_stored", [True, False])
def test_it_is_asked_for_once_in_its_life(
    web: Web, max_age: int | None, life: int, is_stored: bool
) -> None:
    web.max_age = max_age
    app = opened(web)
    clock = server_of(app).clock = Clock()
    if is_stored:
        flow_of(app).tokens()
    assert is_known(app)
    clock.advance(life - 1)
    assert is_known(app)
    assert len(web.asked) == 1
    clock.advance(1)
    for _ in range(2):
        assert is_known(app)
    assert len(web.asked) == 2


@pytest.mark.parametrize("is_stored", [True, False])
@pytest.mark.parametrize("how", ["gone", "wrong"])
def test_what_cannot_be_had_is_as_it_was_for_a_day(
    app: Flask, web: Web, pkce_clock: Clock, is_stored: bool, how: str
) -> None:
    if is_stored:
        flow_of(app).tokens()
    assert is_known(app)
    if how == "gone":
        web.is_down = True
    else:
        web.documents[URL] = changed(client_secret="x")
    pkce_clock.advance(3600)
    for pause, asked in ((0, 2), (59, 2), (1, 3), (DAY - 61, 4)):
        pkce_clock.advance(pause)
        assert is_known(app)
        assert len(web.asked) == asked
    pkce_clock.advance(1)
    assert not is_known(app)
    web.is_down, web.documents[URL] = False, WEB
    # Not before a minute is over since the last try.
    pkce_clock.advance(58)
    assert not is_known(app)
    pkce_clock.advance(1)
    assert is_known(app)


def test_a_failure_is_not_kept_longer_than_a_minute(
    app: Flask, web: Web, pkce_clock: Clock
) -> None:
    web.is_down = True
    for _ in range(3):
        assert not is_known(app)
    assert len(web.asked) == 1
    web.is_down = False
    pkce_clock.advance(60)
    assert is_known(app)


def test_another_process_and_a_restart_know_what_a_user_let_in(tmp_path: Path, web: Web) -> None:
    uri = f"sqlite:///{tmp_path}/app.db"
    first = opened(web, SQLALCHEMY_DATABASE_URI=uri)
    flow = flow_of(first)
    token = flow.tokens(scope="profile offline_access")["refresh_token"]
    second = opened(Web(), SQLALCHEMY_DATABASE_URI=uri, init=False)
    again = Flow(second.test_client(), flow.client)
    assert again.refresh(token).status_code == 200
    for app in (first, second):
        with app.app_context():
            app.db.engine.dispose()


def test_two_apps_of_a_process_share_nothing(web: Web) -> None:
    one, two = opened(web), opened(web)
    assert is_known(one)
    assert is_known(two)
    assert web.asked == [URL, URL]


# Many at once.


def at_once(app: Flask, urls: list[str], web: Web, wait_for: Callable[[], bool]) -> list[bool]:
    """Ask for all at once, and let the fetches go on when so many have begun."""
    web.gate = threading.Event()
    with ThreadPoolExecutor(len(urls)) as pool:
        answers = [pool.submit(is_known, app, url) for url in urls]
        while not wait_for():
            assert not any(one.done() for one in answers)
            time.sleep(0.001)
        web.gate.set()
        return [one.result(20) for one in answers]


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[tuple[Flask, Web]]:
    web = Web(WEB)
    app = opened(web, SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db")
    yield app, web
    with app.app_context():
        app.db.engine.dispose()


def test_of_many_who_come_at_once_one_asks(busy: tuple[Flask, Web]) -> None:
    app, web = busy
    so_many = 1 + MAX_WAITING
    assert at_once(app, [URL] * so_many, web, lambda: bool(web.asked)) == [True] * so_many
    assert web.asked == [URL]


def test_who_has_an_older_copy_waits_for_nobody(busy: tuple[Flask, Web]) -> None:
    app, web = busy
    flow_of(app).tokens()
    server_of(app).clock = Clock(server_of(app).now() + 3600)
    web.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(is_known, app)
        while len(web.asked) < 2:
            assert not first.done()
        assert is_known(app)
        assert not first.done()
        web.gate.set()
        assert first.result(20)


def test_few_fetches_run_at_once(busy: tuple[Flask, Web]) -> None:
    app, web = busy
    urls = [f"{URL}/{number}" for number in range(MAX_FETCHES + 2)]
    web.documents |= {url: {**WEB, "client_id": url} for url in urls}
    most: list[int] = []

    def so_many() -> bool:
        most.append(len(web.asked))
        return most[-1] >= MAX_FETCHES

    assert at_once(app, urls, web, so_many) == [True] * len(urls)
    assert max(most) == MAX_FETCHES
    assert sorted(web.asked) == sorted(urls)


def test_who_has_an_older_copy_needs_no_turn(busy: tuple[Flask, Web]) -> None:
    app, web = busy
    flow_of(app).tokens()
    server_of(app).clock = Clock(server_of(app).now() + 3600)
    urls = [f"{URL}/{number}" for number in range(MAX_FETCHES)]

    def all_are_taken() -> bool:
        if len(web.asked) <= MAX_FETCHES:
            return False
        assert is_known(app)
        return True

    assert at_once(app, urls, web, all_are_taken) == [False] * MAX_FETCHES
    assert web.asked.count(URL) == 1


@pytest.mark.thorough
def test_who_has_no_copy_waits_for_a_turn_and_then_gives_up(busy: tuple[Flask, Web]) -> None:
    app, web = busy
    urls = [f"{URL}/{number}" for number in range(MAX_FETCHES)]

    def all_are_taken() -> bool:
        if len(web.asked) < MAX_FETCHES:
            return False
        busy = flow_of(app).post("token", {"grant_type": "refresh_token"})
        assert (busy.status_code, busy.headers["Retry-After"]) == (503, "1")
        page = flow_of(app).authorize()
        assert (page.status_code, page.headers["Retry-After"]) == (503, "1")
        # Nobody may think that the client is gone: SDKs would forget it.
        assert busy.get_json()["error"] == "temporarily_unavailable"
        return True

    assert at_once(app, urls, web, all_are_taken) == [False] * MAX_FETCHES
    # It was not asked, and so it need not rest.
    assert is_known(app)


def test_a_flood_of_ids_fills_nothing(app: Flask, web: Web) -> None:
    # Over HTTP once, and then what it does.
    assert not is_known(app, f"{URL}/x")
    server = server_of(app)
    (feature,) = [one for one in server.hooks.features if isinstance(one, ClientIdMetadataFeature)]
    web.documents |= {
        f"{URL}/{number}": {**WEB, "client_id": f"{URL}/{number}"} for number in range(0, 600, 2)
    }
    with app.app_context():
        found = [server.find_client(f"{URL}/{number}") is not None for number in range(600)]
    assert found == [True, False] * 300
    assert len(feature.memory) == MAX_DOCUMENTS
    assert count(app) == 0


def test_a_flood_of_ids_pushes_out_no_document(app: Flask, flow: Flow, web: Web) -> None:
    page = flow.authorize()
    server = server_of(app)
    with app.app_context():
        for number in range(MAX_DOCUMENTS + 1):
            assert server.find_client(f"{URL}/{number}") is None
    web.is_down = True
    assert "code" in parameters_of(flow.decide(page))
    assert web.asked.count(URL) == 1


# What users are asked.


@IN_BOTH
def test_one_address_comes_with_a_few_new_documents(
    app: Flask, flow: Flow, web: Web, pkce_clock: Clock
) -> None:
    pkce_clock.now, web.max_age = 1790000400 // 600 * 600 + 1, 300
    flow.tokens()
    asked = len(web.asked)
    legs = [
        lambda url: flow_of(app, url).authorize(),
        lambda url: flow_of(app, url).post("token", {"grant_type": "refresh_token"}),
        lambda url: flow_of(app, url).post("revoke", {"token": "x"}),
        lambda url: flow_of(app, url).post("device_authorization", {}),
    ]
    # The one that the user let in was the first.
    for number in range(19):
        assert legs[number % 4](f"{URL}/{number}").status_code in (400, 401)
    assert len(web.asked) == asked + 19
    for leg in legs:
        refused = leg(f"{URL}/19")
        assert refused.status_code == 429
        assert 0 < int(refused.headers["Retry-After"]) <= 600
        # Nobody may think that the client is gone: SDKs would forget it.
        assert "invalid_client" not in refused.text
        # What is known already, to be wrong or right, costs nothing.
        assert leg(f"{URL}/0").status_code in (400, 401)
    assert len(web.asked) == asked + 19
    # Nor is the copy of one renewed that a user let in, as anybody can be a user; it is used
    # as it is. One that was checked is renewed.
    pkce_clock.advance(301)
    assert flow.tokens()
    assert len(web.asked) == asked + 19
    run(app, "client", "update", URL, "--verified")
    assert flow.tokens()
    assert web.asked[asked + 19 :] == [URL]
    pkce_clock.advance(298)
    assert legs[0](f"{URL}/19").status_code == 400


@IN_BOTH
def test_renewals_of_what_nobody_let_in_are_counted_too(
    app: Flask, web: Web, pkce_clock: Clock
) -> None:
    pkce_clock.now, web.max_age = 1790000400 // 600 * 600 + 1, 300
    urls = [f"{URL}/{number}" for number in range(30)]
    web.documents |= {url: {**WEB, "client_id": url} for url in urls}
    program = app.test_client()

    def come() -> set[int]:
        form = {"grant_type": "authorization_code", "code": "x"}
        answers = [program.post("/oauth/token", data={**form, "client_id": url}) for url in urls]
        return {answer.status_code for answer in answers}

    assert come() == {400, 429}
    pkce_clock.advance(600)
    # The renewals come first.
    assert come() == {400, 429}
    assert len(web.asked) == 40
    web.is_down = True
    for _ in range(5):
        pkce_clock.advance(61)
        come()
    assert len(web.asked) == 40


def test_keys_of_strangers_are_counted_as_their_documents_are() -> None:
    urls = [f"{URL}/{number}" for number in range(11)]
    web = Web(*[{**SIGNED, "client_id": url, "jwks_uri": f"{url}/keys"} for url in urls])
    app = opened(web)
    server_of(app).clock = Clock(1790000400 // 600 * 600 + 1)

    def sign(url: str) -> TestResponse:
        form = {
            "grant_type": "authorization_code",
            "code": "x",
            "client_assertion": SIGNER.sign(claims(app, url)),
            "client_assertion_type": ASSERTION_TYPE,
        }
        return app.test_client().post("/oauth/token", data=form)

    assert [sign(url).status_code for url in urls] == [401] * 10 + [429]
    assert len(web.asked) == 20
    # Of one that was checked, they are fetched.
    run(app, "client", "update", urls[10], "--verified")
    web.documents[f"{urls[10]}/keys"] = SIGNER.jwks
    assert sign(urls[10]).get_json()["error"] == "invalid_grant"
    assert len(web.asked) == 22


def test_who_is_not_let_in_is_not_stored(app: Flask, flow: Flow) -> None:
    told: list[str] = []

    def listen(app: Flask, client_id: str) -> None:
        told.append(client_id)

    client_registered.connect(listen, app)
    page = flow.authorize()
    assert stored(app) is None
    flow.decide(page, "deny")
    assert stored(app) is None
    for _ in range(2):
        flow.allow()
    assert told == [URL]
    client = stored(app)
    assert (client.client_name, client.redirect_uris) == ("Web", [HOME])
    assert client.self_registered


def test_the_page_says_who_describes_it_and_where_it_leads(web: Web) -> None:
    app = opened(web)
    host, other = "Described at", "where the app is described"
    page = flow_of(app).authorize().text
    assert f'{host} <bdi dir="ltr">apps.example</bdi>' in page
    assert '<p class="pkce-host"><bdi dir="ltr">apps.example</bdi></p>' in page
    assert "Anybody with a web site can describe an app" in page
    assert "Known here since" in page
    assert other not in page
    assert "Not checked by" in page
    web.documents[URL] = changed(redirect_uris=["https://evil.example/cb", "http://localhost/"])
    app = opened(web)
    page = flow_of(app, uri="https://evil.example/cb").authorize().text
    assert '<p class="pkce-host"><bdi dir="ltr">evil.example</bdi></p>' in page
    assert f'This is not <bdi dir="ltr">apps.example</bdi>, {other}' in page
    page = flow_of(app, uri="http://localhost:1/").authorize().text
    assert "This is a program on this device." in page
    assert other not in page


def test_one_that_is_registered_here_is_described_nowhere(app: Flask) -> None:
    page = Flow(sign_in(app), register(app, self_registered=True)).authorize().text
    assert "escribe" not in page.replace("aria-describedby", "")


@pytest.mark.parametrize(
    ("uri", "asks_again"),
    [
        (HOME, False),
        ("https://eu.apps.example/cb", False),
        ("https://apps.example:8443/cb", False),
        ("https://example/cb", True),
        ("https://evilapps.example/cb", True),
        ("https://apps.example.evil.example/cb", True),
        (LOCAL, True),
        ("com.example.app:/cb", True),
    ],
)
def test_what_was_allowed_is_remembered_where_its_host_is(
    web: Web, uri: str, asks_again: bool
) -> None:
    web.documents[URL] = changed(redirect_uris=[uri])
    flow = flow_of(opened(web), uri=uri)
    flow.tokens()
    assert (flow.authorize().status_code == 200) is asks_again
    told = parameters_of(flow.authorize(prompt="none"))
    assert (told.get("error") == "consent_required") is asks_again


def test_who_asks_for_nothing_is_asked_about(flow: Flow) -> None:
    assert parameters_of(flow.authorize(scope="", prompt="none"))["error"] == "consent_required"
    assert flow.authorize(scope="").status_code == 200
    flow.tokens(scope="")
    assert flow.authorize(scope="").status_code == 302


@pytest.mark.parametrize(
    "changes",
    [
        {"client_name": "Your bank"},
        {"redirect_uris": [HOME, "https://apps.example/another"]},
        {"client_uri": "https://evil.example/"},
        {"policy_uri": "https://evil.example/"},
        {"tos_uri": "https://evil.example/"},
        {"client_uri": "left out"},
        {"post_logout_redirect_uris": ["https://evil.example/out"]},
        {"grant_types": ["authorization_code", "refresh_token", GRANT_TYPE]},
        {"id_token_signed_response_alg": "ES256"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_has_changed_is_asked_about_again(
    app: Flask, flow: Flow, web: Web, pkce_clock: Clock, changes: dict[str, Any]
) -> None:
    tokens = flow.tokens(scope="profile offline_access")
    run(app, "client", "update", URL, "--verified", "--skip-consent")
    web.documents[URL] = changed(**changes)
    pkce_clock.advance(3600)
    told = parameters_of(flow.authorize(prompt="none"))
    assert told["error"] == "consent_required"
    client = stored(app)
    assert (client.verified, client.skip_consent) == (False, False)
    # What was given goes on.
    assert flow.refresh(tokens["refresh_token"]).status_code == 200
    page = flow.authorize()
    assert changes.get("client_name", "Web") in page.text
    assert "Allowed before" not in page.text
    flow.decide(page)
    assert "code" in parameters_of(flow.authorize(prompt="none"))
    pkce_clock.advance(3600)
    assert "code" in parameters_of(flow.authorize(prompt="none"))


def test_one_that_signs_instead_is_asked_about_again(
    app: Flask, flow: Flow, web: Web, pkce_clock: Clock
) -> None:
    flow.tokens()
    run(app, "client", "update", URL, "--verified")
    web.documents[URL] = SIGNED
    pkce_clock.advance(3600)
    assert parameters_of(flow.authorize(prompt="none"))["error"] == "consent_required"
    assert not stored(app).verified


def test_new_keys_and_another_order_change_nothing() -> None:
    uris = [HOME, "https://apps.example/another"]
    document = {**SIGNED, "jwks": SIGNER.jwks, "jwks_uri": None, "redirect_uris": uris}
    web = Web(document)
    app = opened(web)
    clock = server_of(app).clock = Clock()
    flow = flow_of(app)
    flow.allow()
    run(app, "client", "update", URL, "--verified", "--skip-consent")
    web.documents[URL] = {**document, "jwks": OTHER.jwks, "redirect_uris": uris[::-1]}
    clock.advance(3600)
    assert "code" in parameters_of(flow.authorize(prompt="none"))
    client = stored(app)
    assert (client.verified, client.skip_consent, client.changed_at) == (True, True, 0)
    assert ask(app, OTHER, grant_type="refresh_token").status_code == 400


def test_a_new_limit_of_scopes_is_no_change_of_the_document(
    app: Flask, flow: Flow, web: Web, pkce_clock: Clock
) -> None:
    flow.tokens()
    run(app, "client", "update", URL, "--verified")
    server_of(app).settings.client_id_metadata_scopes.append("profile")
    pkce_clock.advance(3600)
    assert "code" in parameters_of(flow.authorize(prompt="none"))
    client = stored(app)
    assert (client.verified, client.scope) == (True, {"profile"})


def test_new_redirect_uris_have_new_origins(
    app: Flask, flow: Flow, web: Web, pkce_clock: Clock
) -> None:
    flow.tokens()
    web.documents[URL] = changed(redirect_uris=["https://new.apps.example/cb"])
    pkce_clock.advance(3600)
    assert flow.authorize().status_code == 400
    assert stored(app).speaks_from("https://new.apps.example")
    with app.app_context(), server_of(app).store.reading() as session:
        assert session.scalars(select(ClientOrigin.origin)).all() == ["https://new.apps.example"]


# What the operator sees.


def test_the_commands_know_it(app: Flask, flow: Flow, web: Web) -> None:
    flow.tokens()
    assert URL in run(app, "client", "list")
    assert json.loads(run(app, "client", "show", URL, "--json"))["document"]["changed_at"] == 0
    run(app, "client", "update", URL, "--verified")
    assert "Checked by" in flow.authorize(prompt="consent").text
    for words in (["--name", "Another"], ["--redirect-uri", HOME], ["--client-uri", HOME]):
        assert "The client's document sets this" in run(
            app, "client", "update", URL, *words, code=1
        )
    assert "already" in run(
        app, "client", "create", "--name", "x", "--type", "public", "--redirect-uri", HOME,
        "--client-id", URL, code=1,
    )  # fmt: skip
    assert "--document" not in run(app, "client", "update", "--help")
    web.is_down = True
    server_of(app).clock = Clock(server_of(app).now() + 3 * DAY)
    assert not is_known(app)
    assert URL in doctor(app)
    run(app, "client", "delete", URL)
    assert count(app) == 0
    assert "There is no client" in run(app, "client", "show", URL, code=1)


def test_one_can_be_checked_before_anybody_came(app: Flask, flow: Flow) -> None:
    run(app, "client", "update", URL, "--verified")
    assert "Checked by" in flow.authorize().text


def test_who_is_deleted_begins_anew(app: Flask, flow: Flow) -> None:
    token = flow.tokens(scope="profile offline_access")["refresh_token"]
    run(app, "client", "delete", URL)
    assert flow.refresh(token).get_json()["error"] == "invalid_grant"
    assert flow.authorize().status_code == 200


def test_prune_deletes_what_nobody_uses(
    app: Flask, flow: Flow, web: Web, pkce_clock: Clock
) -> None:
    def pruned() -> int:
        return json.loads(run(app, "prune", "--json"))["deleted"]["client_id_metadata"]

    flow.tokens()
    pkce_clock.advance(10 * DAY)
    # There is a consent.
    assert pruned() == 0
    form = {**hidden_fields(flow.browser.get("/oauth/apps").text), "remove": "all"}
    flow.browser.post("/oauth/apps", data=form)
    assert pruned() == 1
    assert stored(app) is None
    run(app, "client", "update", URL, "--verified")
    register(app, client_id="https://by.hand.example/x", self_registered=True)
    pkce_clock.advance(10 * DAY)
    assert pruned() == 0
    assert count(app) == 2


def test_prune_leaves_those_that_need_no_consent(app: Flask, flow: Flow, pkce_clock: Clock) -> None:
    run(app, "client", "update", URL, "--verified", "--skip-consent")
    flow.tokens()
    # Nobody came for a few days, and nothing was agreed to that could be remembered.
    pkce_clock.advance(10 * DAY)
    run(app, "prune")
    assert flow.authorize().status_code == 302


def test_doctor_says_where_documents_may_be(web: Web) -> None:
    about = "Clients may be described by documents at"
    assert f"{about} any host." in doctor(opened(web))
    narrow = opened(web, PKCE_CLIENT_ID_METADATA_ALLOW=["a.example", "b.example"])
    assert f"{about} a.example, b.example." in doctor(narrow)
    assert about not in doctor(make_app())


# What it costs.


def test_what_it_costs(tmp_path: Path) -> None:
    web = Web(WEB)
    app = opened(web, SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db")
    flow, expect = flow_of(app), Counted(app).expect
    ordinary = Flow(flow.browser, register(app), scope="profile")
    ordinary.tokens()
    # One that is not known, for which 3 count who came with it; and one that is.
    for statements, commits, client in ((5, 1, flow), (2, 0, ordinary)):
        with expect(statements, commits):
            assert client.authorize(prompt="consent").status_code == 200
    page = flow.authorize()
    # A registered one takes 5 and 1 commit; to store this one takes 4 and 1 more, once.
    with expect(9, 2):
        assert flow.decide(page).status_code == 303
    # Each of them is committed by itself.
    with expect(3, 0):
        assert flow.authorize().status_code == 302
    with expect(1, 0):
        assert is_known(app)
    with expect(4, 1):
        assert not is_known(app, f"{URL}/unknown")
    server_of(app).clock = Clock(server_of(app).now() + 3600)
    # When its life is over, the copy is written anew; 3 count who came.
    with expect(8, 2):
        assert is_known(app)
    with app.app_context():
        app.db.engine.dispose()
