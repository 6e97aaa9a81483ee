"""Keys: which signing key signs, which ones verify, and when they rotate (RFC 7517)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from ..models.base import changed_rows
from ..models.pruning import Listed
from ..models.signing_key import SigningKey
from ..models.store import Store
from ..wire.jws import ALGORITHMS, header_of
from .key_order import KeyOrder

if TYPE_CHECKING:
    from .key_material import LoadedKey


#: Seconds for which a worker trusts the keys it last read; the default lead is much longer.
_FRESH = 60
#: Seconds between two reads for a `kid` that the keys do not have: anybody can invent one.
_PAUSE = 5


class KeyRing:
    """The signing keys of one app, cached in this process.

    `secrets` returns what private keys may be encrypted with, each 32 bytes, the current one
    last. `clock` returns the time in epoch seconds. A new key is published `lead` seconds before
    it signs; an old key stays published for `keep` seconds after it was retired.
    """

    def __init__(
        self,
        store: Store,
        *,
        secrets: Callable[[], Sequence[bytes]],
        clock: Callable[[], int],
        lead: int,
        keep: int,
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._clock = clock
        self._lead = lead
        self._keep = keep
        self._keys: dict[str, LoadedKey] = {}
        self._published: list[dict[str, Any]] = []
        self._read_at: int | None = None
        self._missed_at = 0
        # One thread at a time reads and makes keys: an older read must not overwrite a newer
        # one, and one new key is enough.
        self._lock = threading.RLock()

    def prepare(self, *, again: bool = False) -> None:
        """Read the keys if the cache is stale or `again` is set, and make missing keys.

        Encrypt with the current secret what was encrypted with an earlier one. Call it before a
        unit of work that signs: signing itself does not use the database.
        """
        with self._lock:
            if again or not self._is_read_within(_FRESH):
                self.read()
            order = self._order()
            missing = [name for name in ALGORITHMS if order.active(name) is None]
            if missing:
                self._make(missing)
            outdated = [key for key in self._keys.values() if key.is_outdated]
            if outdated:
                self._encrypt(outdated)

    def sign(self, claims: Mapping[str, Any], algorithm: str, typ: str = "JWT") -> str:
        """Return `claims` as a JWT signed with the active key; call `prepare` first."""
        key = self._order().active(algorithm)
        if key is None:
            raise AssertionError("KeyRing.prepare was not called")
        return key.sign(claims, typ)

    def verify(self, text: str, typ: Collection[str]) -> dict[str, Any] | None:
        """Return the claims of a JWT signed with one of these keys, else None.

        Checks the signature and that the header's `typ` is one of `typ`, but not the times. The
        `kid` selects the key, and `alg` must be the key's own (RFC 8725 3.1).
        """
        header = header_of(text)
        kid, kind = header.get("kid"), header.get("typ")
        if not isinstance(kid, str) or not isinstance(kind, str) or kind.lower() not in typ:
            return None
        may_be_new = kid not in self._keys and abs(self._clock() - self._missed_at) >= _PAUSE
        if may_be_new or not self._is_read_within(_FRESH):
            # Another worker may have rotated the keys, or deleted compromised ones.
            self.read()
            if kid not in self._keys:
                self._missed_at = self._clock()
        key = self._keys.get(kid)
        if key is None or header.get("alg") != key.algorithm or "crit" in header:
            return None
        return key.verify(text)

    def published(self) -> list[dict[str, Any]]:
        """Return the JWKs of all keys that verifiers may need (RFC 7517).

        It is the same list until a key comes or goes. Keys that another process made or deleted
        may be missed for `_PAUSE` seconds.
        """
        self.prepare(again=not self._is_read_within(_PAUSE))
        order = self._order()
        kids = [key.kid for key in order.keys if not order.is_over(key, self._keep)]
        if [jwk["kid"] for jwk in self._published] != kids:
            self._published = [
                {**key.public_jwk, "kid": key.kid, "alg": key.algorithm, "use": "sig"}
                for key in map(self._keys.__getitem__, kids)
            ]
        return self._published

    def listed(self) -> list[tuple[LoadedKey, str]]:
        """Return every stored key with its state, next, active or retired, without making any."""
        self.read()
        order = self._order()
        return [(key, order.state(key)) for key in order.keys]

    def rotate(self, *, compromised: bool = False) -> list[str]:
        """Publish a new key for each algorithm, which signs after the lead; return their kids.

        If a rotation is already under way, return its keys instead. If the keys are
        `compromised`, delete all of them, which invalidates the tokens they signed, and let the
        new keys sign at once.
        """
        self.prepare(again=True)
        before = list(self._keys)
        if compromised:
            self._make(ALGORITHMS, replaced=before)
        else:
            under_way = {key.algorithm for key in self._order().upcoming(self._lead)}
            self._make(set(ALGORITHMS) - under_way, delay=self._lead)
        upcoming = self._order().upcoming(self._lead)
        return [key.kid for key in self._keys.values() if key.kid not in before or key in upcoming]

    def needless(self) -> Listed:
        """Return the keys that nobody needs for verification any more, for pruning.

        Those that this process cannot decrypt are kept: another one may still sign with them.
        """

        def find(session: Session) -> list[str]:
            self._read_in(session)
            order = self._order()
            keys = [key for key in order.keys if order.is_over(key, self._keep)]
            return [key.kid for key in keys if key.private is not None]

        def remove(session: Session, kid: str) -> bool:
            with self._lock:
                self._keys = {key.kid: key for key in self._keys.values() if key.kid != kid}
            return changed_rows(session, delete(SigningKey).where(SigningKey.kid == kid)) == 1

        return Listed(find, remove)

    def read(self) -> None:
        """Read the stored keys; those that are cached and have not changed are kept."""
        with self._store.reading() as session:
            self._read_in(session)

    def _read_in(self, session: Session) -> None:
        from .key_material import load

        secrets = self._secrets()
        with self._lock:
            rows = session.scalars(
                select(SigningKey).order_by(SigningKey.generation, SigningKey.algorithm)
            ).all()
            known = {(key.kid, key.encrypted): key for key in self._keys.values()}
            self._keys = {
                row.kid: known.get((row.kid, row.private_key)) or load(row, secrets) for row in rows
            }
            self._read_at = self._clock()

    def _order(self) -> KeyOrder:
        return KeyOrder(self._keys.values(), self._clock())

    def _is_read_within(self, seconds: int) -> bool:
        return self._read_at is not None and 0 <= self._clock() - self._read_at < seconds

    def _make(
        self, algorithms: Iterable[str], *, delay: int = 0, replaced: Collection[str] = ()
    ) -> None:
        """Store a key of the next generation for each of `algorithms`, unless another worker did.

        The keys sign after `delay` seconds. The keys with the kids `replaced` are deleted. In
        that case, a key that another worker made counts only if it already signs.
        """
        from .key_material import new_private_key, stored

        private_keys = {name: new_private_key(name) for name in algorithms}
        generations = {name: self._newest(name) for name in private_keys}
        now, secret = self._clock(), self._secrets()[-1]

        def work(session: Session) -> None:
            if replaced:
                session.execute(delete(SigningKey).where(SigningKey.kid.in_(replaced)))
            rows = session.scalars(select(SigningKey)).all()
            for name, private in private_keys.items():
                younger = [
                    row
                    for row in rows
                    if row.algorithm == name and row.generation > generations[name]
                ]
                if any(not replaced or row.active_from <= now for row in younger):
                    continue
                newest = max((row.generation for row in younger), default=generations[name])
                session.add(
                    SigningKey(
                        algorithm=name,
                        generation=newest + 1,
                        issued_at=now,
                        active_from=now + delay,
                        **stored(private, name, secret),
                    )
                )

        self._store.write(work)
        self.read()

    def _encrypt(self, keys: Iterable[LoadedKey]) -> None:
        """Store `keys` encrypted with the current secret, unless another worker did."""
        from .key_material import encrypt

        secret = self._secrets()[-1]
        renewed = [
            (key, encrypt(key.private, key.kid, secret)) for key in keys if key.private is not None
        ]

        def work(session: Session) -> None:
            for key, encrypted in renewed:
                is_as_read = SigningKey.kid == key.kid, SigningKey.private_key == key.encrypted
                statement = update(SigningKey).where(*is_as_read).values(private_key=encrypted)
                changed_rows(session, statement)

        self._store.write(work)
        self.read()

    def _newest(self, algorithm: str) -> int:
        return max(
            (key.generation for key in self._keys.values() if key.algorithm == algorithm),
            default=0,
        )
