"""What tests of races share: many deeds at the same moment, and what is live afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable

from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from flask_pkce_server.models.grant import Grant
from flask_pkce_server.models.token import Token
from flask_pkce_server.testing import server_of


def at_once(*deeds: Callable[[], TestResponse]) -> list[TestResponse]:
    """Do all `deeds` at the same moment, each in a thread of its own."""
    barrier, answers = threading.Barrier(len(deeds)), [None] * len(deeds)

    def run(place: int) -> None:
        barrier.wait()
        answers[place] = deeds[place]()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(deeds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def live_tokens(app: Flask) -> int:
    """Count the tokens that open something."""
    server = server_of(app)
    with app.app_context(), server.store.reading() as session:
        of_grants = select(Token).join(Grant, Grant.grant_id == Token.grant_id)
        tokens = session.scalars(of_grants.where(Grant.revoked_at.is_(None)))
        return sum(token.is_live(server.now()) for token in tokens)


def statuses(answers: list[TestResponse]) -> list[int]:
    """Return the status codes of `answers`, sorted."""
    return sorted(answer.status_code for answer in answers)
