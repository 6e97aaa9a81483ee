"""Notice: what a page reports once, after the redirect that follows a form."""

from __future__ import annotations

import flask

_KEY = "_pkce_notice"


def leave_notice(outcome: str) -> None:
    """Leave `outcome` in the session for the page that comes next; "" leaves nothing.

    In the URL, anybody could claim an outcome with a link.
    """
    if outcome:
        flask.session[_KEY] = outcome


def take_notice() -> str:
    """Return what was left for this page, "" if nothing was; the next page gets nothing."""
    return str(flask.session.pop(_KEY)) if _KEY in flask.session else ""
