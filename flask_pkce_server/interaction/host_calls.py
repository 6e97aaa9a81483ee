"""Host calls: what the host's own views call about users."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..protocol.contract import current_server
from ..users.users import Users
from . import login, pending
from .pending import PendingRequest


class HostCalls:
    """The methods of the extension for the host's own views."""

    _users: Users

    def pending_request(self) -> PendingRequest | None:
        """Return the authorization request for which the user is to sign in, None without one.

        Call it in the view of a login page, to say which app asks.
        """
        return pending.pending_request(current_server)

    def after_login(self, default: str) -> str:
        """Return the URL to redirect to after a sign-in.

        That is `next` in the query or the form, if it is a path of this site; otherwise the
        authorization request that waits in this browser; otherwise `default`.
        """
        return pending.after_login(current_server, default)

    def signed_in(self, user: Any, *, acr: str | None = None, amr: Iterable[str] = ()) -> None:
        """Record that `user` has just authenticated, in the current request.

        `acr` and `amr` say how (OIDC Core 2, RFC 8176). With Flask-Login, its signals
        record the sign-in; call this only to add these two.
        """
        login.signed_in(current_server, user, acr=acr, amr=amr)

    def signed_out(self) -> None:
        """Record that the user of this browser signs out, in the current request."""
        login.signed_out(current_server)

    def forget_user(self, user: Any, *, deleted: bool = False) -> None:
        """Revoke everything that `user` ever granted, at once.

        For a password that was changed and an account that is banned or deleted: consents, codes
        and tokens end, and the clients of open sessions are told (OpenID Connect Back-Channel
        Logout 1.0). A user who is `deleted` also gives up the apps of the developer portal.
        It does not sign the user out of the host app.
        """
        current_server.forget_subject(self._users.subject_of(user), deleted)
