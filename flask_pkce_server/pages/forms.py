"""Forms: the base classes of all forms on our pages, and their CSRF protection.

Nothing here depends on the settings that Flask-WTF has for the host's own forms.
"""

from __future__ import annotations

from typing import Any

import flask
from flask_wtf import FlaskForm
from itsdangerous import BadData, URLSafeSerializer
from wtforms import HiddenField, ValidationError
from wtforms.csrf.core import CSRF

from ..protocol.contract import current_server

_LIFETIME_SECONDS = 3600


class LoginSessionToken(CSRF):
    """The token in a form: signed, and valid for one login session only.

    A session cookie that a neighbouring site has planted in the browser before the user signs in
    is of no use to that site afterwards.
    """

    def generate_csrf_token(self, csrf_token_field: Any) -> str:
        """Return a new token for the user of this browser."""
        return str(_signer().dumps([_login_session(), current_server.now()]))

    def validate_csrf_token(self, form: Any, field: Any) -> None:
        """Raise `ValidationError` unless the token is valid for the user of this browser."""
        try:
            sid, issued_at = _signer().loads(field.data or "")
        except BadData:
            raise ValidationError() from None
        has_expired = current_server.now() >= issued_at + _LIFETIME_SECONDS
        if has_expired or not sid or sid != _login_session():
            raise ValidationError()


class PageForm(FlaskForm):
    """A form on one of our pages, which only a signed-in user can send from there."""

    class Meta(FlaskForm.Meta):
        csrf = True
        csrf_class = LoginSessionToken
        csrf_field_name = "csrf_token"

        def wrap_formdata(self, form: Any, formdata: Any) -> Any:
            # Read form fields only, no files and no JSON.
            is_posted = formdata is not None and flask.request.method == "POST"
            return flask.request.form if is_posted else None

    def validate(self, extra_validators: Any = None) -> bool:
        """Return whether one of our own pages sent the form, with all that is needed."""
        return _is_sent_from_here() and bool(super().validate(extra_validators))


class DecisionForm(PageForm):
    """The form of a page that asks for a decision; its buttons set `decision`."""

    request = HiddenField()
    decision = HiddenField()

    def read(self, *buttons: str) -> str | None:
        """Return which of `buttons` was pressed, None if the form is invalid or ambiguous."""
        pressed = flask.request.form.getlist("decision")
        is_valid = self.validate() and len(pressed) == 1 and pressed[0] in buttons
        return pressed[0] if is_valid else None


def _is_sent_from_here() -> bool:
    """Return whether the browser says that a page of this origin sent the form, or says nothing.

    A neighbour on the same site gets past `SameSite` cookies. Older browsers send no
    `Sec-Fetch-Site` (Fetch Metadata Request Headers 2.3). Some send `Origin: null` from a page
    that they were redirected to, so that says nothing either; the token of the form decides.
    """
    incoming = flask.request
    site, origin = incoming.headers.get("Sec-Fetch-Site"), incoming.headers.get("Origin", "null")
    if site is not None:
        return site in ("same-origin", "none")
    # A proxy may end TLS and not say so.
    here = (current_server.issuer.origin, incoming.host_url[:-1], f"https://{incoming.host}")
    return origin == "null" or origin in here


def _login_session() -> str:
    """Return the session ID of the user who is signed in, "" if nobody is."""
    users = current_server.users
    user = users.current()
    return "" if user is None else users.login(user).sid


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_server.accepted_keys("form on a page"))
