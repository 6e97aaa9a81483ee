"""Device code: what its user does on the page (RFC 10027)."""

from __future__ import annotations

import html

import pytest
from flask import Flask
from sqlalchemy import update

from flask_pkce_server.models.client import Client
from flask_pkce_server.testing import (
    Clock,
    hidden_fields,
    server_of,
)

from ...device import SCOPE, Device, press
from ...openid import read
from .asking import me, row_of


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
    assert row_of(app).grant.subject == "2"


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
