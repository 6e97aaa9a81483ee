"""Headers: what a browser may do with the pages of this app."""

from __future__ import annotations

from flask import Response

# Without form-action: Chromium applies it to the redirects after a form too, so a sign-in could
# not lead back to an app on another site.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def add_headers(response: Response) -> Response:
    """Keep other sites from framing, reading or storing a page.

    The pages of the authorization server have a policy of their own already.
    """
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    if response.mimetype == "text/html" and "Content-Security-Policy" not in headers:
        headers["Content-Security-Policy"] = _POLICY
        headers["X-Frame-Options"] = "DENY"
        # Not no-referrer: over https, Flask-WTF compares the referrer with the host.
        headers["Referrer-Policy"] = "same-origin"
        headers["Cache-Control"] = "no-store"
    return response
