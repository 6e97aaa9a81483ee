"""Handles: what a client holds, and how it is told from what it does not."""

from __future__ import annotations

import re

import pytest

from flask_pkce_server.wire.handle import (
    ACCESS,
    CODE,
    REFRESH,
    derive_handle,
    digest,
    is_handle,
    new_handle,
    new_identifier,
    new_secret,
)


@pytest.mark.parametrize("prefix", [CODE, ACCESS, REFRESH])
def test_a_handle_has_its_prefix_256_bits_and_a_checksum(prefix: str) -> None:
    handle = new_handle(prefix)
    assert re.fullmatch(prefix + "[A-Za-z0-9_-]{43}[A-Za-z0-9]{6}", handle)
    assert is_handle(handle)
    assert is_handle(handle, prefix)
    assert new_handle(prefix) != handle


def test_a_handle_that_was_cut_or_mistyped_is_told_without_the_database() -> None:
    handle = new_handle(ACCESS)
    middle = handle[20]
    for other in (
        handle[:-1],
        handle + "a",
        handle + "\n",
        " " + handle,
        handle[:20] + ("A" if middle != "A" else "B") + handle[21:],
        handle.upper(),
        "",
        "\x00",
    ):
        assert not is_handle(other), other


def test_a_handle_of_one_kind_is_not_one_of_another() -> None:
    assert not is_handle(new_handle(ACCESS), REFRESH)
    assert not is_handle(new_handle(CODE), ACCESS)


def test_a_successor_is_the_same_every_time_and_nobody_elses() -> None:
    parent, key = new_handle(REFRESH), b"k" * 32
    successor = derive_handle(REFRESH, key, parent)
    assert is_handle(successor, REFRESH)
    assert derive_handle(REFRESH, key, parent) == successor
    assert derive_handle(ACCESS, key, parent)[7:] != successor[7:]
    assert derive_handle(REFRESH, b"l" * 32, parent) != successor
    assert derive_handle(REFRESH, key, new_handle(REFRESH)) != successor


def test_a_digest_has_32_bytes() -> None:
    assert len(digest(new_handle(CODE))) == 32


def test_ids_and_secrets_are_letters_and_digits() -> None:
    # RFC 6749 2.3.1: percent-encoded or not, they read the same.
    for made in (new_secret(), new_identifier()):
        assert made.isascii()
        assert made.isalnum()
    assert len(new_secret()) == 48
    assert len({new_identifier() for _ in range(100)}) == 100
