"""Login sessions: who takes part, and what is left when they end."""

from __future__ import annotations

import json

from flask import Flask
from sqlalchemy import func, select

from flask_pkce_server.models import login_session
from flask_pkce_server.models.login_session import SessionClient
from flask_pkce_server.testing import Clock, Flow, server_of

from ..openid import id_token


def count(app: Flask) -> int:
    with app.app_context(), server_of(app).store.reading() as session:
        return session.scalar(select(func.count()).select_from(SessionClient)) or 0


def test_one_of_two_that_end_it_has_the_clients_to_tell(app: Flask, pkce_flow: Flow) -> None:
    sid = id_token(pkce_flow, scope="openid")["sid"]
    with app.app_context():
        write = server_of(app).store.write
        ended = write(lambda session: [row.client_id for row in login_session.end(session, sid)])
        again = write(lambda session: login_session.end(session, sid))
    assert ended == [pkce_flow.client.client_id]
    assert again == []
    assert count(app) == 0


def test_a_client_that_is_deleted_takes_part_no_more(app: Flask, pkce_flow: Flow) -> None:
    pkce_flow.tokens(scope="openid")
    assert count(app) == 1
    app.test_cli_runner().invoke(args=["pkce", "client", "delete", pkce_flow.client.client_id])
    assert count(app) == 0


def test_rows_that_are_too_old_to_matter_are_pruned(
    app: Flask, pkce_flow: Flow, pkce_clock: Clock
) -> None:
    pkce_flow.tokens(scope="openid")
    pkce_clock.advance(31 * 86400)
    output = app.test_cli_runner().invoke(args=["pkce", "prune", "--json"]).output
    assert json.loads(output)["deleted"]["openid"] == 1
