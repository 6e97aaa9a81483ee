"""Shown name: what nobody sees is refused, and what scripts and emoji need is kept."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.wire.shown_name import check, collapse_blanks, is_fit

#: DerivedCoreProperties.txt of Unicode 16: Default_Ignorable_Code_Point.
IGNORABLE = (
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip


def test_no_character_that_nobody_sees_is_in_a_name() -> None:
    unseen = {chr(code) for first, last in IGNORABLE for code in range(first, last + 1)}
    formats = {c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) == "Cf"}
    blank = {
        "\u2800",
        "\U00016fe4",
        "\U0001d159",
        "\u2028",
        "\u2029",
        "\0",
        "\n",
        "\x7f",
        "\x85",
        "\ud800",
    }
    for character in unseen | formats | blank:
        for name in (f"Claude{character}", f"{character}Claude", f"Cla{character}ude"):
            assert not is_fit(name), hex(ord(character))


@pytest.mark.parametrize(
    "name",
    [
        "Claude",
        "Zoë's café",
        "葛城さん",
        "한국어",
        "مدونة",
        "عربي ٣",
        # Persian: "it becomes".
        "می\u200cشود",
        # Hindi, Sinhala, Malayalam and Bengali: conjuncts, and letters that a virama does not join.
        "क्\u200dष",
        "क्\u200cष",
        "ශ්\u200dරී ලංකා",
        "അവന്\u200d",
        "র\u200d্য",
        # Emoji.
        "Hearts ❤️",
        "Couple 👩‍❤️‍👩",
        "Coder 👩🏽‍💻",
        "Flag 🏳️‍🌈",
        "No 1\ufe0f\u20e3",
        "🔑",
    ],
)
def test_a_name_that_can_be_read_is_fit(name: str) -> None:
    assert is_fit(name)
    check(name, "client_name")


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "x" * 256,
        # Between letters that they do not change.
        "Cla\u200dude",
        "Кл\u200dик",
        "Кл\u200cик",
        "é\u200dé",
        "漢\u200d字",
        "漢\ufe0f",
        # With only one of the two that they could join.
        "👩\u200d",
        "\u200d👩",
        "👩\u200dx",
        "م\u200c",
        "\u200c",
        "Claude\ufe0f",
        "1\ufe0f",
        "❤\ufe0f\ufe0f",
    ],
)
def test_a_name_that_looks_like_another_is_not(name: str) -> None:
    assert not is_fit(name)
    with pytest.raises(InvalidRequestError):
        check(name, "client_name")


def test_blanks_are_no_way_to_look_different() -> None:
    for blanks in ("  ", "\u2003" * 60, " \u00a0\u3000", "\u202f"):
        assert collapse_blanks(f"{blanks}My{blanks}app{blanks}") == "My app"
