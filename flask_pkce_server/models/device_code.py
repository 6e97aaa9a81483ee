"""Device code: what a device polls with while its user decides elsewhere (RFC 8628 3.2)."""

from __future__ import annotations

import hmac
import re
import secrets
import unicodedata
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, or_, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapped, Session, foreign, mapped_column, relationship

from .base import NOW, Base, Digest, EpochSeconds, Identifier, changed_rows
from .ephemeral import Ephemeral
from .grant import OF_GRANT, Grant, as_read, stands
from .lookup import Joined, Lookup
from .pruning import Expired
from .statement import Statement
from .token import has_valid_token

#: RFC 8628 6.1: no vowels, so that no code spells a word, and no characters that look alike.
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_USER_CODE = re.compile(f"[{LETTERS}]{{8}}")
_IGNORED = re.compile(r"[\s\-_.\u2010-\u2015\u2212]+")
_MAX_TYPED = 64
#: RFC 8628 3.5: seconds added to the interval of a device that polls too often.
_SLOWER_BY = 5
#: Seconds that a poll may arrive early, since network delays vary.
_JITTER = 1
#: Wrong user codes within `guess.WINDOW`: of one user, and of all users together.
WRONG_OF_USER, WRONG_OF_ALL = 5, 1000


class DeviceCode(Base):
    """A device code, stored by its digest, with the grant that the user decided on.

    A consumed row is kept until the tokens issued for the code have expired: this
    distinguishes a second use from an unknown code.
    """

    __tablename__ = "pkce_device_code"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    #: Keyed: eight letters are quickly found from their plain SHA-256.
    user_code_digest: Mapped[bytes] = mapped_column(Digest, unique=True)
    client_id: Mapped[str] = mapped_column(Identifier, index=True)
    #: What the user allowed; None until then.
    grant_id: Mapped[str | None] = mapped_column(Identifier, index=True)
    #: RFC 7636 4.2; None if the device sent none.
    code_challenge: Mapped[str | None] = mapped_column(Identifier)
    #: The parameters of the request, checked again when the user is known.
    parameters: Mapped[dict[str, Any]]
    #: Seconds between two polls of the device.
    poll_interval: Mapped[int]
    last_polled_at: Mapped[int | None]
    issued_at: Mapped[int]
    expires_at: Mapped[int] = mapped_column(EpochSeconds, index=True)
    denied_at: Mapped[int | None]
    consumed_at: Mapped[int | None]

    grant: Mapped[Grant | None] = relationship(
        primaryjoin=lambda: foreign(DeviceCode.grant_id) == Grant.grant_id,
        lazy="joined",
        viewonly=True,
    )

    def __repr__(self) -> str:
        return f"<DeviceCode of {self.client_id}>"


STORED_DEVICE_CODE = Lookup(
    DeviceCode,
    DeviceCode.digest == bindparam("digest"),
    Joined(DeviceCode, "grant", Grant, DeviceCode.grant_id == Grant.grant_id, is_optional=True),
    OF_GRANT,
)


def new_user_code() -> str:
    """Generate a user code: 8 letters, 34.6 bits."""
    return "".join(secrets.choice(LETTERS) for _ in range(8))


def keyed_digest(key: bytes, user_code: str) -> bytes:
    """Return the digest that is stored for `user_code`: HMAC-SHA-256 with `key`."""
    return hmac.digest(key, user_code.encode(), "sha256")


def shown(user_code: str) -> str:
    """Return `user_code` as it is shown to users: WDJB-MJHT."""
    return f"{user_code[:4]}-{user_code[4:]}"


def read_user_code(typed: str) -> str | None:
    """Return the user code in `typed`, or None if there is none.

    Ignores case, spaces, dashes, underscores and dots; accepts full-width letters (RFC 8628
    6.1).
    """
    if len(typed) > _MAX_TYPED:
        return None
    code = _IGNORED.sub("", unicodedata.normalize("NFKC", typed)).upper()
    return code if _USER_CODE.fullmatch(code) else None


