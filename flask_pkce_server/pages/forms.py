"""Forms: the base classes of all forms on our pages (Flask-WTF)."""

from __future__ import annotations

from typing import Any

import flask
from flask_wtf import FlaskForm
from wtforms import HiddenField


class PageForm(FlaskForm):
    """A form on one of our pages; it has a CSRF token even if WTF_CSRF_ENABLED is False."""

    class Meta(FlaskForm.Meta):
        csrf = True

        def wrap_formdata(self, form: Any, formdata: Any) -> Any:
            # Read form fields only, no files and no JSON.
            is_posted = formdata is not None and flask.request.method == "POST"
            return flask.request.form if is_posted else None


class DecisionForm(PageForm):
    """The form of a page that asks for a decision; its buttons set `decision`."""

    request = HiddenField()
    decision = HiddenField()

    def read(self, *buttons: str) -> str | None:
        """Return which of `buttons` was pressed, None if the form is invalid or ambiguous."""
        pressed = flask.request.form.getlist("decision")
        is_valid = self.validate() and len(pressed) == 1 and pressed[0] in buttons
        return pressed[0] if is_valid else None
