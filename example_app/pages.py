"""The pages of the notes app, and the playground."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from .demo import PLAYGROUND
from .extensions import db
from .models import Note, notes_of

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def home() -> str:
    """Say what this is; the notes of whoever is signed in."""
    notes = notes_of(current_user) if current_user.is_authenticated else []
    return render_template("home.html", notes=notes)


@blueprint.post("/notes")
@login_required  # type: ignore[untyped-decorator] # Flask-Login has no types
def add_note() -> ResponseReturnValue:
    """Keep a new note."""
    text = request.form.get("text", "").strip()
    if text:
        db.session.add(Note(user_id=current_user.id, text=text[:2000]))
        db.session.commit()
    return redirect(url_for("pages.home"), 303)


@blueprint.post("/notes/<int:note_id>/delete")
@login_required  # type: ignore[untyped-decorator]
def delete_note(note_id: int) -> ResponseReturnValue:
    """Delete a note of one's own."""
    db.session.execute(db.delete(Note).filter_by(id=note_id, user_id=current_user.id))
    db.session.commit()
    return redirect(url_for("pages.home"), 303)


@blueprint.get("/playground")
def playground() -> str:
    """Show the flow, done by this very page in the browser."""
    return render_template("playground.html", client_id=PLAYGROUND)
