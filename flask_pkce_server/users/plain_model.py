"""Plain model: a user model whose rows can be read without the host's session.

Reading a user with a session takes three round trips, BEGIN, SELECT and ROLLBACK, and more time
than all else that a guarded call does. If nothing takes part in that reading but the columns of
one table, the row is read on a connection of this package, and the session gets the object.
"""

from __future__ import annotations

from typing import Any

from flask import current_app
from sqlalchemy import Column, bindparam
from sqlalchemy.orm import Mapper, Session

#: How relationships are loaded that are not loaded with the object.
_LATER = ("select", True, "dynamic", "write_only", "raise", "raise_on_sql", "noload", None)
#: What a host may do whenever its session reads.
_SESSION_EVENTS = ("do_orm_execute", "after_begin", "loaded_as_persistent")


def is_plain(mapper: Mapper[Any]) -> bool:
    """Return whether an object of `mapper` is nothing but the columns of its row."""
    dispatch: Any = mapper.class_manager.dispatch
    return (
        mapper.polymorphic_on is None
        and mapper.inherits is None
        and not mapper.composites
        and not (dispatch.load or dispatch.refresh)
        and all(related.lazy in _LATER for related in mapper.relationships)
        and all(
            len(attribute.columns) == 1
            and isinstance(attribute.columns[0], Column)
            and not attribute.deferred
            for attribute in mapper.column_attrs
        )
    )


def can_read(session: Session, mapper: Mapper[Any]) -> bool:
    """Return whether `session` would read no more and nothing else than the row.

    It would if it is in a transaction, reads from another database, or tells the host of it.
    """
    server, events = current_app.extensions.get("pkce"), session.dispatch
    if server is None or session.in_transaction() or session.new or session.dirty:
        return False
    engine = server.store.host_engine()
    return (
        session.get_bind(mapper) is engine
        and not engine.get_execution_options()
        and not any(getattr(events, name) for name in _SESSION_EVENTS)
        and not engine._has_events
    )


def read(session: Session, mapper: Mapper[Any], lookups: dict[Any, Any], key: Any) -> Any | None:
    """Return the object with the primary key `key`, which then belongs to `session`, or None.

    `lookups` keeps what is built once for `mapper`.
    """
    store = current_app.extensions["pkce"].store
    if mapper not in lookups:
        lookups[mapper] = store.lookup(mapper.class_, mapper.primary_key[0] == bindparam("key"))
    found = store.find(lookups[mapper], key=key)
    return None if found is None else session.merge(found, load=False)
