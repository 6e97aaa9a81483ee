"""Row: one object in an export, read key by key with a type check for each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from .imported import Loss, UnfitExport

_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?"
    r" ?(?:(Z|UTC)|([+-])(\d\d):?(\d\d))?"
)
#: Texts that products write for a value that is unset or switched off.
_NOTHING = ("", "false", "DISABLED", "NONE", "none")


class Row:
    """An object in the file that records which of its keys were read.

    A null value counts as a missing key. The methods that read a value raise `UnfitExport` if
    it has the wrong type.
    """

    def __init__(self, content: Any, path: str) -> None:
        if not isinstance(content, dict):
            raise UnfitExport(f"{path} is not an object")
        self._content, self._path = content, path
        self._read: set[str] = set()

    @classmethod
    def of_file(cls, content: Any, name: str) -> Row:
        """Return the top-level object; a bare list becomes an object with the list as `name`."""
        if isinstance(content, list):
            return cls({name: content}, "")
        if not isinstance(content, dict):
            raise UnfitExport(f"it is neither a list of {name} nor an object with {name}")
        return cls(content, "")

    def path(self, name: str) -> str:
        """Return the path of the key `name` in the file."""
        return f"{self._path}.{name}" if self._path else name

    def has(self, name: str) -> bool:
        """Say whether the key `name` has a value."""
        return self._content.get(name) is not None

    def text(self, name: str) -> str | None:
        """Return a text, or None if it is missing."""
        value = self._take(name)
        return None if value is None else self._as_text(value, self.path(name))

    def needed_text(self, name: str) -> str:
        """Return a text that must be present and not empty."""
        return self.text(name) or self._missing(name)

    def key(self, name: str) -> str | None:
        """Return the key of another row, a text or an integer, as a text; None if missing."""
        value = self._take(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return None if value is None else self._as_text(value, self.path(name))

    def needed_key(self, name: str) -> str:
        """Return the key of another row; it must be present."""
        return self.key(name) or self._missing(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts without empty texts and duplicates."""
        values = self._list(name)
        texts = [self._as_text(text, f"{self.path(name)}[{at}]") for at, text in enumerate(values)]
        return tuple(dict.fromkeys(filter(None, texts)))

    def words(self, name: str) -> tuple[str, ...]:
        """Return the words of a text, separated by whitespace, without duplicates."""
        return tuple(dict.fromkeys((self.text(name) or "").split()))

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean, or `default` if it is missing; MySQL writes 1 and 0."""
        value = self._take(name)
        if value is None:
            return default
        if isinstance(value, bool) or value in (0, 1):
            return bool(value)
        raise UnfitExport(f"{self.path(name)} is not true or false")

    def milliseconds(self, name: str) -> int | None:
        """Return a time in milliseconds since the epoch as epoch seconds; None if it is missing."""
        value = self._take(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise UnfitExport(f"{self.path(name)} is not a number of milliseconds")
        return None if value is None else value // 1000

    def moment(self, name: str) -> int | None:
        """Return an ISO 8601 date and time in epoch seconds; None if it is missing.

        A text without a UTC offset is in UTC.
        """
        text = self.text(name)
        if text is None:
            return None
        match = _MOMENT.fullmatch(text)
        if match is None:
            raise UnfitExport(f"{self.path(name)} is not a date and time")
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
        offset = timedelta(hours=int(match[9] or 0), minutes=int(match[10] or 0))
        try:
            zone = timezone(-offset if match[8] == "-" else offset)
            return int(datetime(year, month, day, hour, minute, second, tzinfo=zone).timestamp())
        except ValueError:
            raise UnfitExport(f"{self.path(name)} is not a date and time") from None

    def row(self, name: str) -> Row:
        """Return an object; an empty one if it is missing."""
        value = self._take(name)
        return Row({} if value is None else value, self.path(name))

    def rows(self, name: str) -> list[Row]:
        """Return a list of objects; an empty one if it is missing."""
        values = self._list(name)
        return [Row(value, f"{self.path(name)}[{at}]") for at, value in enumerate(values)]

    def needed_rows(self, name: str) -> list[Row]:
        """Return a list of objects that must be present."""
        if not self.has(name):
            self._missing(name)
        return self.rows(name)

    def unread(self, meaningless: Iterable[str] = ()) -> tuple[Loss, ...]:
        """Return one loss for all keys that were not read, except the `meaningless` ones."""
        ignored = {*self._read, *meaningless}
        names = [
            name for name, value in self._content.items() if name not in ignored and _says(value)
        ]
        if not names:
            return ()
        return (Loss(", ".join(sorted(names)), "There is nothing like it here."),)

    def _take(self, name: str) -> Any:
        self._read.add(name)
        return self._content.get(name)

    def _list(self, name: str) -> list[Any]:
        value = self._take(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise UnfitExport(f"{self.path(name)} is not a list")
        return value

    def _missing(self, name: str) -> Any:
        raise UnfitExport(f"{self.path(name)} is missing")

    @staticmethod
    def _as_text(value: Any, path: str) -> str:
        if not isinstance(value, str):
            raise UnfitExport(f"{path} is not a text")
        # No database stores half a surrogate pair, and PostgreSQL does not store NUL.
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise UnfitExport(f"{path} has a character in it that no text has")
        return value


def _says(value: Any) -> bool:
    """Say whether `value` contains anything that is neither empty nor switched off."""
    if isinstance(value, dict):
        return any(map(_says, value.values()))
    if isinstance(value, list):
        return any(map(_says, value))
    return value not in _NOTHING if isinstance(value, str) else bool(value)
