"""Sign-in: who signed in when and how, noted in the session of their browser."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass

from flask import session

_KEY = "_pkce_login"


@dataclass(frozen=True)
class Login:
    """One sign-in of a user in one browser; it lives in the host's session."""

    subject: str
    #: OpenID Connect Back-Channel Logout 1.0 2.1: names the session to its clients.
    sid: str
    #: Epoch seconds of the last time the user proved who they are; None if nobody knows.
    auth_time: int | None
    #: Another one after each proof.
    mark: str
    #: How they did, if the host says so (OIDC Core 2, RFC 8176).
    acr: str | None = None
    amr: tuple[str, ...] = ()


def noted_login() -> Login | None:
    """Return the sign-in that was noted in the session of this browser, if any."""
    noted = session.get(_KEY)
    try:
        return Login(**{**noted, "amr": tuple(noted["amr"])}) if noted else None
    except (TypeError, KeyError):
        return None  # another release wrote it


def note_login(
    subject: str,
    *,
    auth_time: int | None,
    acr: str | None = None,
    amr: tuple[str, ...] = (),
) -> Login:
    """Note that `subject` signed in at `auth_time` (epoch seconds).

    A user who proves once more who they are stays in the same session.
    """
    before = noted_login()
    known = before is not None and before.subject == subject
    login = Login(
        subject=subject,
        sid=before.sid if before is not None and known else secrets.token_urlsafe(16),
        auth_time=auth_time,
        mark=secrets.token_urlsafe(6),
        acr=acr,
        amr=amr,
    )
    session[_KEY] = asdict(login)
    return login


def forget_login() -> None:
    """Forget who signed in."""
    session.pop(_KEY, None)
