"""Forget: everything that hangs on a user ends at once."""

from __future__ import annotations

import json

from flask import Flask

from flask_pkce_server import user_forgotten, user_logged_out
from flask_pkce_server.models.client_owner import ClientOwner
from flask_pkce_server.testing import Flow, register, server_of

from ..at_once import live_tokens
from ..counting import Counted
from ..device import Device, television
from ..host import User, make_app, sign_in
from ..openid import id_token

SCOPE = "openid profile notes:read offline_access"


def forget(app: Flask, **how: bool) -> None:
    with app.app_context():
        app.pkce.forget_user(app.db.session.get(User, 1), **how)


def test_all_that_a_user_granted_ends(app: Flask) -> None:
    flow, device = (
        Flow(sign_in(app), register(app), scope=SCOPE),
        Device(sign_in(app), television(app)),
    )
    tokens, code = flow.tokens(), flow.allow()["code"]
    device.start()
    device.decide()
    other = Flow(sign_in(app, "bob"), flow.client, scope=SCOPE)
    theirs = other.tokens()
    forget(app)
    assert flow.refresh(tokens["refresh_token"]).get_json()["error"] == "invalid_grant"
    assert flow.redeem(code).get_json()["error"] == "invalid_grant"
    assert device.error() == "access_denied"
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert app.test_client().get("/api/notes", headers=headers).status_code == 401
    assert "No app has access" in flow.browser.get("/oauth/apps").text
    # They are asked again, like anybody new; and nobody else has lost anything.
    assert flow.authorize().status_code == 200
    assert other.refresh(theirs["refresh_token"]).status_code == 200


def test_it_takes_3_statements_however_much_it_is(app: Flask) -> None:
    browser = sign_in(app)
    for _ in range(3):
        flow = Flow(browser, register(app), scope="notes:read offline_access")
        for _ in range(3):
            flow.refresh(flow.tokens()["refresh_token"])
    with app.app_context():
        user = app.db.session.get(User, 1)
        # The fourth looks for clients to be told, when all is over.
        with Counted(app).expect(4, 2):
            app.pkce.forget_user(user, deleted=True)
    assert live_tokens(app) == 0


def test_the_clients_of_open_sessions_are_told(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app), scope=SCOPE)
    sid = id_token(flow)["sid"]
    Flow(flow.browser, register(app), scope="notes:read").tokens()
    told = []

    def on_logout(sender: Flask, **facts: object) -> None:
        told.append(facts)

    with user_logged_out.connected_to(on_logout, app), user_forgotten.connected_to(on_logout, app):
        forget(app)
        forget(app)
    client_ids = [flow.client.client_id]
    # Once: the second time there is nothing to end.
    assert told == [
        {"subject": "1"},
        {"subject": "1", "sid": sid, "client_ids": client_ids},
    ]


def test_the_operator_ends_it_by_a_command(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app), scope=SCOPE)
    tokens = flow.tokens()
    run = app.test_cli_runner().invoke
    assert run(args=["pkce", "user", "revoke", "1"]).output == (
        "All access that 1 had granted is revoked.\n"
    )
    assert flow.refresh(tokens["refresh_token"]).status_code == 400
    assert "No app has access" in run(args=["pkce", "user", "revoke", "1"]).output
    flow.tokens()
    for revoked in ("1", None):
        output = run(args=["pkce", "user", "revoke", "1", "--json"]).output
        assert json.loads(output) == {"revoked": revoked}


def test_an_app_of_a_deleted_developer_is_nobodys() -> None:
    app = make_app(PKCE_FEATURES={"developer_portal": True})
    client = register(app, self_registered=True)
    with app.app_context():
        row = ClientOwner(client_id=client.client_id, subject="1", number=1)
        server_of(app).store.write(lambda session: session.add(row))
    browser, path = sign_in(app), f"/oauth/developer/{client.client_id}"
    # Who only changed their password keeps it.
    forget(app)
    assert browser.get(path).status_code == 200
    forget(app, deleted=True)
    assert browser.get(path).status_code == 404
    assert Flow(browser, client).authorize().status_code == 200
