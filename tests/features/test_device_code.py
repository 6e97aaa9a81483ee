"""The device_code feature: RFC 8628, and what RFC 10027 says of flows across devices."""

from __future__ import annotations

import html
import itertools
import json
import logging
import re
import sys

import flask
import pytest
from flask import Flask, redirect
from flask.testing import FlaskClient
from flask_login import current_user
from sqlalchemy import delete, select, update
from werkzeug.test import TestResponse

from flask_pkce_server import (
    authorization_denied,
    authorization_granted,
    code_replayed,
    token_issued,
    verifier_mismatched,
)
from flask_pkce_server.features.device_code import SingleUseDeviceCodeGrant
from flask_pkce_server.models.base import Base
from flask_pkce_server.models.client import Client
from flask_pkce_server.models.consent import Consent
from flask_pkce_server.models.device_code import LETTERS, DeviceCode
from flask_pkce_server.models.token import Token
from flask_pkce_server.testing import (
    Clock,
    Flow,
    RegisteredClient,
    hidden_fields,
    new_verifier,
    register,
    server_of,
)
from flask_pkce_server.wire.code_challenge import challenge_of
from flask_pkce_server.wire.names import DEVICE_CODE as GRANT_TYPE

from ..device import SCOPE, Device, enter, press, television
from ..host import make_app, sign_in
from ..openid import read

UNKNOWN = "No device is waiting with this code."


@pytest.fixture
def device(app: Flask, client: FlaskClient, pkce_clock: Clock) -> Device:
    return Device(client, television(app))


