"""Forms: what every form of a page of ours is made with (Flask-WTF)."""

from __future__ import annotations

from typing import Any

import flask
from flask_wtf import FlaskForm
from wtforms import HiddenField


class PageForm(FlaskForm):
    """A form of a page of ours, with a CSRF token whatever the host set WTF_CSRF_ENABLED to."""

    class Meta(FlaskForm.Meta):
        csrf = True

        def wrap_formdata(self, form: Any, formdata: Any) -> Any:
            # The fields of a form and nothing else: no files, no JSON.
            posted = formdata is not None and flask.request.method == "POST"
            return flask.request.form if posted else None


class DecisionForm(PageForm):
    """The form of a page that asks; its buttons are `decision` = allow or deny."""

    request = HiddenField()
    decision = HiddenField()

    def read(self, *buttons: str) -> str | None:
        """Return which of `buttons` was pressed; None if that cannot be said."""
        pressed = flask.request.form.getlist("decision")
        counts = self.validate() and len(pressed) == 1 and pressed[0] in buttons
        return pressed[0] if counts else None
