"""Policy: what our pages may load and do (Content Security Policy Level 3)."""

from __future__ import annotations

from flask import Response

from ..protocol.state import request_state

# No form-action: Chromium also applies it to the redirect after the consent form, which leads
# to the client.
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
    """Change directives of the policy for the current response: `script_src="'self'"`."""
    policy = {name.replace("_", "-"): sources for name, sources in directives.items()}
    request_state().policy.update(policy)


def set_policy(response: Response) -> None:
    """Set the security headers of a page."""
    policy = {**_DIRECTIVES, **request_state().policy}
    response.headers["Content-Security-Policy"] = "; ".join(map(" ".join, policy.items()))
    if policy["frame-ancestors"] == "'none'":
        # This header cannot allow a single other origin.
        response.headers["X-Frame-Options"] = "DENY"
    # With no-referrer, browsers would send `Origin: null` along with our forms.
    response.headers["Referrer-Policy"] = "same-origin"
