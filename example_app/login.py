"""Sign-in: the app handles it, and the extension only redirects users here."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import login_user, logout_user
from flask_wtf import FlaskForm
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired

from .extensions import db
from .models import User

blueprint = Blueprint("login", __name__)


class LoginForm(FlaskForm):
    """Username and password."""

    username = StringField(validators=[InputRequired()])
    password = PasswordField(validators=[InputRequired()])


@blueprint.route("/login", methods=["GET", "POST"])
def sign_in() -> ResponseReturnValue:
    """Ask for username and password, then redirect to `next`."""
    form = LoginForm()
    if form.validate_on_submit():
        user = db.session.scalar(db.select(User).filter_by(username=form.username.data))
        if user is not None and user.check_password(form.password.data or ""):
            login_user(user)
            return redirect(_next(), 303)
        return render_template("login.html", form=form, wrong=True), 401
    return render_template("login.html", form=form, wrong=False)


@blueprint.post("/logout")
def sign_out() -> ResponseReturnValue:
    """End the session."""
    logout_user()
    return redirect(url_for("pages.home"), 303)


def _next() -> str:
    """Return the path to redirect to, which is always on this host."""
    target = request.args.get("next", "")
    parts = urlsplit(target)
    # Browsers treat a backslash as a slash, and "//host" is another host.
    safe = target.startswith("/") and not target.startswith("//") and "\\" not in target
    return target if safe and not parts.netloc and not parts.scheme else url_for("pages.home")
