"""Accounts: people sign up, and delete their account again."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required, login_user, logout_user
from flask_wtf import FlaskForm
from sqlalchemy.exc import IntegrityError
from wtforms import EmailField, PasswordField, StringField
from wtforms.validators import InputRequired, Length, Regexp

from . import attempts
from .extensions import db, pkce
from .login import TOO_MANY, problem_with, status_of
from .models import Note, User

blueprint = Blueprint("account", __name__)

#: Attempts to sign up in ten minutes, from one network.
_SIGN_UPS = 20
_ADDRESS = r"[^@\s\x00-\x1f\ud800-\udfff]{1,64}@[^@\s\x00-\x1f\ud800-\udfff]{1,189}\Z"


class SignUpForm(FlaskForm):
    """A new account."""

    username = StringField(
        "Username",
        [
            InputRequired(),
            # No two that look alike, or that a database takes for the same.
            Regexp(r"[a-z0-9._-]{1,40}\Z", message="Use 1 to 40 of a-z, 0-9, dot, - and _."),
        ],
    )
    name = StringField(
        "Name",
        [
            InputRequired(),
            Regexp(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,120}\Z", message="Use 1 to 120 characters."),
        ],
    )
    email = EmailField(
        "E-mail address",
        [InputRequired(), Regexp(_ADDRESS, message="This is not an e-mail address.")],
    )
    password = PasswordField(
        "Password",
        [InputRequired(), Length(8, 1000, message="Use at least 8 characters.")],
        render_kw={"autocomplete": "new-password"},
    )


class DeleteForm(FlaskForm):
    """The password, because whoever sits down at an open browser has none."""

    password = PasswordField(
        "Password", [InputRequired()], render_kw={"autocomplete": "current-password"}
    )


@blueprint.route("/sign-up", methods=["GET", "POST"])
def sign_up() -> ResponseReturnValue:
    """Create an account and sign in, then redirect to where the sign-in was for."""
    form = SignUpForm()
    if request.method != "POST":
        return render_template("sign_up.html", form=form, problem=None)
    problem = None
    if form.validate():
        if not attempts.take({f"sign-up {attempts.network()}": _SIGN_UPS}):
            return render_template("sign_up.html", form=form, problem=TOO_MANY), 429
        user = User(username=form.username.data, name=form.name.data, email=form.email.data)
        user.set_password(form.password.data or "")
        db.session.add(user)
        try:
            db.session.commit()
        except IntegrityError:
            db.session.rollback()
            problem = "This username is taken."
        else:
            login_user(user)
            return redirect(pkce.after_login(url_for("pages.home")), 303)
    return render_template("sign_up.html", form=form, problem=problem), 400


@blueprint.route("/account", methods=["GET", "POST"])
@login_required  # type: ignore[untyped-decorator] # Flask-Login has no types
def delete() -> ResponseReturnValue:
    """Delete the account of the signed-in user, with all that belongs to it."""
    form, problem = DeleteForm(), None
    if form.validate_on_submit():
        user = db.session.get_one(User, current_user.id)
        problem = problem_with(form.password.data or "", user, user.username)
        if problem is None:
            # While the user is there: the extension tells the apps that they signed out.
            logout_user()
            db.session.execute(db.delete(Note).filter_by(user_id=user.id))
            db.session.delete(user)
            db.session.commit()
            return redirect(url_for("pages.home"), 303)
    status = 200 if problem is None else status_of(problem)
    return render_template("account.html", form=form, problem=problem), status
