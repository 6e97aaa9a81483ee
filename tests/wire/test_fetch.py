"""Fetch: what a stranger names is asked for in public only, and leads nowhere (SSRF)."""

from __future__ import annotations

import contextlib
import gzip
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from flask_pkce_server.errors import TemporarilyUnavailable
from flask_pkce_server.wire.fetch import (
    Fetcher,
    FetchError,
    dial,
    is_fetchable,
    is_public,
    resolve,
    tls,
)
from flask_pkce_server.wire.fetch_limit import MAX_FETCHES

from ..website import PUBLIC, Website, answer

URI = "https://keys.example/jwks.json"


@pytest.fixture(scope="module")
def shared_website(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    website = Website(tmp_path_factory.mktemp("website"))
    yield website
    website.close()


@pytest.fixture
def website(shared_website: Website) -> Website:
    shared_website.pieces, shared_website.pause = [answer()], 0.0
    shared_website.requests.clear()
    shared_website.dialled.clear()
    return shared_website


def refused(fetcher: Fetcher, uri: str = URI) -> None:
    """Assert that nothing comes, and that nobody learns why."""
    with pytest.raises(FetchError) as raised:
        fetcher.get_json(uri)
    assert str(raised.value) == "The document could not be fetched."
    assert raised.value.__context__ is None


def test_a_document_is_fetched_from_the_address_that_was_looked_at(website: Website) -> None:
    assert website.fetcher().get_json(URI + "?a=b") == {"keys": []}
    assert website.dialled == [(PUBLIC, 443)]
    lines = website.requests[0].split("\r\n")
    assert lines[0] == "GET /jwks.json?a=b HTTP/1.1"
    assert {"Host: keys.example", "Accept-Encoding: identity"} <= set(lines)


def test_a_name_is_looked_up_once(website: Website) -> None:
    # DNS rebinding: a second answer may be another one.
    answers = iter([[PUBLIC]])
    fetcher = Fetcher(
        resolve=lambda host, port: next(answers), dial=website.dial, tls=website.trusted
    )
    assert fetcher.get_json("https://keys.example:8443") == {"keys": []}
    assert website.dialled == [(PUBLIC, 8443)]
    assert website.requests[0].startswith("GET / HTTP/1.1\r\nHost: keys.example:8443\r\n")


@pytest.mark.parametrize(
    "uri",
    [
        "http://keys.example/",
        "ftp://keys.example/",
        "file:///etc/passwd",
        "https://localhost/",
        "https://keys/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://0x7f.0.0.0x1/",
        "https://2130706433/",
        "https://[::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[::ffff:127.0.0.1]/",
        "https://93.184.215.14/",
        "https://user@keys.example/",
        "https://user:secret@keys.example/",
        "https://keys.example@127.0.0.1/",
        "https://keys.example:0/",
        "https://keys.example:123456/",
        "https://keys.example:22/",
        "https://keys.example:25/",
        "https://keys.example:80/",
        "https://keys.example:1023/",
        "https://keys.example:65536/",
        "https://keys.example:99999/",
        "https://keys.example/#fragment",
        "https://keys.example/a b",
        "https://keys.example/\r\nHost: other",
        "https://keys.example/\x00",
        "https://kéys.example/",
        "https://keys.example\\@127.0.0.1/",
        "https://keys..example/",
        "https://keys.example./",
        "https://keys.example/" + "a" * 3000,
        "",
    ],
)
def test_what_is_no_public_https_uri_is_never_dialled(website: Website, uri: str) -> None:
    assert not is_fetchable(uri)
    refused(website.fetcher(), uri)
    assert website.dialled == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",  # noqa: S104 - to be refused
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:93.184.215.14",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "2606:2800:220:1::1%eth0",
        "fec0::1",
        "ff02::1",
        "nonsense",
    ],
)
def test_an_address_that_is_not_public_is_never_dialled(website: Website, address: str) -> None:
    assert not is_public(address)
    refused(website.fetcher(address))
    # Nor where only one of several is: the next look-up could give it first.
    refused(website.fetcher(PUBLIC, address))
    assert website.dialled == []