def me(app: Flask, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client(use_cookies=False).get("/api/me", headers=headers).status_code


def row_of(app: Flask) -> DeviceCode:
    with app.app_context(), server_of(app).store.reading() as session:
        return session.scalars(select(DeviceCode)).one()


def wrong_codes(device: Device) -> list[str]:
    """Give codes that can be ones and are not that of the device."""
    made = ("".join(letters) * 4 for letters in itertools.product(LETTERS, repeat=2))
    return [code for code in made if code != device.user_code.replace("-", "")]


# What the device is told.


def test_a_device_gets_two_codes(app: Flask, device: Device) -> None:
    # RFC 8628 3.2
    answer = device.start()
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    told = dict(device.started)
    assert re.fullmatch(r"fpk_dc_\S{49}", told.pop("device_code"))
    code = told.pop("user_code")
    assert re.fullmatch(f"[{LETTERS}]{{4}}-[{LETTERS}]{{4}}", code)
    assert told == {
        "verification_uri": "https://auth.example/oauth/device",
        "verification_uri_complete": f"https://auth.example/oauth/device?user_code={code}",
        "expires_in": 600,
        "interval": 5,
    }


def test_user_codes_have_no_vowels_and_nothing_that_is_read_for_another() -> None:
    # RFC 8628 6.1: the 20 letters of its example.
    assert len(set(LETTERS)) == len(LETTERS) == 20
    assert not set(LETTERS) & set("AEIOUY0123456789")


def test_how_long_and_how_often_is_the_hosts_choice() -> None:
    app = make_app(PKCE_DEVICE_CODE_LIFETIME=300, PKCE_DEVICE_CODE_INTERVAL=7)
    device = Device(sign_in(app), television(app))
    device.start()
    assert (device.started["expires_in"], device.started["interval"]) == (300, 7)


def test_discovery_says_where() -> None:
    # RFC 8628 4
    metadata = server_of(make_app()).metadata()
    assert (
        metadata["device_authorization_endpoint"]
        == "https://auth.example/oauth/device_authorization"
    )
    assert GRANT_TYPE in metadata["grant_types_supported"]


def test_a_confidential_device_proves_who_it_is(app: Flask, client: FlaskClient) -> None:
    # RFC 8628 3.1, RFC 6749 3.2.1; Authlib asks nothing of it.
    for method in ("client_secret_basic", "client_secret_post"):
        device = Device(client, television(app, auth_method=method))
        assert device.start().status_code == 200
        known, started = device.client, device.started
        for impostor in (
            RegisteredClient(known.client_id, None, "", "none"),
            RegisteredClient(known.client_id, "wrong" * 10, "", method),
        ):
            device.client = impostor
            assert device.poll().get_json()["error"] == "invalid_client"
            assert device.start(scope="profile").status_code == 401
            device.started = started
        device.client = known
        device.decide()
        assert device.poll().status_code == 200


def test_a_client_has_to_be_registered_for_it(app: Flask, client: FlaskClient) -> None:
    usual = Device(client, register(app))
    answer = usual.start()
    assert (answer.status_code, answer.get_json()["error"]) == (400, "unauthorized_client")
    usual.started = {"device_code": "x"}
    assert usual.error() == "unauthorized_client"


def test_the_scopes_are_the_clients(app: Flask, client: FlaskClient, device: Device) -> None:
    narrow = Device(client, television(app, scope=["profile"]))
    assert narrow.start(scope="notes:read").get_json()["error"] == "invalid_scope"
    assert device.start(scope="unheard-of").get_json()["error"] == "invalid_scope"
    assert narrow.start(scope="profile").status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_the_endpoint_takes_a_form_and_nothing_else(app: Flask, method: str) -> None:
    program = app.test_client()
    answer = program.open("/oauth/device_authorization", method=method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, OPTIONS")
    answer = program.post("/oauth/device_authorization", json={"client_id": "x"})
    assert answer.get_json()["error"] == "invalid_request"


# What its user does.


def test_the_whole_way(app: Flask, device: Device) -> None:
    device.start()
    assert device.error() == "authorization_pending"
    page = device.enter()
    text = html.unescape(page.text)
    # RFC 8628 3.3, 5.4: whose device, and which.
    assert "Television" in text
    assert "Ada Lovelace" in text
    assert device.user_code in text
    assert "Read your notes" in text
    assert "Know that you signed in here" in text
    done = press(device.browser, page, "allow")
    assert "You can go back to your device" in done.text
    assert "Television" in done.text
    body = device.poll().get_json()
    assert body["scope"] == " ".join(sorted(SCOPE.split()))
    assert me(app, body["access_token"]) == 200
    assert device.flow.refresh(body["refresh_token"]).status_code == 200


def test_the_id_token_says_who_and_when(app: Flask, device: Device, pkce_clock: Clock) -> None:
    # OIDC Core 2. Not the session of the browser: the device stays when that ends.
    token = read(app, device.tokens()["id_token"])
    assert (token["sub"], token["aud"]) == ("1", device.client.client_id)
    assert abs(token["auth_time"] - pkce_clock.now) < 60
    assert "sid" not in token


def test_the_device_stays_signed_in_when_the_browser_does_not(app: Flask, device: Device) -> None:
    tokens = device.tokens()
    device.browser.post("/logout")
    assert me(app, tokens["access_token"]) == 200
    assert device.flow.refresh(tokens["refresh_token"]).status_code == 200


def test_without_offline_access_there_is_no_refresh_token(device: Device) -> None:
    assert "refresh_token" not in device.tokens(scope="profile")


def test_it_asks_for_no_scope_and_is_asked_for_all_the_same(app: Flask, device: Device) -> None:
    device.start(scope=None)
    assert "It asks for nothing of your account" in device.enter().text


@pytest.mark.parametrize("spelled", ["{0}-{1}", "{0}{1}", " {0} {1}\t", "{0}\u2013{1}", "{0}.{1}"])
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_the_code_may_be_typed_as_people_type(device: Device, spelled: str, case) -> None:
    # RFC 8628 6.1: case, blanks and punctuation do not count.
    device.start()
    typed = case(spelled.format(*device.user_code.split("-")))
    assert device.enter(typed).status_code == 200


def test_full_width_letters_are_letters(device: Device) -> None:
    device.start()
    wide = "".join(chr(ord(one) + 0xFEE0) for one in device.user_code)
    assert device.enter(wide).status_code == 200


def test_a_code_in_the_address_has_still_to_be_confirmed(device: Device) -> None:
    # RFC 8628 3.3.1, 5.4: the user sees the code, and says that it is the one on the device.
    device.start()
    path = device.started["verification_uri_complete"].removeprefix("https://auth.example")
    page = device.browser.get(path)
    assert "Go on only if your device shows this very code." in page.text
    assert f'value="{device.user_code}"' in page.text
    assert "Did somebody send you the code" in page.text
    assert "Television" not in page.text
    assert device.error() == "authorization_pending"
    form = {**hidden_fields(page.text), "user_code": device.user_code}
    assert "Television" in device.browser.post("/oauth/device", data=form).text


@pytest.mark.parametrize(
    "code", ["AAAA-AAAA", "<script>", "x" * 9000, "%00", "BBBB-BBB", "\u0130" * 8]
)
def test_what_can_be_no_code_is_not_shown_by_an_address(device: Device, code: str) -> None:
    page = device.browser.get("/oauth/device", query_string={"user_code": code})
    assert page.status_code == 200
    assert 'value=""' in page.text
    assert code not in page.text


def test_the_user_signs_in_first_and_comes_back_with_the_code(app: Flask, device: Device) -> None:
    device.start()
    stranger = app.test_client()
    path = f"/oauth/device?user_code={device.user_code}"
    answer = stranger.get(path)
    assert answer.status_code == 302
    assert "/login?next=" in answer.headers["Location"]
    back = stranger.post(answer.headers["Location"], data={"username": "ada"})
    assert back.headers["Location"] == path
    for typed in ("x", "//evil.example", "<b>"):
        where = app.test_client().get("/oauth/device", query_string={"user_code": typed})
        assert where.headers["Location"].startswith("/login?next=%2Foauth%2Fdevice")


def test_who_signed_out_meanwhile_signs_in_again(app: Flask, device: Device) -> None:
    device.start()
    page = device.enter()
    device.browser.post("/logout")
    answer = press(device.browser, page, "allow")
    assert answer.headers["Location"] == f"/oauth/device?user_code={device.user_code}"
    again = device.browser.get(answer.headers["Location"])
    assert "/login?next=" in again.headers["Location"]
    assert device.user_code in again.headers["Location"]
    assert device.error() == "authorization_pending"


def test_not_you_leads_to_another_account(app: Flask, device: Device) -> None:
    device.start()
    answer = press(device.browser, device.enter(), "switch")
    answer = device.browser.get(answer.headers["Location"])
    back = device.browser.post(answer.headers["Location"], data={"username": "bob"})
    assert f'value="{device.user_code}"' in device.browser.get(back.headers["Location"]).text
    assert "Bob" in device.enter().text
    device.decide()
    assert device.poll().status_code == 200
    assert row_of(app).subject == "2"


def test_what_changes_while_the_user_decides_they_have_not_agreed_to(
    app: Flask, device: Device
) -> None:
    # The same check as at the authorization endpoint: what was shown is what is granted.
    device.start()
    page = device.enter()
    assert "Television" in page.text
    with app.app_context():
        renamed = update(Client).values(client_name="Somebody else")
        server_of(app).store.write(lambda session: session.execute(renamed))
    page = press(device.browser, page, "allow")
    assert page.status_code == 400
    assert "Please decide again." in page.text
    assert "Somebody else" in page.text
    assert device.error() == "authorization_pending"
    assert press(device.browser, page, "allow").status_code == 200
    assert device.poll().status_code == 200


def test_what_the_client_may_no_longer_ask_for_is_not_granted(app: Flask, device: Device) -> None:
    device.start(scope="openid notes:read")
    page = device.enter()
    with app.app_context():
        narrowed = update(Client).values(scope=frozenset({"openid"}))
        server_of(app).store.write(lambda session: session.execute(narrowed))
    refused = press(device.browser, page, "allow")
    assert refused.status_code == 400
    assert "invalid_scope" in refused.text
    assert device.error() == "access_denied"


# What a client asks of the sign-in means on a device what it means in a browser.


@pytest.fixture
def stepped(app: Flask) -> Device:
    """A device whose user can step up, at `/factor/<acr>`."""

    @app.post("/factor/<acr>")
    def factor(acr: str) -> str:
        app.pkce.signed_in(current_user, acr=acr)
        return ""

    return Device(sign_in(app), television(app))


GOLD = json.dumps({"id_token": {"acr": {"values": ["gold"], "essential": True}}})


def test_an_essential_acr_is_had_or_the_device_is_denied(app: Flask, stepped: Device) -> None:
    # OIDC Core 5.5.1.1
    stepped.start(claims=GOLD)
    page = stepped.enter()
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
    assert press(stepped.browser, page, "allow").status_code == 400
    assert stepped.error() == "access_denied"


def sign_in_again(device: Device, answer: TestResponse) -> TestResponse:
    """Follow a user who is sent to sign in once more, and comes back to the page for codes."""
    assert answer.status_code == 303, answer.text
    login = device.browser.get(answer.headers["Location"])
    assert "/login?next=" in login.headers["Location"]
    back = device.browser.post(login.headers["Location"], data={"username": "ada"})
    return device.browser.get(back.headers["Location"])


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
    assert granted[-1].pop("family_id")
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
    assert row_of(app).subject == "1"


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


# How often it may be guessed at.


def test_after_five_wrong_codes_a_user_waits(app: Flask, device: Device, pkce_clock: Clock) -> None:
    # RFC 8628 5.1
    pkce_clock.now = 1790000400 // 600 * 600 + 1
    device.start()
    wrong = iter(wrong_codes(device))
    for _ in range(5):
        assert device.enter(next(wrong)).status_code == 400
    for typed in (next(wrong), device.user_code):
        # The right one too: nobody learns that it is.
        refused = device.enter(typed)
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "599"
        assert "Too many wrong codes." in refused.text
    # Others are not meant, and a right one costs them nothing.
    bob = sign_in(app, "bob")
    for _ in range(7):
        assert device.enter(browser=bob).status_code == 200
    pkce_clock.advance(599)
    device.start()
    assert device.enter().status_code == 200


def test_being_refused_costs_the_others_nothing(
    app: Flask, device: Device, monkeypatch: pytest.MonkeyPatch, pkce_clock: Clock
) -> None:
    pkce_clock.now = 1790000400 // 600 * 600 + 1
    monkeypatch.setattr("flask_pkce_server.models.device_code.WRONG_OF_ALL", 8)
    device.start()
    wrong = wrong_codes(device)
    for typed in wrong[:20]:
        device.enter(typed)
    # Ada was wrong 20 times, 5 of which count for all.
    bob = sign_in(app, "bob")
    for typed in wrong[:3]:
        assert device.enter(typed, browser=bob).status_code == 400
    # Now everybody waits.
    assert device.enter(browser=bob).status_code == 429
    pkce_clock.advance(600)
    device.start()
    assert device.enter(browser=bob).status_code == 200


def test_the_chance_to_guess_a_code_is_below_one_in_ten_million() -> None:
    # RFC 8628 5.1. The arithmetic of docs/device.md: a code lives through two windows at most.
    from flask_pkce_server.models import device_code, guess

    codes, windows = len(LETTERS) ** 8, -(-600 // guess.WINDOW) + 1
    assert codes == 25_600_000_000
    assert windows * device_code.WRONG_OF_ALL / codes < 1e-7
    assert 250 * windows * device_code.WRONG_OF_USER / codes < 1e-7


def test_an_address_uses_up_nobodys_tries(device: Device) -> None:
    device.start()
    for typed in wrong_codes(device)[:9]:
        device.browser.get("/oauth/device", query_string={"user_code": typed})
    assert device.enter().status_code == 200


# What the device asks meanwhile.


def test_a_device_that_asks_too_often_has_to_wait_longer(device: Device, pkce_clock: Clock) -> None:
    # RFC 8628 3.5: by 5 seconds, for this and all subsequent requests.
    device.start()
    assert device.error() == "authorization_pending"
    pkce_clock.advance(5)
    assert device.error() == "authorization_pending"
    pkce_clock.advance(2)
    assert device.error() == "slow_down"
    pkce_clock.advance(5)
    assert device.error() == "slow_down"
    pkce_clock.advance(15)
    assert device.error() == "authorization_pending"
    pkce_clock.advance(10)
    assert device.error() == "slow_down"


def test_a_question_may_travel_faster_than_the_one_before(
    device: Device, pkce_clock: Clock
) -> None:
    device.start()
    device.poll()
    pkce_clock.advance(4)
    assert device.error() == "authorization_pending"


def test_who_asked_too_often_gets_the_tokens_all_the_same(device: Device) -> None:
    device.start()
    device.poll()
    assert device.error() == "slow_down"
    device.decide()
    assert device.poll().status_code == 200


def test_a_code_that_nobody_typed_expires(device: Device, pkce_clock: Clock) -> None:
    # RFC 8628 3.5
    device.start()
    pkce_clock.advance(599)
    assert device.error() == "authorization_pending"
    pkce_clock.advance(1)
    assert device.error() == "expired_token"


def test_one_that_was_approved_and_not_fetched_expires_too(
    device: Device, pkce_clock: Clock
) -> None:
    device.start()
    device.decide()
    pkce_clock.advance(600)
    assert device.error() == "expired_token"


def test_a_code_is_used_once_and_a_second_use_takes_back_what_it_gave(
    app: Flask, device: Device
) -> None:
    # As RFC 6749 4.1.2 has it for authorization codes; Authlib gives tokens each time.
    told = []
    code_replayed.connect(lambda app, **facts: told.append(facts), weak=False)
    tokens = device.tokens()
    assert device.error() == "invalid_grant"
    assert me(app, tokens["access_token"]) == 401
    assert device.flow.refresh(tokens["refresh_token"]).status_code == 400
    assert told[-1]["client_id"] == device.client.client_id
    assert device.error() == "invalid_grant"


def test_a_second_use_is_told_from_an_unknown_code_after_it_has_expired(
    app: Flask, device: Device, pkce_clock: Clock
) -> None:
    tokens = device.tokens()
    pkce_clock.advance(900)
    app.test_cli_runner().invoke(args=["pkce", "prune"])
    assert device.error() == "invalid_grant"
    assert me(app, tokens["access_token"]) == 401


def test_a_code_is_the_clients_that_asked_for_it(
    app: Flask, client: FlaskClient, device: Device
) -> None:
    # RFC 8628 3.4; nobody else can redeem, slow down or burn it.
    device.start()
    device.decide()
    other = Device(client, television(app), started=device.started)
    for _ in range(3):
        assert other.error() == "invalid_grant"
    assert device.poll().status_code == 200
    # Nor end what it gave.
    other.poll()
    assert row_of(app).consumed_at is not None
    with app.app_context(), server_of(app).store.reading() as session:
        assert all(token.revoked_at is None for token in session.scalars(select(Token)))


@pytest.mark.parametrize("code", ["x", "fpk_dc_" + "a" * 49, "fpk_at_" + "a" * 49, "WDJB-MJHT"])
def test_what_is_no_device_code_is_an_invalid_grant(device: Device, code: str) -> None:
    device.started = {"device_code": code}
    assert device.error() == "invalid_grant"


def test_the_user_code_does_not_redeem(device: Device) -> None:
    # RFC 8628 5.2: what is short is for eyes alone.
    device.start()
    device.decide()
    assert device.error(device_code=device.user_code) == "invalid_grant"
    assert device.error(device_code=None) == "invalid_request"


def test_a_user_who_is_gone_gets_no_tokens(app: Flask, device: Device) -> None:
    device.start()
    device.decide()
    with app.app_context():
        app.db.session.execute(update(app.User).values(active=False))
        app.db.session.commit()
    assert device.error() == "invalid_grant"


# PKCE: not asked for, and kept to where it comes.


def test_a_challenge_binds_the_code(device: Device) -> None:
    # RFC 7636 4.6
    told, verifier = [], new_verifier()
    verifier_mismatched.connect(lambda app, **facts: told.append(facts), weak=False)
    device.start(code_challenge=challenge_of(verifier), code_challenge_method="S256")
    assert device.error(code_verifier=verifier) == "authorization_pending"
    device.decide()
    assert device.error() == "invalid_request"
    assert device.error(code_verifier="x" * 42) == "invalid_request"
    assert device.error(code_verifier=new_verifier()) == "invalid_grant"
    assert told[-1] == {"client_id": device.client.client_id, "subject": "1"}
    # A thief without the verifier has burnt nothing.
    assert device.poll(code_verifier=verifier).status_code == 200
    assert device.error(code_verifier=new_verifier()) == "invalid_grant"
    assert device.error(code_verifier=verifier) == "invalid_grant"


@pytest.mark.parametrize(
    "sent",
    [
        {"code_challenge": "x" * 43},
        {"code_challenge": challenge_of(new_verifier())},
        {"code_challenge": challenge_of(new_verifier()), "code_challenge_method": "plain"},
        {"code_challenge": "short", "code_challenge_method": "S256"},
        {"code_challenge_method": "S256"},
    ],
)
def test_a_challenge_is_s256_or_an_error(device: Device, sent: dict) -> None:
    assert device.start(**sent).get_json()["error"] == "invalid_request"


def test_a_verifier_without_a_challenge_is_a_downgrade(device: Device) -> None:
    # RFC 9700 4.8.2
    device.start()
    device.decide()
    assert device.error(code_verifier=new_verifier()) == "invalid_grant"
    assert device.poll().status_code == 200


# Taking it back.


def press_remove(browser: FlaskClient, **fields: str) -> None:
    page = browser.get("/oauth/apps").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    assert browser.post("/oauth/apps", data={"csrf_token": token, **fields}).status_code == 303


def test_the_app_stands_among_the_connected_ones(app: Flask, device: Device) -> None:
    tokens = device.tokens()
    page = device.browser.get("/oauth/apps").text
    assert "Television" in page
    assert "A device" in page
    assert "Read your notes" in page
    press_remove(device.browser, remove="app", client_id=device.client.client_id)
    assert me(app, tokens["access_token"]) == 401
    assert "Television" not in device.browser.get("/oauth/apps").text


def test_removing_the_app_ends_what_no_device_has_fetched(app: Flask, device: Device) -> None:
    device.tokens()
    device.start()
    device.decide()
    other = Device(sign_in(app, "bob"), device.client)
    other.start()
    other.decide()
    press_remove(device.browser, remove="app", client_id=device.client.client_id)
    assert device.error() == "access_denied"
    # Bob's is Bob's.
    assert other.poll().status_code == 200


def test_one_sign_in_alone_is_ended(app: Flask, device: Device) -> None:
    first, second = device.tokens(), device.tokens()
    page = device.browser.get("/oauth/apps").text
    family = re.findall(r'name="family_id" value="([^"]+)"', page)[0]
    press_remove(device.browser, remove="session", family_id=family)
    assert sorted(me(app, one["access_token"]) for one in (first, second)) == [200, 401]


@pytest.mark.parametrize("gone", [{}, {"scope": frozenset({"profile"})}])
def test_what_is_taken_back_at_the_last_moment_is_not_fetched(
    app: Flask, device: Device, monkeypatch: pytest.MonkeyPatch, gone: dict
) -> None:
    # Between the reading of the code and its redemption.
    device.start()
    device.decide()
    usual, server, done = SingleUseDeviceCodeGrant.check_approved, server_of(app), []

    def check_approved(grant, code: DeviceCode) -> None:
        usual(grant, code)
        if not done:
            done.append(True)
            values = gone or {"denied_at": server.now()}
            server.store.write(lambda session: session.execute(update(DeviceCode).values(values)))

    monkeypatch.setattr(SingleUseDeviceCodeGrant, "check_approved", check_approved)
    answer = device.poll().get_json()
    assert answer.get("error") == (None if gone else "access_denied")
    assert answer.get("scope") == ("profile" if gone else None)


def test_what_is_taken_back_in_part_is_not_fetched(app: Flask, device: Device) -> None:
    device.tokens()
    device.start()
    device.decide()
    client_id = device.client.client_id
    press_remove(device.browser, remove="scopes", scope="notes:read", client_id=client_id)
    assert device.poll().get_json()["scope"] == "offline_access openid profile"


def test_a_client_that_is_deleted_takes_its_codes_along(app: Flask, device: Device) -> None:
    device.start()
    args = ["pkce", "client", "delete", device.client.client_id]
    assert app.test_cli_runner().invoke(args=args).exit_code == 0
    with app.app_context(), server_of(app).store.reading() as session:
        assert list(session.scalars(select(DeviceCode))) == []


# Settings of other features.


def test_where_all_subjects_are_pairwise_a_device_knows_users_by_its_own() -> None:
    # OIDC Core 8.1: no redirect URI, so it is a sector of its own.
    app = make_app(
        PKCE_OPENID_SUBJECT_TYPE="pairwise", PKCE_OPENID_PAIRWISE_SALT="a-salt-of-the-tests"
    )
    browser = sign_in(app)
    one, two = (Device(browser, television(app)) for _ in range(2))
    subjects = {read(app, device.tokens()["id_token"])["sub"] for device in (one, two, one)}
    assert len(subjects) == 2
    assert "1" not in subjects


def test_access_tokens_may_be_jwts(client: FlaskClient) -> None:
    app = make_app(PKCE_ACCESS_TOKEN_FORMAT="jwt")
    token = Device(sign_in(app), television(app)).tokens()["access_token"]
    assert read(app, token)["sub"] == "1"


def test_the_portal_registers_devices_that_work() -> None:
    app = make_app(PKCE_FEATURES={"developer_portal": True})
    browser = sign_in(app)
    page = browser.get("/oauth/developer")
    assert 'value="device"' in page.text
    form = {**hidden_fields(page.text), "kind": "device", "name": "My set", "scope": "profile"}
    made = browser.post("/oauth/developer", data=form)
    assert "The app is registered." in made.text
    assert "curl https://auth.example/oauth/device_authorization" in made.text
    client_id = re.search(r'id="client_id"[^>]*value="(\w+)"', made.text)[1]
    device = Device(browser, RegisteredClient(client_id, None, "", "none"), scope="profile")
    device.start()
    # Anybody may have registered it under any name.
    assert "Anybody can register an app here" in device.enter().text
    device.decide()
    assert device.poll().status_code == 200


def test_the_qr_code_is_an_image_of_the_address(app: Flask, device: Device) -> None:
    import segno

    device.start()
    program = app.test_client(use_cookies=False)
    answer = program.get(f"/oauth/device/qr.svg?user_code={device.user_code}")
    assert answer.mimetype == "image/svg+xml"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.text.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "script" not in answer.text
    wanted = segno.make(device.started["verification_uri_complete"], micro=False)
    drawn = re.search(r'<path class="qrline"[^>]* d="([^"]+)"', answer.text)[1]
    assert drawn in wanted.svg_inline()
    # For what can be no code there is none; whether there is such a code, nobody learns here.
    for code in ("", "<svg>", "AAAA-AAAA", "x" * 9000):
        refused = program.get("/oauth/device/qr.svg", query_string={"user_code": code})
        assert (refused.status_code, refused.mimetype) == (400, "application/json")
    assert program.get("/oauth/device/qr.svg?user_code=BCDF-GHJK").status_code == 200


def test_without_the_extra_there_is_no_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    monkeypatch.setattr("flask_pkce_server.features.device_code.find_spec", lambda name: None)
    app = make_app()
    assert app.test_client().get("/oauth/device/qr.svg?user_code=BCDF-GHJK").status_code == 404
    assert Device(sign_in(app), television(app)).start().status_code == 200


def test_left_out_it_is_not_there() -> None:
    app = make_app(PKCE_FEATURES={"device_code": False})
    metadata = server_of(app).metadata()
    assert GRANT_TYPE not in metadata["grant_types_supported"]
    assert "device_authorization_endpoint" not in metadata
    for path in ("/oauth/device", "/oauth/device_authorization", "/oauth/device/qr.svg"):
        assert app.test_client().post(path).status_code == 404


# Hostile input, and what must not leak.


@pytest.mark.parametrize("name", ["scope", "client_id", "code_challenge", "nonce", "prompt", "x"])
@pytest.mark.parametrize("value", ['co"de', "\u00e9", "\x00", "a\r\nb", "\\", "[" * 9000])
def test_nothing_brings_the_endpoint_down(device: Device, name: str, value: str) -> None:
    answer = device.start(**{name: value})
    assert answer.status_code < 500
    assert answer.get_json().get("error_description", "").isascii()


@pytest.mark.parametrize("value", ['co"de', "\u00e9", "\x00", "\r\n", "[" * 9000, "\ufdfa" * 20])
def test_nothing_brings_the_page_down(device: Device, value: str) -> None:
    device.start()
    assert device.enter(value).status_code == 400
    for name in ("request", "decision", "csrf_token", "days", "scope"):
        form = {**hidden_fields(device.enter().text), "decision": "deny"}
        answer = device.browser.post("/oauth/device", data={**form, name: value})
        assert answer.status_code in (200, 400)
        device.start()


def test_a_parameter_that_comes_twice_is_refused(app: Flask, device: Device) -> None:
    # RFC 6749 3.2
    answer = app.test_client().post(
        "/oauth/device_authorization",
        data={"client_id": device.client.client_id, "scope": ["profile", "openid"]},
    )
    assert answer.get_json()["error"] == "invalid_request"


def test_names_are_shown_as_text(app: Flask, client: FlaskClient) -> None:
    device = Device(client, television(app, name="<script>alert(1)</script>"))
    device.start()
    page = device.enter()
    assert "<script" not in page.text
    assert "<script" not in press(client, page, "allow").text


def test_the_pages_have_the_manners_of_pages(device: Device) -> None:
    device.start()
    page = device.enter()
    for answer in (page, device.browser.get("/oauth/device"), press(device.browser, page, "deny")):
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"


def test_neither_code_is_kept_logged_or_told(
    app: Flask, device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    verifier = new_verifier()
    device.start(code_challenge=challenge_of(verifier), code_challenge_method="S256")
    device.decide()
    device.poll(code_verifier=verifier)
    device.poll(code_verifier=verifier)
    with app.app_context(), app.db.engine.connect() as connection:
        rows = repr(
            [
                row
                for table in Base.metadata.sorted_tables
                for row in connection.execute(table.select())
            ]
        )
    assert "<DeviceCode of" in repr(row_of(app))
    for secret in (
        device.started["device_code"],
        device.user_code,
        device.user_code.replace("-", ""),
        verifier,
    ):
        assert secret not in caplog.text + rows


def test_prune_deletes_what_nothing_hangs_on(app: Flask, device: Device, pkce_clock: Clock) -> None:
    device.tokens(scope="profile")
    device.start()
    device.enter("BCDF-GHJK")

    def pruned() -> dict:
        output = app.test_cli_runner().invoke(args=["pkce", "prune", "--json"]).output
        return app.json.loads(output)["deleted"]

    assert (pruned()["device_code"], pruned()["limits"]) == (0, 0)
    pkce_clock.advance(1200)
    # The one that gave a token that still lives stays.
    done = pruned()
    # Of the user, of all, and that of the devices that start.
    assert (done["device_code"], done["limits"]) == (1, 3)
    pkce_clock.advance(3600)
    assert pruned()["device_code"] == 1
    assert enter(device.browser, "BCDF-GHJK").status_code == 400