def waiting(session: Session, user_code_digests: list[bytes], now: int) -> DeviceCode | None:
    """Return the device code with this user code, if the user has yet to decide.

    `user_code_digests` are its keyed digests with the keys that are accepted.
    """
    return session.scalars(
        select(DeviceCode).where(
            DeviceCode.user_code_digest.in_(user_code_digests), _is_undecided(now)
        )
    ).first()


def enter(
    ephemeral: Ephemeral, user_code_digests: list[bytes], subject: str, now: int
) -> DeviceCode | None:
    """Return the device code whose user code `subject` typed; None if it is wrong.

    `user_code_digests` are as in `waiting`. Raises `guess.TooManyGuesses` after too many wrong
    codes, even if this one is right.
    """
    limits = {f"user code of {subject}": WRONG_OF_USER, "user code": WRONG_OF_ALL}
    return ephemeral.write(
        lambda session: waiting(session, user_code_digests, now),
        limits,
        now,
        is_free=lambda code: code is not None,
    )


def approve(session: Session, code: DeviceCode, grant: Grant, now: int) -> bool:
    """Store what the user granted; of concurrent decisions, only one gets True."""
    is_first = _decide(session, code, {"grant_id": grant.grant_id}, now)
    if is_first:
        session.add(grant)
    return is_first


def deny(session: Session, code: DeviceCode, now: int) -> bool:
    """Store that the user denies the request; return whether it was still undecided."""
    return _decide(session, code, {"denied_at": now}, now)


def poll(session: Session, code: DeviceCode, now: int) -> bool:
    """Store that the device polled; return whether it waited for its interval.

    If it did not, its interval grows (RFC 8628 3.5).
    """
    is_same = DeviceCode.digest == code.digest
    in_time = or_(
        DeviceCode.last_polled_at.is_(None),
        DeviceCode.last_polled_at + DeviceCode.poll_interval - _JITTER <= now,
    )
    if changed_rows(session, update(DeviceCode).where(is_same, in_time).values(last_polled_at=now)):
        return True
    penalty = {"poll_interval": DeviceCode.poll_interval + _SLOWER_BY, "last_polled_at": now}
    changed_rows(session, update(DeviceCode).where(is_same).values(penalty))
    return False


_CONSUME = {
    has_challenge: Statement(
        update(DeviceCode.__table__)  # type: ignore[arg-type]
        .where(
            DeviceCode.digest == bindparam("of_digest"),
            DeviceCode.grant_id == bindparam("of_grant"),
            DeviceCode.code_challenge == bindparam("proof")
            if has_challenge
            else DeviceCode.code_challenge.is_(None),
            DeviceCode.consumed_at.is_(None),
            DeviceCode.expires_at > NOW,
            stands(),
        )
        .values(consumed_at=NOW)
    )
    for has_challenge in (True, False)
}


def consume(
    connection: Connection, code: DeviceCode, grant: Grant, code_challenge: str | None, now: int
) -> bool:
    """Consume `code` if it has this `code_challenge` and `grant` still stands.

    Return whether it worked.

    One atomic UPDATE decides: of any number of concurrent redemptions, only one gets True.
    """
    statement, read = _CONSUME[code_challenge is not None], as_read(grant, now)
    values = {**read, "of_digest": code.digest, "proof": code_challenge}
    return statement.count(connection, **values) == 1


def expired(now: int) -> Expired:
    """Return the expired codes whose tokens have expired too, for pruning."""
    return Expired(
        DeviceCode.expires_at,
        now,
        lambda code: and_(code.consumed_at.is_not(None), has_valid_token(code, now)),
    )


def _decide(session: Session, code: DeviceCode, values: dict[str, Any], now: int) -> bool:
    statement = (
        update(DeviceCode)
        .where(DeviceCode.digest == code.digest, _is_undecided(now))
        .values(values)
    )
    return changed_rows(session, statement) == 1


def _is_undecided(now: int) -> ColumnElement[bool]:
    return and_(
        DeviceCode.grant_id.is_(None),
        DeviceCode.denied_at.is_(None),
        DeviceCode.consumed_at.is_(None),
        DeviceCode.expires_at > now,
    )
