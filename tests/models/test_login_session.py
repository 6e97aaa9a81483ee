"""Login sessions: who takes part, and what is left when they end."""

from __future__ import annotations

from flask import Flask

from flask_pkce_server.models import login_session, participation
from flask_pkce_server.models.withdrawal import end_access_of_session
from flask_pkce_server.testing import Clock, Flow, server_of

from ..openid import id_token


def takes_part(app: Flask, flow: Flow, sid: str) -> bool:
    with app.app_context(), server_of(app).store.reading() as session:
        return participation.takes_part(session, sid, flow.client.client_id)


def test_one_of_two_that_end_it_has_the_clients_to_tell(app: Flask, pkce_flow: Flow) -> None:
    sid = id_token(pkce_flow, scope="openid")["sid"]
    with app.app_context():
        write, now = server_of(app).store.write, server_of(app).now()
        ended = [write(lambda session: login_session.end(session, sid, now, 60)) for _ in "12"]
        clients = write(lambda session: end_access_of_session(session, sid, now))
    assert ended == [True, False]
    assert clients == [pkce_flow.client.client_id]


def test_a_client_that_signs_nobody_in_takes_no_part(app: Flask, pkce_flow: Flow) -> None:
    sid = id_token(pkce_flow, scope="openid")["sid"]
    other = Flow(pkce_flow.browser, pkce_flow.client)
    assert takes_part(app, other, sid)
    assert not takes_part(app, other, "another")


def test_a_client_that_is_deleted_takes_part_no_more(app: Flask, pkce_flow: Flow) -> None:
    sid = id_token(pkce_flow, scope="openid")["sid"]
    app.test_cli_runner().invoke(args=["pkce", "client", "delete", pkce_flow.client.client_id])
    assert not takes_part(app, pkce_flow, sid)


def test_it_is_forgotten_when_no_cookie_of_it_can_come(
    app: Flask, pkce_flow: Flow, pkce_clock: Clock
) -> None:
    with app.app_context():
        store, now = server_of(app).store, server_of(app).now
        assert store.write(lambda session: login_session.end(session, "s", now(), 60))
        assert login_session.expired(now()).delete_some(store, 10) == 0
        pkce_clock.advance(60)
        assert login_session.expired(now()).delete_some(store, 10) == 1
