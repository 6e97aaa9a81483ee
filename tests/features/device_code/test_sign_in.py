"""Device code: what a client asks of the sign-in means what it means in a browser."""

from __future__ import annotations

import html
import json
import re

import flask
import pytest
from flask import Flask, redirect
from flask.testing import FlaskClient
from flask_login import current_user
from sqlalchemy import delete, select
from werkzeug.test import TestResponse

from flask_pkce_server import (
    authorization_denied,
    authorization_granted,
    token_issued,
)
from flask_pkce_server.models.client import Client
from flask_pkce_server.models.consent import Consent
from flask_pkce_server.testing import (
    Clock,
    Flow,
    hidden_fields,
    new_verifier,
    register,
    server_of,
)
from flask_pkce_server.wire.code_challenge import challenge_of

from ...device import SCOPE, Device, press, television
from ...host import make_app, sign_in
from ...openid import read
from .asking import UNKNOWN, row_of


@pytest.fixture
def stepped(app: Flask) -> Device:
    """A device whose user can step up, at `/factor/<acr>`."""

    @app.post("/factor/<acr>")
    def factor(acr: str) -> str:
        app.pkce.signed_in(current_user, acr=acr)
        return ""

    return Device(sign_in(app), television(app))


GOLD = json.dumps({"id_token": {"acr": {"values": ["gold"], "essential": True}}})


def sign_in_again(device: Device, answer: TestResponse) -> TestResponse:
    """Follow a user who is sent to sign in once more, and comes back to the page for codes."""
    assert answer.status_code == 303, answer.text
    login = device.browser.get(answer.headers["Location"])
    assert "/login?next=" in login.headers["Location"]
    back = device.browser.post(login.headers["Location"], data={"username": "ada"})
    return device.browser.get(back.headers["Location"])


def test_an_essential_acr_is_had_or_the_device_is_denied(app: Flask, stepped: Device) -> None:
    # OIDC Core 5.5.1.1
    stepped.start(claims=GOLD)
    page = sign_in_again(stepped, stepped.enter())
    assert page.status_code == 400
    assert "unmet_authentication_requirements" in page.text
    assert stepped.error() == "access_denied"
    stepped.browser.post("/factor/gold")
    assert read(app, stepped.tokens(claims=GOLD)["id_token"])["acr"] == "gold"


def test_an_essential_acr_that_is_lost_before_the_click_is_not_granted(stepped: Device) -> None:
    stepped.browser.post("/factor/gold")
    stepped.start(claims=GOLD)
    page = stepped.enter()
    assert page.status_code == 200
    stepped.browser.post("/factor/silver")
    assert sign_in_again(stepped, press(stepped.browser, page, "allow")).status_code == 400
    assert stepped.error() == "access_denied"


def continue_from(device: Device, page: TestResponse) -> TestResponse:
    """Send the form of the page for codes, which has the code of the device in it."""
    assert 'name="user_code"' in page.text
    action = html.unescape(re.search(r'<form method="post" action="([^"]+)"', page.text)[1])
    form = {**hidden_fields(page.text), "user_code": device.user_code}
    return device.browser.post(action, data=form)


def press_on(device: Device, page: TestResponse, decision: str) -> TestResponse:
    """Press a button of a consent page that has its address in it."""
    action = html.unescape(re.findall(r'<form method="post" action="([^"]+)"', page.text)[-1])
    return device.browser.post(action, data={**hidden_fields(page.text), "decision": decision})


@pytest.mark.parametrize("wish", [{"prompt": "login"}, {"max_age": "0"}, {"max_age": "30"}])
def test_who_has_to_sign_in_anew_does_so_once(
    app: Flask, device: Device, pkce_clock: Clock, wish: dict[str, str]
) -> None:
    # OIDC Core 3.1.2.1
    device.browser = sign_in(app)
    pkce_clock.advance(60)
    device.start(**wish)
    page = continue_from(device, sign_in_again(device, device.enter()))
    assert page.status_code == 200, page.text
    answer = press_on(device, page, "allow")
    assert answer.status_code == 200
    assert not [cookie for cookie in device.browser._cookies.values() if "pkce_r_" in cookie.key]
    token = read(app, device.poll().get_json()["id_token"])
    assert token["auth_time"] == int(pkce_clock.now)


def test_a_sign_in_that_grows_too_old_before_the_click_is_done_again(
    app: Flask, device: Device, pkce_clock: Clock
) -> None:
    device.browser = sign_in(app)
    device.start(max_age="100")
    page = device.enter()
    assert page.status_code == 200
    pkce_clock.advance(100)
    again = continue_from(device, sign_in_again(device, press_on(device, page, "allow")))
    assert press_on(device, again, "allow").status_code == 200
    assert device.poll().status_code == 200


