"""Sign-in: the app handles it, and the extension only redirects users here."""

from __future__ import annotations

import secrets

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import login_user, logout_user
from flask_wtf import FlaskForm
from werkzeug.security import check_password_hash, generate_password_hash
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length, Regexp

from . import attempts
from .extensions import db, pkce
from .models import User

blueprint = Blueprint("login", __name__)

WRONG = "Wrong username or password."
TOO_MANY = "Too many attempts. Try again in ten minutes."
#: Attempts in ten minutes: at one account, and from one network.
_PER_ACCOUNT, _PER_NETWORK = 10, 50
#: Stands for the password of a user who does not exist, so that the answer takes as long.
_OF_NOBODY = generate_password_hash(secrets.token_hex())


class LoginForm(FlaskForm):
    """Username and password."""

    # Text that every database accepts.
    username = StringField(validators=[InputRequired(), Regexp(r"[^\x00\ud800-\udfff]{1,80}\Z")])
    password = PasswordField(validators=[InputRequired(), Length(max=1000)])


@blueprint.route("/login", methods=["GET", "POST"])
def sign_in() -> ResponseReturnValue:
    """Ask for username and password, then redirect to where the sign-in was for."""
    form = LoginForm()
    if request.method != "POST":
        return render_template("login.html", form=form, problem=None)
    problem: str | None = WRONG
    if form.validate():
        username, password = form.username.data or "", form.password.data or ""
        user = db.session.scalar(db.select(User).filter_by(username=username))
        problem = problem_with(password, user, username)
        if user is not None and problem is None:
            login_user(user)
            return redirect(pkce.after_login(url_for("pages.home")), 303)
    return render_template("login.html", form=form, problem=problem), status_of(problem)


@blueprint.post("/logout")
def sign_out() -> ResponseReturnValue:
    """End the session."""
    logout_user()
    return redirect(url_for("pages.home"), 303)


def problem_with(password: str, user: User | None, username: str) -> str | None:
    """Return what is wrong with a password, None if it is right.

    `user` is None if nobody has the name: the answer is then the same, after the same time.
    """
    # By the name that is stored: a database may take "Demo" and "demo " for it too.
    account = username if user is None else user.username
    limits = {
        f"network {attempts.network()}": _PER_NETWORK,
        f"account {account}": _PER_ACCOUNT,
    }
    if not attempts.take(limits):
        return TOO_MANY
    password_hash = _OF_NOBODY if user is None else user.password_hash
    if not check_password_hash(password_hash, password) or user is None:
        return WRONG
    attempts.give_back(limits)
    return None


def status_of(problem: str | None) -> int:
    """Return the HTTP status of a page that shows `problem`."""
    return 429 if problem == TOO_MANY else 401
