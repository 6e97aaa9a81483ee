"""Shown name: a name chosen by a stranger, such as a client_name, that pages can show."""

from __future__ import annotations

import re

from ..errors import InvalidRequestError

# Control characters, text directions and zero-width blanks; joiners next to ASCII.
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
    r"|(?:^|[\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?:$|[\x00-\x7f])"
)


def check(name: str, field: str) -> None:
    """Refuse a name that a page could not show as it is; raises `InvalidRequestError`.

    Invisible characters make one name look like another (Unicode TR 36 2.5): for example those
    that change the text direction, and joiners, except between letters that need them.
    """
    if not name.strip() or len(name) > 255:
        raise InvalidRequestError(f"{field} is a text of 1 to 255 characters.")
    if not is_fit(name):
        raise InvalidRequestError(f"{field} has a character in it that nobody sees.")


def is_fit(name: str) -> bool:
    """Return whether a page can show `name`, and no invisible characters can mislead users."""
    return bool(name.strip()) and len(name) <= 255 and not _UNSEEN.search(name)