def test_who_signed_in_for_one_device_has_not_done_so_for_another(
    app: Flask, device: Device
) -> None:
    other = Device(device.browser, device.client)
    other.start(prompt="login")
    device.start(prompt="login")
    page = sign_in_again(device, device.enter())
    answer = continue_from(other, page)
    assert "/oauth/device?r=" in answer.headers["Location"]
    assert other.error() == "authorization_pending"


def test_a_host_that_cannot_ask_again_denies_the_device(app: Flask, device: Device) -> None:
    app.pkce.sign_out(lambda: None)
    app.view_functions["login_page"] = lambda: redirect(flask.request.args["next"])
    device.start(prompt="login")
    answer = device.enter()
    for _ in range(8):
        if "Location" not in answer.headers:
            break
        answer = device.browser.get(answer.headers["Location"])
    assert answer.status_code == 400
    assert "login_required" in answer.text
    assert device.error() == "access_denied"


def test_nobody_may_be_asked_is_nothing_for_a_device(device: Device) -> None:
    answer = device.start(prompt="none")
    assert (answer.status_code, answer.get_json()["error"]) == (400, "consent_required")


def test_a_hint_of_somebody_else_is_a_sign_in_and_then_a_denial(app: Flask, device: Device) -> None:
    bobs = Device(sign_in(app, "bob"), device.client).tokens()["id_token"]
    device.start(id_token_hint=bobs)
    page = sign_in_again(device, device.enter())
    assert page.status_code == 400
    assert "login_required" in page.text
    assert device.error() == "access_denied"


def test_of_a_request_no_secret_is_kept_and_nothing_long(app: Flask, client: FlaskClient) -> None:
    device = Device(client, television(app, auth_method="client_secret_post"))
    verifier = new_verifier()
    device.start(code_challenge=challenge_of(verifier), code_challenge_method="S256", nonce="n-0S6")
    assert row_of(app).parameters == {"scope": [SCOPE], "nonce": ["n-0S6"]}
    answer = device.start(login_hint="x" * 5000)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


def test_deny_is_told_to_the_device(app: Flask, device: Device) -> None:
    # RFC 8628 3.5
    told = []
    authorization_denied.connect(lambda app, **facts: told.append(facts), weak=False)
    device.start()
    page = device.decide("deny")
    assert "The device was not connected" in page.text
    assert device.error() == "access_denied"
    assert device.error() == "access_denied"
    assert told[-1] == {"client_id": device.client.client_id, "subject": "1"}
    assert UNKNOWN in device.enter().text


def test_the_host_is_told_of_a_yes_and_of_the_tokens(device: Device) -> None:
    granted, issued = [], []
    authorization_granted.connect(lambda app, **facts: granted.append(facts), weak=False)
    token_issued.connect(lambda app, **facts: issued.append(facts), weak=False)
    device.tokens()
    assert granted[-1] == issued[-1]
    assert granted[-1].pop("grant_id")
    assert granted[-1] == {
        "client_id": device.client.client_id,
        "subject": "1",
        "scopes": frozenset(SCOPE.split()),
    }


def test_an_app_that_never_asks_asks_here(app: Flask, client: FlaskClient) -> None:
    # RFC 8628 5.4: who typed the code of a stranger must still be able to stop.
    device = Device(client, television(app, skip_consent=True))
    device.start()
    assert 'value="deny"' in device.enter().text
    assert device.error() == "authorization_pending"


def test_a_consent_page_of_the_host_does_not_take_the_place_of_the_warning(
    app: Flask, device: Device
) -> None:
    app.pkce.consent_view(lambda consent: consent.allow())
    device.start()
    page = device.enter()
    assert "Deny it if somebody sent you the code or a link." in page.text
    assert device.error() == "authorization_pending"


def test_nothing_is_remembered(app: Flask, device: Device) -> None:
    # A device is shared: the next one asks as the first one did.
    device.tokens()
    with app.app_context(), server_of(app).store.reading() as session:
        assert list(session.scalars(select(Consent))) == []
    device.start()
    assert "Allowed before" not in device.enter().text
    assert device.error() == "authorization_pending"


def test_the_user_may_leave_something_out_and_say_for_how_long(pkce_clock: Clock) -> None:
    app = make_app(PKCE_CONSENT_OPTIONAL_SCOPES=["notes:read"], PKCE_CONSENT_DAYS=[0, 90])
    server_of(app).clock = pkce_clock
    device = Device(sign_in(app), television(app))
    device.start()
    device.decide(days="90")
    body = device.poll().get_json()
    assert body["scope"] == "offline_access openid profile"
    assert "Until" in device.browser.get("/oauth/apps").text
    pkce_clock.advance(89 * 86400)
    device.start()
    device.decide(scope="notes:read", days="0")
    body = device.poll().get_json()
    assert "notes:read" in body["scope"]
    pkce_clock.advance(3600 + 600)
    # Only this once: as long as one access token.
    assert device.flow.refresh(body["refresh_token"]).status_code == 400


