"""Sign-in: who signed in when and how, in one browser."""

from __future__ import annotations

from dataclasses import dataclass


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
