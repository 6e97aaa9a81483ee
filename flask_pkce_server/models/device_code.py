"""Device code: what a device waits with while its user decides elsewhere (RFC 8628 3.2)."""

from __future__ import annotations

import hmac
import re
import secrets
import unicodedata
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from . import guess
from .base import Base, Digest, EpochSeconds, Identifier, changed_rows, delete_some
from .token import Token

#: RFC 8628 6.1: no vowels, so that no code is a word; nothing that is read for another.
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_USER_CODE = re.compile(f"[{LETTERS}]{{8}}")
_IGNORED = re.compile(r"[\s\-_.\u2010-\u2015\u2212]+")
_MAX_TYPED = 64
#: RFC 8628 3.5: seconds that are added for a device that asks too often.
_SLOWER_BY = 5
#: Seconds by which one question may travel faster than the one before it.
_JITTER = 1
#: Wrong codes within `guess.WINDOW`: of one user, and of all users together.
WRONG_OF_USER, WRONG_OF_ALL = 5, 1000


class DeviceCode(Base):
    """A device code, known by its digest, and what became of it.

    A consumed row stays until what the code gave has expired: only so is a second use
    told from an unknown code.
    """

    __tablename__ = "pkce_device_code"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    #: Keyed: eight letters would soon be found from their plain SHA-256.
    user_code_digest: Mapped[bytes] = mapped_column(Digest, unique=True)
    family_id: Mapped[str] = mapped_column(Identifier)
    client_id: Mapped[str] = mapped_column(Identifier, index=True)
    #: Who decided; None as long as nobody has.
    subject: Mapped[str | None] = mapped_column(Identifier, index=True)
    #: RFC 7636 4.2, where the device sent one.
    code_challenge: Mapped[str | None] = mapped_column(Identifier)
    #: What the device asked for, to be checked again when its user is known.
    parameters: Mapped[dict[str, Any]]
    scope: Mapped[frozenset[str]]
    bindings: Mapped[dict[str, Any]]
    #: Seconds between two questions of the device.
    poll_interval: Mapped[int]
    last_polled_at: Mapped[int | None]
    issued_at: Mapped[int]
    expires_at: Mapped[int] = mapped_column(EpochSeconds, index=True)
    approved_at: Mapped[int | None]
    #: When the user said no, or took back their yes.
    denied_at: Mapped[int | None]
    consumed_at: Mapped[int | None]

    def __repr__(self) -> str:
        return f"<DeviceCode of {self.client_id}>"


def new_user_code() -> str:
    """Make a user code: 8 letters, 34.6 bits."""
    return "".join(secrets.choice(LETTERS) for _ in range(8))


def keyed_digest(key: bytes, user_code: str) -> bytes:
    """Return what is stored of `user_code`."""
    return hmac.digest(key, user_code.encode(), "sha256")


def shown(user_code: str) -> str:
    """Return `user_code` as people read it: WDJB-MJHT."""
    return f"{user_code[:4]}-{user_code[4:]}"


def read_user_code(typed: str) -> str | None:
    """Return the user code that somebody typed, None if it can be none.

    Forgiving of case, blanks, dashes and full-width letters (RFC 8628 6.1).
    """
    if len(typed) > _MAX_TYPED:
        return None
    code = _IGNORED.sub("", unicodedata.normalize("NFKC", typed)).upper()
    return code if _USER_CODE.fullmatch(code) else None


def waiting(session: Session, user_code_digest: bytes, now: int) -> DeviceCode | None:
    """Return the code of a device that still waits for a decision."""
    return session.scalars(
        select(DeviceCode).where(
            DeviceCode.user_code_digest == user_code_digest, _is_undecided(now)
        )
    ).first()


def enter(session: Session, user_code_digest: bytes, subject: str, now: int) -> DeviceCode | None:
    """Return the code of the device whose user code `subject` typed; None if they are wrong.

    Raises `guess.TooManyGuesses` for whoever was wrong too often, whatever they type now.
    """
    most = {f"user code of {subject}": WRONG_OF_USER, "user code": WRONG_OF_ALL}
    guess.take(session, most, now)
    found = waiting(session, user_code_digest, now)
    if found is not None:
        guess.give_back(session, most, now)
    return found


def approve(
    session: Session,
    code: DeviceCode,
    subject: str,
    scope: frozenset[str],
    bindings: dict[str, Any],
    now: int,
) -> bool:
    """Note that `subject` grants `scope`; of any number of users at once, one sees True."""
    decided = {"subject": subject, "scope": scope, "bindings": bindings, "approved_at": now}
    return _decide(session, code, decided, now)


def deny(session: Session, code: DeviceCode, subject: str, now: int) -> bool:
    """Note that `subject` grants nothing; say whether nobody decided before."""
    return _decide(session, code, {"subject": subject, "denied_at": now}, now)


def poll(session: Session, code: DeviceCode, now: int) -> bool:
    """Note that the device asked; say whether it had waited as long as it has to.

    If not, it has to wait longer from now on (RFC 8628 3.5).
    """
    mine = DeviceCode.digest == code.digest
    in_time = or_(
        DeviceCode.last_polled_at.is_(None),
        DeviceCode.last_polled_at + DeviceCode.poll_interval - _JITTER <= now,
    )
    if changed_rows(session, update(DeviceCode).where(mine, in_time).values(last_polled_at=now)):
        return True
    slower = {"poll_interval": DeviceCode.poll_interval + _SLOWER_BY, "last_polled_at": now}
    changed_rows(session, update(DeviceCode).where(mine).values(slower))
    return False


def consume(session: Session, code: DeviceCode, code_challenge: str | None, now: int) -> bool:
    """Consume `code` if it is approved and `code_challenge` is its own; say who won.

    The statement is the gate: of any number of redemptions at once, one sees True.
    """
    statement = (
        update(DeviceCode)
        .where(
            DeviceCode.digest == code.digest,
            DeviceCode.client_id == code.client_id,
            DeviceCode.code_challenge.is_(None)
            if code_challenge is None
            else DeviceCode.code_challenge == code_challenge,
            # Nothing of it was taken back since it was read.
            DeviceCode.subject == code.subject,
            DeviceCode.scope == code.scope,
            DeviceCode.approved_at.is_not(None),
            DeviceCode.denied_at.is_(None),
            DeviceCode.consumed_at.is_(None),
            DeviceCode.expires_at > now,
        )
        .values(consumed_at=now)
    )
    return changed_rows(session, statement) == 1


def withdraw(session: Session, subject: str, client_id: str, now: int) -> int:
    """Take back what `subject` approved and no device has fetched; return how many."""
    statement = (
        update(DeviceCode)
        .where(
            DeviceCode.subject == subject,
            DeviceCode.client_id == client_id,
            DeviceCode.denied_at.is_(None),
            DeviceCode.consumed_at.is_(None),
        )
        .values(denied_at=now)
    )
    return changed_rows(session, statement)


def prune(session: Session, now: int, limit: int) -> int:
    """Delete up to `limit` codes that nothing depends on any more; return how many."""
    gave_something_live = exists().where(
        Token.family_id == DeviceCode.family_id, Token.expires_at > now
    )
    nothing_hangs_on_it = or_(DeviceCode.consumed_at.is_(None), ~gave_something_live)
    return delete_some(
        session, DeviceCode, and_(DeviceCode.expires_at <= now, nothing_hangs_on_it), limit
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
        DeviceCode.approved_at.is_(None),
        DeviceCode.denied_at.is_(None),
        DeviceCode.consumed_at.is_(None),
        DeviceCode.expires_at > now,
    )
