"""Redirect URIs: which may be registered, and which a request may name."""

from __future__ import annotations

import pytest

from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.wire.redirect_uri import (
    matches,
    origin_of,
    refuse_unfit,
    shown_host,
    warnings,
)


@pytest.mark.parametrize(
    "uri",
    [
        "https://client.example",
        "https://client.example/cb?x=1&y",
        "https://client.example:8443/a;p=1/%20",
        "https://xn--bcher-kva.example/cb",
        "https://my_team.client.example/cb",
        "https://_client.example/cb",
        "https://CLIENT.example/cb",
        "https://client/cb",
        "https://93.184.215.14/cb",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:8443/cb",
        "http://127.0.0.1/cb",
        "http://localhost:8787/callback",
        "http://[::1]:9/cb",
        "com.example.app:/oauth2redirect",
        "MyApp://cb",
        "cursor://anysphere.cursor-mcp/oauth/callback",
    ],
)
def test_what_may_be_registered(uri: str) -> None:
    refuse_unfit(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/cb",
        "client.example/cb",
        "https://",
        "https:///cb",
        "https://client.example/#",
        "https://client.example/#x",
        "https://*.example/cb",
        "https://user@client.example/cb",
        "https://user:pw@client.example/cb",
        "http://localhost:80@evil.example/cb",
        "http://client.example/cb",
        "http://evil.example",
        "http://127.0.0.1.evil.example/cb",
        "http://[::ffff:127.0.0.1]/cb",
        "http://2130706433/cb",
        "http://0.0.0.0/cb",
        "https://client.example/a/../b",
        "https://client.example/.",
        "https://client.example:port/cb",
        "https://client.example:99999/cb",
        "https://client.example:/cb",
        "https://client;sandbox/cb",
        "https://client.example;sandbox/cb",
        "https://client.example,default-src/cb",
        "https://client.example;x:8443/cb",
        "https://client.example%3b/cb",
        "https://%63lient.example/cb",
        "https://client!.example/cb",
        "https://client$.example/cb",
        "https://(client).example/cb",
        "https://client'.example/cb",
        "https://client=.example/cb",
        "https://client&.example/cb",
        "https://client~.example/cb",
        "https://-client.example/cb",
        "https://client-.example/cb",
        "https://client..example/cb",
        "https://.client.example/cb",
        "https://client.example./cb",
        "https://" + "a" * 64 + ".example/cb",
        "https://[::1%25eth0]/cb",
        "https://[client]/cb",
        "https://client.example/\ncb",
        "https://client.example/\tcb",
        "https://client.example/c b",
        "https://client.example\\@evil.example/",
        "https://büch.example/cb",
        'https://client.example/"><script>',
        "https://client.example/%zz",
        "https://client.example/cb?code=1",
        "https://client.example/cb?state=x",
        "https://client.example/cb?iss",
        "javascript:alert(1)",
        "JavaScript://a/%0aalert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "vbscript:x",
        "blob:https://client.example/x",
        "https://client.example/" + "a" * 2000,
    ],
)
def test_what_may_not(uri: str) -> None:
    with pytest.raises(InvalidRequestError):
        refuse_unfit(uri)


@pytest.mark.parametrize(
    ("registered", "presented"),
    [
        ("https://client.example/cb", "https://client.example/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"),
        ("http://127.0.0.1:80/cb", "http://127.0.0.1:51004/cb"),
        ("http://[::1]/cb", "http://[::1]:51004/cb"),
        ("http://localhost/cb?x=1", "http://localhost:3000/cb?x=1"),
        ("http://127.0.0.1", "http://127.0.0.1:33418"),
        ("http://127.0.0.1:33418", "http://127.0.0.1:33418/"),
        ("http://127.0.0.1:33418/", "http://127.0.0.1:50000"),
        ("com.example.app:/cb", "com.example.app:/cb"),
    ],
)
def test_what_matches(registered: str, presented: str) -> None:
    # RFC 9700 4.1.3, RFC 8252 7.3
    assert matches(registered, presented)


@pytest.mark.parametrize(
    ("registered", "presented"),
    [
        ("https://client.example/cb", "https://client.example/cb/"),
        ("https://client.example", "https://client.example/"),
        ("http://127.0.0.1", "http://127.0.0.1?"),
        ("https://client.example/cb", "https://client.example/cb?"),
        ("https://client.example/cb", "https://client.example/cb?x=1"),
        ("https://client.example/cb", "https://client.example/cb#"),
        ("https://client.example/cb", "https://client.example/cb;p=1"),
        ("https://client.example/cb", "https://CLIENT.example/cb"),
        ("https://client.example/cb", "HTTPS://client.example/cb"),
        ("https://client.example/cb", "https://client.example:443/cb"),
        ("https://client.example/cb", "https://client.example:444/cb"),
        ("https://client.example/cb", "https://client.example/%63b"),
        ("https://client.example/cb", "https://client.example/./cb"),
        ("https://client.example/cb", "http://client.example/cb"),
        ("https://client.example/cb", "https://client.example@evil.example/cb"),
        ("http://127.0.0.1/cb", "http://localhost/cb"),
        ("http://127.0.0.1/cb", "http://[::1]/cb"),
        ("http://127.0.0.1/cb", "https://127.0.0.1/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:80@evil.example/cb"),
        ("http://127.0.0.1/cb", "http://user@127.0.0.1/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:99999/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:080/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:80/cb?"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:80/CB"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:80/cb\n"),
        ("http://127.0.0.1/cb", "ht\ttp://127.0.0.1/cb"),
        ("http://127.0.0.1/cb", "http://[::ffff:127.0.0.1]/cb"),
        ("http://127.0.0.1/cb", "http://127.1/cb"),
        ("com.example.app:/cb", "com.example.app:///cb"),
        ("MyApp://cb", "myapp://cb"),
    ],
)
def test_what_does_not(registered: str, presented: str) -> None:
    assert not matches(registered, presented)


@pytest.mark.parametrize(
    ("uri", "origin"),
    [
        ("https://Client.example:443/cb", "https://client.example"),
        ("https://my_team.client.example/cb", "https://my_team.client.example"),
        ("http://[::1]:9/cb", "http://[::1]:9"),
        ("com.example.app:/cb", None),
        ("https:///cb", None),
        # As an earlier version may have stored it.
        ("https://client.example;sandbox/cb", None),
        ("https://client.example,default-src", None),
    ],
)
def test_an_origin_is_fit_for_a_header(uri: str, origin: str | None) -> None:
    assert origin_of(uri) == origin


def test_a_scheme_without_a_dot_is_a_warning() -> None:
    assert warnings("cursor://cb")
    assert not warnings("com.example.app:/cb")
    assert not warnings("https://client.example/cb")


def test_a_person_is_shown_the_host_or_the_scheme() -> None:
    assert shown_host("https://client.example:8443/cb?x") == "client.example:8443"
    assert shown_host("com.example.app:/cb") == "com.example.app:"
