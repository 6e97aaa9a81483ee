"""Signing in is up to the app: the extension only sends people here."""

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
        found = db.session.scalar(db.select(User).filter_by(username=form.username.data))
        if found is not None and found.check_password(form.password.data or ""):
            login_user(found)
            return redirect(_next(), 303)
        return render_template("login.html", form=form, wrong=True), 401
    return render_template("login.html", form=form, wrong=False)


@blueprint.post("/logout")
def sign_out() -> ResponseReturnValue:
    """End the session."""
    logout_user()
    return redirect(url_for("pages.home"), 303)


def _next() -> str:
    """Return the path to redirect to, always one on this host."""
    wanted = request.args.get("next", "")
    parts = urlsplit(wanted)
    # Browsers treat a backslash as a slash, and "//host" is another host.
    safe = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted
    return wanted if safe and not parts.netloc and not parts.scheme else url_for("pages.home")
