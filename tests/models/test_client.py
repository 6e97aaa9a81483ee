"""Clients: what is kept of them, and what never leaves."""

from __future__ import annotations

import json

import pytest
from flask import Flask

from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.models.client import Client
from flask_pkce_server.models.client_origin import is_of_any
from flask_pkce_server.models.client_storage import new_client, remove, save
from flask_pkce_server.protocol.registrar import check_columns
from flask_pkce_server.wire.handle import digest

URI = "https://client.example/cb"


def make(**changes) -> tuple[Client, str | None]:
    what = {
        "client_name": "Notebook",
        "redirect_uris": [URI],
        "auth_method": "client_secret_basic",
        "grant_types": ["authorization_code"],
        "now": 1,
        **changes,
    }
    return new_client(**what)


def test_only_the_digest_of_a_secret_is_kept() -> None:
    client, secret = make()
    assert secret is not None
    assert client.secret_digest == digest(secret)
    assert secret not in repr(client) + json.dumps(client.as_json())
    assert client.check_client_secret(secret)
    assert not client.check_client_secret(secret + "x")
    assert not client.check_client_secret("é")


def test_a_public_client_has_no_secret_that_could_fit() -> None:
    client, secret = make(auth_method="none")
    assert secret is None
    assert not client.check_client_secret("")


def test_no_client_of_a_stranger_skips_consent() -> None:
    ours, _ = make(skip_consent=True)
    theirs, _ = make(skip_consent=True, self_registered=True)
    assert (ours.skips_consent, theirs.skips_consent) == (True, False)
    theirs.client_metadata = {"verified": True}
    assert theirs.skips_consent
    theirs.skip_consent = False
    assert not theirs.skips_consent


def test_one_method_is_good_at_all_endpoints() -> None:
    client, _ = make()
    for endpoint in ("token", "revocation", "introspection"):
        assert client.check_endpoint_auth_method("client_secret_basic", endpoint)
        assert not client.check_endpoint_auth_method("none", endpoint)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_name": ""},
        {"client_name": "x" * 256},
        {"client_id": "x" * 256},
        {"client_id": "a b"},
        {"client_id": "a\nb"},
        {"auth_method": "tls_client_auth"},
        {"redirect_uris": []},
        {"origins": ["client.example"]},
        {"origins": ["https://client.example/"]},
        {"origins": ["https://client.example:443"]},
        {"origins": ["null"]},
        {"client_secret": "x" * 31},
    ],
)
def test_what_must_not_be_stored_is_refused(changes: dict) -> None:
    with pytest.raises(InvalidRequestError):
        check_columns(make(**changes)[0])


def test_origins_are_found_while_the_client_is_there(app: Flask) -> None:
    store = app.extensions["pkce"].store
    client, _ = make(origins=["http://localhost:5173", "https://client.example"])
    with app.app_context():
        store.write(lambda session: save(session, client))
        with store.reading() as session:
            assert is_of_any(session, "https://client.example")
            assert is_of_any(session, "http://localhost:5173")
            assert not is_of_any(session, "https://evil.example")
        assert client.speaks_from("https://client.example")
        assert not client.speaks_from("null")
        assert store.write(lambda session: remove(session, client.client_id))
        assert not store.write(lambda session: remove(session, client.client_id))
        with store.reading() as session:
            assert not is_of_any(session, "https://client.example")
