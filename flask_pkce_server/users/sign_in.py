"""Sign-in: who signed in, when and how, recorded in the session of the browser."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass

from flask import session

_KEY = "_pkce_login"


@dataclass(frozen=True)
class Login:
    """One sign-in of a user in one browser, stored in the Flask session."""

    subject: str
    #: The session ID for clients (OpenID Connect Back-Channel Logout 1.0 2.1).
    sid: str
    #: When the user last authenticated (epoch seconds); None if unknown.
    auth_time: int | None
    #: A random value that changes whenever the user authenticates.
    mark: str
    #: How the user authenticated, if the host app reports it (OIDC Core 2, RFC 8176).
    acr: str | None = None
    amr: tuple[str, ...] = ()


def noted_login() -> Login | None:
    """Return the sign-in recorded in the session of this browser, or None."""
    stored = session.get(_KEY)
    try:
        return Login(**{**stored, "amr": tuple(stored["amr"])}) if stored else None
    except (TypeError, KeyError):
        return None  # written by another release of this package


def note_login(
    subject: str,
    *,
    auth_time: int | None,
    acr: str | None = None,
    amr: tuple[str, ...] = (),
) -> Login:
    """Record that `subject` signed in at `auth_time` (epoch seconds); return the sign-in.

    If the same user authenticates again, the session keeps its `sid`.
    """
    before = noted_login()
    is_same_user = before is not None and before.subject == subject
    login = Login(
        subject=subject,
        sid=before.sid if before is not None and is_same_user else secrets.token_urlsafe(16),
        auth_time=auth_time,
        mark=secrets.token_urlsafe(6),
        acr=acr,
        amr=amr,
    )
    session[_KEY] = asdict(login)
    return login


def forget_login() -> None:
    """Remove the sign-in from the session of this browser."""
    session.pop(_KEY, None)
