"""The app's own tables; the extension adds its tables to them."""

from __future__ import annotations

import re
from typing import Any

from flask_login import UserMixin
from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.security import check_password_hash, generate_password_hash

from .extensions import Base, db, login_manager

#: Text that every database accepts.
_TEXT = re.compile(r"[^\x00\ud800-\udfff]{1,2000}")


class User(UserMixin, Base):
    """A user of this app."""

    __tablename__ = "user"
    # SQLite gives the number of a deleted user to the next one otherwise.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    email: Mapped[str] = mapped_column(String(254))
    #: Whether somebody made sure that the address is theirs; apps read it as a claim.
    email_verified: Mapped[bool] = mapped_column(default=False)
    password_hash: Mapped[str] = mapped_column(String(255))

    def set_password(self, password: str) -> None:
        """Store the hash of `password`."""
        self.password_hash = generate_password_hash(password)

    def check_password(self, password: str) -> bool:
        """Say whether `password` is correct."""
        return check_password_hash(self.password_hash, password)


class Note(Base):
    """A note that belongs to one user."""

    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    text: Mapped[str] = mapped_column(Text)


@login_manager.user_loader  # type: ignore[untyped-decorator] # Flask-Login has no types
def load_user(user_id: str) -> User | None:
    return db.session.get(User, int(user_id))


def read_text(value: Any) -> str | None:
    """Return the text of a note as it is stored, or None if it is not valid."""
    return value.strip() if isinstance(value, str) and _TEXT.fullmatch(value.strip()) else None


def notes_of(user: User) -> list[Note]:
    """Return the notes of `user`, newest first."""
    query = db.select(Note).filter_by(user_id=user.id).order_by(Note.id.desc())
    return list(db.session.scalars(query))