@pytest.mark.parametrize(
    "more", [{"decision": "maybe"}, {"csrf_token": "x"}, {"days": "7"}, {"decision": ["a", "b"]}]
)
def test_a_form_in_another_state_decides_nothing(device: Device, more: dict) -> None:
    device.start()
    page = device.enter()
    again = device.browser.post(
        "/oauth/device", data={**hidden_fields(page.text), "decision": "allow", **more}
    )
    assert again.status_code == 400
    assert "Please decide again." in again.text
    assert device.error() == "authorization_pending"


def test_no_form_of_another_site_counts(device: Device) -> None:
    device.start()
    page = device.browser.post("/oauth/device", data={"user_code": device.user_code})
    assert page.status_code == 400
    assert "The form had expired." in page.text
    assert "Television" not in page.text


def test_a_form_that_was_altered_or_is_of_another_page_decides_nothing(
    app: Flask, device: Device
) -> None:
    device.start()
    form = hidden_fields(device.enter().text)
    elsewhere = Flow(device.browser, register(app))
    signed = [form["request"][:-3] + "xxx", "", "\x00", hidden_fields(elsewhere.authorize().text)]
    for text in signed:
        data = {**form, "decision": "allow"}
        data["request"] = text["request"] if isinstance(text, dict) else text
        answer = device.browser.post("/oauth/device", data=data)
        assert answer.status_code == 400
    assert device.error() == "authorization_pending"


def test_the_form_of_one_user_is_of_no_use_to_another(app: Flask, device: Device) -> None:
    # Bound to who typed the code.
    device.start()
    page, bob = device.enter(), sign_in(app, "bob")
    token = hidden_fields(bob.get("/oauth/device").text)["csrf_token"]
    form = {**hidden_fields(page.text), "csrf_token": token, "decision": "allow"}
    answer = bob.post("/oauth/device", data=form)
    assert "Go on only if your device shows this very code." in answer.text
    assert device.error() == "authorization_pending"


def test_two_users_cannot_both_approve(app: Flask, device: Device) -> None:
    device.start()
    bob = sign_in(app, "bob")
    mine, theirs = device.enter(), device.enter(browser=bob)
    assert "You can go back" in press(device.browser, mine, "allow").text
    late = press(bob, theirs, "allow")
    assert late.status_code == 400
    assert UNKNOWN in late.text
    device.poll()
    assert row_of(app).grant.subject == "1"


def test_one_press_too_many_changes_nothing(device: Device) -> None:
    device.start()
    page = device.enter()
    press(device.browser, page, "allow")
    assert UNKNOWN in press(device.browser, page, "deny").text
    assert device.poll().status_code == 200


def test_a_code_that_is_no_longer_good_is_told_from_nothing(
    device: Device, pkce_clock: Clock
) -> None:
    # Unknown, expired, used and denied look the same.
    device.start()
    unknown = device.enter("BCDF-GHJK")
    assert unknown.status_code == 400
    assert UNKNOWN in unknown.text
    assert 'aria-invalid="true"' in unknown.text
    assert 'value="BCDF-GHJK"' in unknown.text
    device.decide()
    assert UNKNOWN in device.enter().text
    device.poll()
    assert UNKNOWN in device.enter().text
    device.start()
    page = device.enter()
    pkce_clock.advance(600)
    assert UNKNOWN in device.enter().text
    assert UNKNOWN in press(device.browser, page, "allow").text


def test_the_device_of_a_client_that_is_gone_is_gone(app: Flask, device: Device) -> None:
    device.start()
    page = device.enter()
    with app.app_context():
        # As a feature may do that brings clients from elsewhere: the code is still there.
        server_of(app).store.write(lambda session: session.execute(delete(Client)))
    assert UNKNOWN in device.enter().text
    assert UNKNOWN in press(device.browser, page, "allow").text


def test_what_can_be_no_code_is_said_at_once_and_not_counted(device: Device) -> None:
    device.start()
    for typed in ("", "AEIO-UAEI", "BCDF-GHJ", "1234-5678", "x" * 9000, "\x00", "<b>" * 3):
        page = device.enter(typed)
        assert page.status_code == 400
        assert "A code has 8 letters." in page.text
        assert "<b>" not in page.text
    assert device.enter().status_code == 200
