"""The main job, end to end, as a browser and a client do it."""

from __future__ import annotations

from flask_pkce_server.testing import Flow


def api(flow: Flow, token: str, path: str = "/api/me"):
    program = flow.browser.application.test_client(use_cookies=False)
    return program.get(path, headers={"Authorization": f"Bearer {token}"})


def test_a_public_client_gets_from_login_to_the_api(pkce_flow: Flow) -> None:
    page = pkce_flow.authorize()
    assert page.status_code == 200, page.text
    assert "Notebook" in page.text
    answer = pkce_flow.allow()
    assert answer["state"] == pkce_flow.state
    tokens = pkce_flow.redeem(answer["code"]).get_json()
    assert tokens["token_type"] == "Bearer"
    me = api(pkce_flow, tokens["access_token"])
    assert me.get_json()["name"] == "Ada Lovelace"
    again = pkce_flow.refresh(tokens["refresh_token"]).get_json()
    assert api(pkce_flow, again["access_token"]).status_code == 200
    assert pkce_flow.revoke(again["refresh_token"]).status_code == 200
    assert api(pkce_flow, again["access_token"]).status_code == 401
    assert api(pkce_flow, tokens["access_token"]).status_code == 401