def test_public_addresses_are_public() -> None:
    assert is_public(PUBLIC)
    assert is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")


@pytest.mark.parametrize(
    "sent",
    [
        answer(status="302 Found", Location="https://keys.example/other"),
        answer(status="307 Temporary Redirect", Location="http://127.0.0.1/"),
        answer(status="404 Not Found"),
        answer(status="204 No Content"),
        answer(status="500 Oh"),
        answer(Content_Type="text/html"),
        answer(Content_Type="application/javascript"),
        answer(gzip.compress(b'{"keys": []}'), Content_Encoding="gzip"),
        answer(gzip.compress(b"{}" + b" " * 10_000_000), Content_Encoding="gzip"),
        answer(b"{}" + b" " * 16_384),
        answer(b"", Content_Length="99999999999", Content_Type="application/json"),
        answer(b"[1]"),
        answer(b"{"),
        answer(b"\xff\xfe"),
        answer(b"", Content_Length="-5"),
        b"",
        b"HTTP/9.9 nonsense\r\n\r\n",
        b"\x00" * 100,
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n{}",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 60_000 + b"\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1;" + b"x" * 60_000 + b"\r\n{\r\n",
    ],
)  # fmt: skip
def test_whatever_is_wrong_the_answer_is_the_same(website: Website, sent: bytes) -> None:
    website.pieces = [sent]
    refused(website.fetcher())
    assert len(website.requests) == 1


def test_json_of_many_levels_is_read_or_refused(website: Website) -> None:
    # How many levels Python reads differs from version to version; none may bring it down.
    website.pieces = [answer(b'{"a":' + b"[" * 8000 + b"]" * 8000 + b"}")]
    with contextlib.suppress(FetchError):
        assert isinstance(website.fetcher().get_json(URI)["a"], list)


def test_documents_of_up_to_16_kb_come_in_chunks_too(website: Website) -> None:
    body = b'{"a": "' + b"x" * (16_384 - 9) + b'"}'
    website.pieces = [answer(body)]
    assert len(website.fetcher().get_json(URI)["a"]) == 16_375
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/jwk-set+json; charset=utf-8\r\n"
    website.pieces = [head + b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\n{}\r\n0\r\n\r\n"]
    assert website.fetcher().get_json(URI) == {}


@pytest.mark.parametrize(
    ("said", "max_age"),
    [
        ({}, None),
        ({"Cache_Control": "max-age=600"}, 600),
        ({"Cache_Control": 'Public,MAX-AGE="600"'}, 600),
        ({"Cache_Control": "max-age=600", "Age": "100"}, 500),
        ({"Cache_Control": "max-age=600", "Age": "1000"}, 0),
        ({"Cache_Control": "max-age=600", "Age": "soon"}, 600),
        ({"Cache_Control": "max-age=600, no-cache"}, 0),
        ({"Cache_Control": "no-store"}, 0),
        ({"Cache_Control": "s-maxage=9, x-max-age=9, public"}, None),
        ({"Cache_Control": "max-age=-1"}, None),
        ({"Cache_Control": "max-age=" + "9" * 50}, None),
    ],
)
def test_the_host_says_how_long_a_document_may_be_kept(
    website: Website, said: dict[str, str], max_age: int | None
) -> None:
    # RFC 9111 4.2
    website.pieces = [answer(**said)]
    assert website.fetcher().get_document(URI).max_age == max_age


@pytest.mark.parametrize("port", [443, 1024, 8443, 65535])
def test_ports_of_the_web_are_dialled(website: Website, port: int) -> None:
    assert website.fetcher().get_json(f"https://keys.example:{port}/") == {"keys": []}
    assert website.dialled == [(PUBLIC, port)]


def test_a_slow_drip_ends_with_the_time(website: Website) -> None:
    # Each byte comes before a timeout of its own would strike.
    website.pieces, website.pause = [bytes([byte]) for byte in answer()], 0.02
    began = time.monotonic()
    refused(website.fetcher(seconds=0.3))
    assert 0.2 < time.monotonic() - began < 1.5


def test_a_slow_resolver_ends_with_the_time(website: Website) -> None:
    hang = threading.Event()

    def slow(host: str, port: int) -> list[str]:
        hang.wait(5)
        return [PUBLIC]

    refused(Fetcher(resolve=slow, dial=website.dial, tls=website.trusted, seconds=0.1))
    hang.set()
    assert website.dialled == []


def test_names_that_hang_are_looked_up_by_no_more_than_so_many_threads(website: Website) -> None:
    hang = threading.Event()

    def slow(host: str, port: int) -> list[str]:
        hang.wait(20)
        return [PUBLIC]

    fetcher = Fetcher(resolve=slow, dial=website.dial, tls=website.trusted, seconds=0.02)
    try:
        for _ in range(32):
            refused(fetcher)
        assert sum(thread.name == "resolver" for thread in threading.enumerate()) == 32
        # Nobody waits for them to end, and nobody is told that there is no document.
        began = time.monotonic()
        with pytest.raises(TemporarilyUnavailable):
            website.fetcher().get_json(URI)
        assert time.monotonic() - began < 1
    finally:
        hang.set()
    while any(thread.name == "resolver" for thread in threading.enumerate()):
        time.sleep(0.01)
    assert website.fetcher().get_json(URI) == {"keys": []}


def test_whoever_fetches_all_of_a_process_fetch_few_at_once(website: Website) -> None:
    hang, asked = threading.Event(), threading.Semaphore(0)

    def slow(host: str, port: int) -> list[str]:
        asked.release()
        hang.wait(20)
        return [PUBLIC]

    slow_fetcher = Fetcher(resolve=slow, dial=website.dial, tls=website.trusted)
    with ThreadPoolExecutor(MAX_FETCHES) as pool:
        fetches = [pool.submit(slow_fetcher.get_json, URI) for _ in range(MAX_FETCHES)]
        try:
            assert all(asked.acquire(timeout=20) for _ in fetches)
            began = time.monotonic()
            # Another app of the process, another host.
            with pytest.raises(TemporarilyUnavailable):
                website.fetcher().get_json(URI)
            assert 0.9 < time.monotonic() - began < 3
        finally:
            hang.set()
        assert [fetch.result(20) for fetch in fetches] == [{"keys": []}] * MAX_FETCHES
    assert website.fetcher().get_json(URI) == {"keys": []}


def unknown_name(host: str, port: int) -> list[str]:
    raise socket.gaierror("no such name")


def no_address(host: str, port: int) -> list[str]:
    return []


@pytest.mark.parametrize("nowhere", [unknown_name, no_address])
def test_a_name_that_leads_nowhere(website: Website, nowhere: Callable) -> None:
    refused(Fetcher(resolve=nowhere, dial=website.dial, tls=website.trusted))


def test_the_certificate_is_of_the_name_and_of_a_known_authority(website: Website) -> None:
    refused(website.fetcher(), "https://other.example/")
    refused(Fetcher(resolve=lambda host, port: [PUBLIC], dial=website.dial))
    assert website.requests == []


def test_only_the_log_says_why(website: Website, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flask_pkce_server")
    refused(website.fetcher("10.0.0.1"))
    assert "not public" in caplog.text


def test_what_a_stranger_answers_is_one_short_line_of_the_log(
    website: Website, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    website.pieces = [b"x\rERROR all is lost" + b"x" * 9000 + b"\r\n\r\n"]
    refused(website.fetcher())
    assert "BadStatusLine" in caplog.text
    assert "\r" not in caplog.text
    assert len(caplog.text) < 500


def test_names_are_looked_up_and_addresses_dialled_for_real(website: Website) -> None:
    assert {"127.0.0.1", "::1"} & {*resolve("localhost", 443)}
    host, port = website.listening.getsockname()
    with dial(host, port, 5) as connection:
        assert connection.getpeername() == (host, port)
    assert tls().check_hostname
