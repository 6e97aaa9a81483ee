"""Key order: which signing key signs, which are published, and which are over.

The keys of an algorithm are ordered by generation, which counts them and so does not depend on
the clock. The clock only says which of them may sign already. It may be put back: whatever it
did, the key that signs is never retired, and so neither unpublished nor deleted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .key_material import LoadedKey


@dataclass(frozen=True)
class KeyOrder:
    """The order of `keys` at `now` (epoch seconds)."""

    keys: Collection[LoadedKey]
    now: int

    def active(self, algorithm: str) -> LoadedKey | None:
        """Return the key that signs, of those that this process can decrypt, None without one.

        It is the youngest that may sign already. After the clock was put back, there may be
        none: then it is the oldest, which verifiers have known for longest.
        """
        usable = [
            key for key in self.keys if key.algorithm == algorithm and key.private is not None
        ]
        started = [key for key in usable if key.active_from <= self.now]
        if started:
            return max(started, key=lambda key: key.generation)
        return min(usable, key=lambda key: key.generation, default=None)

    def state(self, key: LoadedKey) -> str:
        """Return `next`, `active` or `retired`."""
        if self._retired_at(key) is not None:
            return "retired"
        is_early = key.active_from > self.now and key is not self.active(key.algorithm)
        return "next" if is_early else "active"

    def upcoming(self, lead: int) -> list[LoadedKey]:
        """Return the keys that will sign within `lead` seconds: a rotation is under way."""
        return [
            key
            for key in self.keys
            if key.active_from <= self.now + lead and self.state(key) == "next"
        ]

    def is_over(self, key: LoadedKey, keep: int) -> bool:
        """Return whether `key` was retired at least `keep` seconds ago."""
        retired_at = self._retired_at(key)
        return retired_at is not None and retired_at + keep <= self.now

    def _retired_at(self, key: LoadedKey) -> int | None:
        """Return when a younger key replaced `key` (epoch seconds), None if none has."""
        younger = [
            other.active_from
            for other in self.keys
            if other.algorithm == key.algorithm
            and other.generation > key.generation
            and other.active_from <= self.now
            # A process that can decrypt `key` uses it until it can decrypt a younger one.
            and (other.private is not None or key.private is None)
        ]
        return min(younger, default=None)
