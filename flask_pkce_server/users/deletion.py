"""Deletion: deleting the row of a user ends everything that the user had allowed.

Only objects that a session deletes are noticed (`session.delete(user)`, cascades of the ORM),
not DELETE statements.
"""

from __future__ import annotations

import logging
from typing import Any
from weakref import WeakSet

from flask import current_app, has_app_context
from sqlalchemy import event, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper, Session, SessionTransaction, object_session, registry

from ..errors import ConfigurationError
from .sqlite_keys import give_keys_once
from .user_model import is_of_users, root_of

logger = logging.getLogger(__name__)

_KEY = "_pkce_deleted"
#: The registries whose models are watched.
_watched: WeakSet[registry] = WeakSet()


def watch_models(model: Any) -> None:
    """Watch the user models among those that inherit from `model`, now and later.

    The tables of those that are created on SQLite never give a primary key twice.
    """
    if model.registry in _watched:
        return
    _watched.add(model.registry)
    for mapper in model.registry.mappers:
        _watch(mapper, mapper.class_)
    event.listen(model, "after_mapper_constructed", _watch, propagate=True)


def _watch(mapper: Mapper[Any], class_: type) -> None:
    if not is_of_users(class_):
        return
    root = root_of(mapper)
    give_keys_once(root)
    if not event.contains(root.class_, "before_delete", _before_delete):
        event.listen(root.class_, "before_delete", _before_delete, propagate=True)


def _before_delete(mapper: Mapper[Any], connection: Any, user: Any) -> None:
    """Note the subject of a user while it can still be read from the row."""
    session = object_session(user)
    server = current_app.extensions.get("pkce") if has_app_context() else None
    if server is None or session is None:
        return
    try:
        subject = server.users.subject_of(user)
    except ConfigurationError:
        return  # with such a set-up, no user has ever had a subject
    if _KEY not in session.info:
        session.info[_KEY] = {"noted": [], "gone": []}
        event.listen(session, "after_commit", _after_commit)
        event.listen(session, "after_transaction_end", _after_end)
    session.info[_KEY]["noted"].append((server, subject, user))


def _after_commit(session: Session) -> None:
    """Keep the subjects of the users who are gone for good."""
    if session.in_nested_transaction():
        return  # the end of a savepoint
    deletions = session.info[_KEY]
    deletions["gone"] += [
        (server, subject)
        for server, subject, user in deletions["noted"]
        # A savepoint that was rolled back has brought the others back.
        if inspect(user).was_deleted
    ]
    deletions["noted"].clear()


def _after_end(session: Session, transaction: SessionTransaction) -> None:
    """End what the users had allowed, now that the session holds no connection any more."""
    if transaction.parent is not None:
        return
    deletions = session.info[_KEY]
    gone = list(deletions["gone"])
    deletions["noted"].clear()
    deletions["gone"].clear()
    for server, subject in gone:
        try:
            server.forget_subject(subject, deleted=True)
        except SQLAlchemyError:
            # The row is gone, whatever happens here.
            logger.exception("what a deleted user had allowed could not be ended")
