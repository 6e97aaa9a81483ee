"""Login session: one sign-in in one browser, and the clients that take part in it.

The sign-in itself is kept in the host app's session; each grant names it by its `sid`. Only its
end is stored: a grant that is on its way at that moment must not outlive it.
"""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, EpochSeconds, Identifier, changed_rows
from .pruning import Expired


class EndedSession(Base):
    """A login session that is over."""

    __tablename__ = "pkce_ended_session"

    sid: Mapped[str] = mapped_column(Identifier, primary_key=True)
    ended_at: Mapped[int]
    #: The browser may still present the cookie of the session until then.
    expires_at: Mapped[int] = mapped_column(EpochSeconds, index=True)


def end(session: Session, sid: str, now: int, lifetime: int) -> bool:
    """Store that the session `sid` is over; return whether this call ended it.

    `lifetime` is how many seconds to remember it. Commit this before revoking the grants of
    the session: a grant stored after that revocation then finds the session ended.
    """
    statement = update(EndedSession).where(EndedSession.sid == sid)
    if changed_rows(session, statement.values(sid=sid)):
        return False
    session.add(EndedSession(sid=sid, ended_at=now, expires_at=now + lifetime))
    return True


def expired(now: int) -> Expired:
    """Return the ended sessions whose cookies have expired, for pruning."""
    return Expired(EndedSession.expires_at, now)
