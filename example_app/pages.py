"""The pages of the notes app, including the playground."""

from __future__ import annotations

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from .demo import PLAYGROUND
from .extensions import db
from .models import Note, notes_of, read_text

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def home() -> str:
    """Show what this app is, and the notes of the signed-in user."""
    notes = notes_of(current_user) if current_user.is_authenticated else []
    # Based on the issuer, not on the address that this browser used.
    mcp = current_app.extensions["pkce"].issuer.rstrip("/") + url_for("mcp.serve")
    return render_template("home.html", notes=notes, mcp=mcp)


@blueprint.post("/notes")
@login_required  # type: ignore[untyped-decorator] # Flask-Login has no types
def add_note() -> ResponseReturnValue:
    """Save a new note."""
    text = read_text(request.form.get("text", "")[:2000])
    if text is not None:
        db.session.add(Note(user_id=current_user.id, text=text))
        db.session.commit()
    return redirect(url_for("pages.home"), 303)


@blueprint.post("/notes/<int:note_id>/delete")
@login_required  # type: ignore[untyped-decorator]
def delete_note(note_id: int) -> ResponseReturnValue:
    """Delete one of the user's own notes."""
    db.session.execute(db.delete(Note).filter_by(id=note_id, user_id=current_user.id))
    db.session.commit()
    return redirect(url_for("pages.home"), 303)


@blueprint.get("/playground")
def playground() -> str:
    """Show the code flow, which this page itself runs in the browser."""
    return render_template("playground.html", client_id=PLAYGROUND)
