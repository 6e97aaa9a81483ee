"""Shown name: a name chosen by a stranger, such as a client_name, that pages can show."""

from __future__ import annotations

import re
import unicodedata

from ..errors import InvalidRequestError

_BLANKS = re.compile(r"[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
# Control characters, format characters, line separators, surrogates.
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Default_Ignorable_Code_Point of Unicode 16, and what is blank all the same.
_UNSEEN = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e0fff\u2800\U00016fe4\U0001d159]"
)
_NON_JOINER, _JOINER, _EMOJI_STYLE, _KEYCAP = "\u200c", "\u200d", "\ufe0f", "\u20e3"
_VIRAMA = 9


def check(name: str, field: str) -> None:
    """Refuse a name that a page could not show as it is; raises `InvalidRequestError`.

    Invisible characters make one name look like another (Unicode TR 36 2.5): for example those
    that change the text direction, and joiners, except where letters or emoji need them.
    """
    if not name.strip() or len(name) > 255:
        raise InvalidRequestError(f"{field} is a text of 1 to 255 characters.")
    if not is_fit(name):
        raise InvalidRequestError(f"{field} has a character in it that nobody sees.")


def is_fit(name: str) -> bool:
    """Return whether a page can show `name`, and no invisible characters can mislead users."""
    if not name.strip() or len(name) > 255:
        return False
    return all(
        _is_seen(character) or _is_needed(name[:place], character, name[place + 1 :])
        for place, character in enumerate(name)
    )


def collapse_blanks(name: str) -> str:
    """Return `name` with one space for any blanks in a row, and none at its ends."""
    return _BLANKS.sub(" ", name).strip()


def _is_seen(character: str) -> bool:
    is_unseen = _UNSEEN.match(character) is not None
    return not is_unseen and unicodedata.category(character) not in _UNSEEN_CATEGORIES


def _is_needed(before: str, character: str, after: str) -> bool:
    """Return whether `character` changes how the characters around it look (RFC 5892 A.1, A.2)."""
    last, following = before[-1:], after[:1]
    if character == _EMOJI_STYLE:
        return _is_symbol(last) or following == _KEYCAP
    if character == _JOINER and _is_symbol(last if last != _EMOJI_STYLE else before[-2:-1]):
        return _is_symbol(following)
    if character in (_JOINER, _NON_JOINER):
        around = last, following
        return any(map(_is_virama, around)) or all(map(_is_arabic, around))
    return False


def _is_symbol(character: str) -> bool:
    """Return whether `character` can be part of an emoji: a symbol or a skin tone."""
    return bool(character) and unicodedata.category(character) in ("So", "Sk")


def _is_virama(character: str) -> bool:
    return bool(character) and unicodedata.combining(character) == _VIRAMA


def _is_arabic(character: str) -> bool:
    """Return whether `character` is a letter of Arabic or of a script that joins likewise."""
    return bool(character) and unicodedata.bidirectional(character) == "AL"
