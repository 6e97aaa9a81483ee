"""Policy: what a page may load and do (Content Security Policy Level 3)."""

from __future__ import annotations

from flask import Response

from ..protocol.state import request_state

# No form-action: Chromium applies it to the redirect that follows the consent form, and
# that one leads to the client.
_DIRECTIVES = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "script-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def allow_here(**directives: str) -> None:
    """Let the page that answers this request do what pages may not.

    By the directives of its content security policy: `script_src="'self'"`.
    """
    found = {name.replace("_", "-"): sources for name, sources in directives.items()}
    request_state().policy.update(found)


def set_policy(response: Response) -> None:
    """Put the policy of a page into its headers."""
    policy = {**_DIRECTIVES, **request_state().policy}
    response.headers["Content-Security-Policy"] = "; ".join(map(" ".join, policy.items()))
    if policy["frame-ancestors"] == "'none'":
        # What one origin may frame cannot be said in this header.
        response.headers["X-Frame-Options"] = "DENY"
    # Not no-referrer: Flask-WTF would refuse every form over https.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
