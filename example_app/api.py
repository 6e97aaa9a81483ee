"""The API: everything a client can do for a user, protected by scopes."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, request

from flask_pkce_server import current_token

from .extensions import db, pkce
from .models import Note, User, notes_of, read_text

blueprint = Blueprint("api", __name__, url_prefix="/api")


@blueprint.get("/me")
@pkce.require("profile")
def me() -> dict[str, Any]:
    """Return the profile of the token's user."""
    user = _user()
    return {"username": user.username, "name": user.name, "email": user.email}


@blueprint.get("/notes")
@pkce.require("notes:read")
def list_notes() -> list[dict[str, Any]]:
    """Return the user's notes."""
    return [{"id": note.id, "text": note.text} for note in notes_of(_user())]


@blueprint.post("/notes")
@pkce.require("notes:write")
def add_note() -> tuple[dict[str, Any], int]:
    """Save a note: {"text": "..."}."""
    try:
        body = request.get_json(silent=True)
    except RecursionError:
        body = None
    text = read_text(body.get("text")) if isinstance(body, dict) else None
    if text is None:
        return {"error": "Send a JSON object with a text of 1 to 2000 characters."}, 400
    note = Note(user_id=_user().id, text=text)
    db.session.add(note)
    db.session.commit()
    return {"id": note.id, "text": note.text}, 201


def _user() -> User:
    """Return the token's user; abort if the account was deleted in the meantime."""
    user: User | None = current_token.user
    if user is None:
        abort(401)
    return user
