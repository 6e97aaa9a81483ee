"""Row: one object of an export, read key by key, each of its own type."""

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
#: How products write that something is switched off.
_NOTHING = ("", "false", "DISABLED", "NONE", "none")


class Row:
    """An object of the file; it remembers which of its keys were read.

    Null is the same as a key that is not there. Every method raises `UnfitExport` for a
    value of another type.
    """

    def __init__(self, content: Any, path: str) -> None:
        if not isinstance(content, dict):
            raise UnfitExport(f"{path} is not an object")
        self._content, self._path = content, path
        self._read: set[str] = set()

    @classmethod
    def of_file(cls, content: Any, name: str) -> Row:
        """Return the whole file: an object, or a list of what an object has as `name`."""
        if isinstance(content, list):
            return cls({name: content}, "")
        if not isinstance(content, dict):
            raise UnfitExport(f"it is neither a list of {name} nor an object with {name}")
        return cls(content, "")

    def path(self, name: str) -> str:
        """Return where in the file the key `name` is."""
        return f"{self._path}.{name}" if self._path else name

    def has(self, name: str) -> bool:
        """Say whether there is a value for `name`."""
        return self._content.get(name) is not None

    def text(self, name: str) -> str | None:
        """Return a text."""
        value = self._take(name)
        return None if value is None else self._as_text(value, self.path(name))

    def needed_text(self, name: str) -> str:
        """Return a text that has to be there, with something in it."""
        return self.text(name) or self._missing(name)

    def key(self, name: str) -> str | None:
        """Return what names a row in another table, a text or a number, as a text."""
        value = self._take(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return None if value is None else self._as_text(value, self.path(name))

    def needed_key(self, name: str) -> str:
        """Return a key that has to be there."""
        return self.key(name) or self._missing(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts, each once and none of them empty."""
        values = self._list(name)
        found = [self._as_text(one, f"{self.path(name)}[{at}]") for at, one in enumerate(values)]
        return tuple(dict.fromkeys(filter(None, found)))

    def words(self, name: str) -> tuple[str, ...]:
        """Return the words of a text, each once: what stands between blanks."""
        return tuple(dict.fromkeys((self.text(name) or "").split()))

    def flag(self, name: str, default: bool = False) -> bool:
        """Return true or false; MySQL writes them as 1 and 0."""
        value = self._take(name)
        if value is None:
            return default
        if isinstance(value, bool) or value in (0, 1):
            return bool(value)
        raise UnfitExport(f"{self.path(name)} is not true or false")

    def milliseconds(self, name: str) -> int | None:
        """Return a number of milliseconds since the epoch, in seconds."""
        value = self._take(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise UnfitExport(f"{self.path(name)} is not a number of milliseconds")
        return None if value is None else value // 1000

    def moment(self, name: str) -> int | None:
        """Return a date and time of ISO 8601 in epoch seconds; in UTC where it says nothing."""
        text = self.text(name)
        if text is None:
            return None
        found = _MOMENT.fullmatch(text)
        if found is None:
            raise UnfitExport(f"{self.path(name)} is not a date and time")
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
        ahead = timedelta(hours=int(found[9] or 0), minutes=int(found[10] or 0))
        try:
            zone = timezone(-ahead if found[8] == "-" else ahead)
            return int(datetime(year, month, day, hour, minute, second, tzinfo=zone).timestamp())
        except ValueError:
            raise UnfitExport(f"{self.path(name)} is not a date and time") from None

    def row(self, name: str) -> Row:
        """Return an object; an empty one where there is none."""
        value = self._take(name)
        return Row({} if value is None else value, self.path(name))

    def rows(self, name: str) -> list[Row]:
        """Return a list of objects."""
        values = self._list(name)
        return [Row(one, f"{self.path(name)}[{at}]") for at, one in enumerate(values)]

    def needed_rows(self, name: str) -> list[Row]:
        """Return a list of objects that has to be there."""
        if not self.has(name):
            self._missing(name)
        return self.rows(name)

    def unread(self, meaningless: Iterable[str] = ()) -> tuple[Loss, ...]:
        """Return as a loss what nobody read of it, but what is `meaningless` elsewhere."""
        passed = {*self._read, *meaningless}
        names = [
            name for name, value in self._content.items() if name not in passed and _says(value)
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
        # No database takes them: halves of a character, and on PostgreSQL the zero.
        if "\0" in value or any("\ud800" <= one <= "\udfff" for one in value):
            raise UnfitExport(f"{path} has a character in it that no text has")
        return value


def _says(value: Any) -> bool:
    """Say whether `value` says anything: not if it is empty, or all in it is switched off."""
    if isinstance(value, dict):
        return any(map(_says, value.values()))
    if isinstance(value, list):
        return any(map(_says, value))
    return value not in _NOTHING if isinstance(value, str) else bool(value)
