"""Wheel check: tests the installed wheel in a one-file app whose users are in no database.

It runs outside the source tree, in an environment that has the wheel but nothing else of this
project. It checks every step of the flow, as a browser and a client take it, and the files that
the wheel must contain.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
import secrets
import sys
import tempfile
import traceback
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from flask import Flask, redirect, request, session
from flask_sqlalchemy import SQLAlchemy
from joserfc import jwt
from joserfc.jwk import KeySet

import flask_pkce_server
from flask_pkce_server import PKCEServer, current_token

ISSUER = "https://notes.example"
CALLBACK = "https://client.example/callback"

users = {"ada": {"name": "Ada Lovelace"}}
db = SQLAlchemy()
pkce = PKCEServer(db)


@pkce.current_user
def current_user() -> dict[str, str] | None:
    return users.get(session.get("user", ""))


@pkce.user_loader
def load_user(subject: str) -> dict[str, str] | None:
    return users.get(subject)


@pkce.user_subject
def subject_of(user: dict[str, str]) -> str:
    return next(name for name, record in users.items() if record is user)


@pkce.login_required_response
def sign_in_first(next_url: str) -> Any:
    return redirect(f"/login?{urlencode({'next': next_url})}", 303)


def create_app(folder: str) -> Flask:
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=secrets.token_hex(),
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder}/notes.sqlite",
        PKCE_ISSUER=ISSUER,
        PKCE_SCOPES={"notes:read": "Read your notes"},
    )
    db.init_app(app)
    pkce.init_app(app)
    with app.app_context():
        db.create_all()

    @app.post("/login")
    def login() -> Any:
        session["user"] = request.form["username"]
        return redirect(request.args["next"], 303)

    @app.get("/api/notes")
    @pkce.require("notes:read")
    def notes() -> Any:
        return {"of": current_token.user["name"], "subject": current_token.subject}

    return app


class Page(HTMLParser):
    """The form fields, the decision buttons and the stylesheets of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.decisions: list[str] = []
        self.stylesheets: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        if tag == "input":
            self.fields[values["name"]] = values["value"]
        if tag == "button" and values.get("name") == "decision":
            self.decisions.append(values["value"])
        if tag == "link" and values.get("rel") == "stylesheet":
            self.stylesheets.append(values["href"])


steps: list[Callable[[Walk], None]] = []


def step(method: Callable[[Walk], None]) -> Callable[[Walk], None]:
    """Add `method` after the previous steps."""
    steps.append(method)
    return method


class Walk:
    """The flow from the first page to the last, one step after another."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.browser = app.test_client()
        self.program = app.test_client(use_cookies=False)
        self.verifier = secrets.token_urlsafe(48)
        self.state = secrets.token_urlsafe(8)
        self.client_id = ""
        self.page = Page("")
        self.code = ""
        self.tokens: dict[str, Any] = {}

    @step
    def it_runs_from_the_wheel_and_not_from_the_tree(self) -> None:
        package = Path(flask_pkce_server.__file__).parent
        assert package.is_relative_to(sys.prefix), package
        assert (package / "py.typed").is_file()
        metadata = importlib.metadata.metadata("Flask-PKCE-Server")
        assert metadata["License-Expression"] == "BSD-3-Clause"
        assert importlib.metadata.files("Flask-PKCE-Server")
        # This entry point provides the fixtures for the tests of host apps.
        plugins = importlib.metadata.entry_points(group="pytest11")
        assert plugins["pkce"].value == "flask_pkce_server.testing.plugin"
        assert (package / "testing" / "plugin.py").is_file()

    @step
    def every_template_is_there_and_compiles(self) -> None:
        names = [name for name in self.app.jinja_env.list_templates() if name.startswith("pkce/")]
        assert {"pkce/consent.html", "pkce/error.html", "pkce/form_post.html"} <= {*names}, names
        for name in names:
            self.app.jinja_env.get_template(name)

    @step
    def the_commands_are_there(self) -> None:
        problems = self.command("doctor", "--json")
        assert not [problem for problem in problems if problem["level"] == "FAIL"], problems
        client = self.command(
            *("client", "create", "--name", "Reader", "--type", "public"),
            *(
                "--redirect-uri",
                CALLBACK,
                "--scope",
                "openid profile notes:read offline_access",
                "--json",
            ),
        )
        self.client_id = client["client_id"]

    @step
    def the_metadata_names_the_endpoints(self) -> None:
        metadata = self.get("/.well-known/oauth-authorization-server").get_json()
        assert metadata["issuer"] == ISSUER
        assert metadata["token_endpoint"] == f"{ISSUER}/oauth/token"
        assert metadata["code_challenge_methods_supported"] == ["S256"]

    @step
    def a_request_without_a_challenge_is_sent_back(self) -> None:
        answer = self.get(self.authorize_url(code_challenge=None))
        assert parse_qs(urlsplit(answer.location).query)["error"] == ["invalid_request"]

    @step
    def an_unknown_client_sees_an_error_page(self) -> None:
        answer = self.get(self.authorize_url(client_id="nobody"))
        assert answer.status_code == 400, answer.status
        assert answer.mimetype == "text/html"
        assert "<h1>" in answer.text

    @step
    def a_stranger_signs_in_first(self) -> None:
        answer = self.get(self.authorize_url())
        while urlsplit(answer.location).path != "/login":
            answer = self.get(answer.location)
        answer = self.browser.post(answer.location, base_url=ISSUER, data={"username": "ada"})
        answer = self.get(answer.location)
        assert answer.status_code == 200, answer.status
        assert "Read your notes" in answer.text
        self.page = Page(answer.text)
        assert self.page.decisions == ["switch", "deny", "allow"], self.page.decisions

    @step
    def the_pages_have_their_style(self) -> None:
        assert self.page.stylesheets
        for address in self.page.stylesheets:
            answer = self.get(address)
            assert answer.status_code == 200, (address, answer.status)
            assert answer.mimetype == "text/css"
            assert answer.data
            answer.close()

    @step
    def the_user_allows_it(self) -> None:
        answer = self.browser.post(
            "/oauth/authorize",
            base_url=ISSUER,
            data={**self.page.fields, "decision": "allow"},
            headers={"Referer": f"{ISSUER}/oauth/authorize"},
        )
        assert answer.status_code == 303, (answer.status, answer.text)
        assert answer.location.startswith(f"{CALLBACK}?"), answer.location
        sent_back = parse_qs(urlsplit(answer.location).query)
        assert sent_back["state"] == [self.state]
        assert sent_back["iss"] == [ISSUER]
        self.code = sent_back["code"][0]

    @step
    def another_verifier_gets_nothing(self) -> None:
        answer = self.redeem(secrets.token_urlsafe(48))
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")

    @step
    def the_verifier_gets_tokens(self) -> None:
        answer = self.redeem(self.verifier)
        assert answer.status_code == 200, answer.text
        self.tokens = answer.get_json()
        assert self.tokens["token_type"] == "Bearer"

    @step
    def the_published_keys_verify_who_signed_in(self) -> None:
        keys = KeySet.import_key_set(self.get("/oauth/jwks").get_json())
        claims = jwt.decode(self.tokens["id_token"], keys, algorithms=["RS256"]).claims
        assert (claims["iss"], claims["sub"], claims["aud"]) == (ISSUER, "ada", self.client_id)
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"}
        answer = self.program.get("/oauth/userinfo", base_url=ISSUER, headers=headers)
        assert answer.get_json() == {"sub": "ada", "name": "Ada Lovelace"}, answer.text

    @step
    def the_token_opens_the_api(self) -> None:
        answer = self.api()
        assert answer.get_json() == {"of": "Ada Lovelace", "subject": "ada"}, answer.text

    @step
    def no_token_is_challenged(self) -> None:
        answer = self.program.get("/api/notes", base_url=ISSUER)
        assert answer.status_code == 401, answer.status
        assert answer.headers["WWW-Authenticate"].startswith("Bearer"), answer.headers

    @step
    def a_refresh_brings_new_tokens(self) -> None:
        answer = self.post(
            "token",
            grant_type="refresh_token",
            refresh_token=self.tokens["refresh_token"],
            client_id=self.client_id,
        )
        assert answer.status_code == 200, answer.text
        old, self.tokens = self.tokens, answer.get_json()
        assert self.tokens["access_token"] != old["access_token"]
        assert self.tokens["refresh_token"] != old["refresh_token"]
        assert self.api().status_code == 200

    @step
    def a_revoked_token_opens_nothing(self) -> None:
        answer = self.post("revoke", token=self.tokens["refresh_token"], client_id=self.client_id)
        assert answer.status_code == 200, answer.text
        assert self.api().status_code == 401

    def command(self, *arguments: str) -> Any:
        answer = self.app.test_cli_runner().invoke(args=["pkce", *arguments])
        assert answer.exit_code == 0, answer.output
        return json.loads(answer.output)

    def authorize_url(self, **changes: str | None) -> str:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest())
        parameters = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "scope": "openid profile notes:read offline_access",
            "state": self.state,
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **changes,
        }
        query = {name: value for name, value in parameters.items() if value is not None}
        return f"/oauth/authorize?{urlencode(query)}"

    def get(self, url: str) -> Any:
        return self.browser.get(url, base_url=ISSUER)

    def post(self, endpoint: str, **body: str) -> Any:
        return self.program.post(f"/oauth/{endpoint}", base_url=ISSUER, data=body)

    def redeem(self, verifier: str) -> Any:
        return self.post(
            "token",
            grant_type="authorization_code",
            code=self.code,
            redirect_uri=CALLBACK,
            client_id=self.client_id,
            code_verifier=verifier,
        )

    def api(self) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"}
        return self.program.get("/api/notes", base_url=ISSUER, headers=headers)


def main() -> int:
    """Run the steps until one fails; return the number of failed steps."""
    passed = 0
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(folder)
        walk = Walk(app)
        for run_step in steps:
            sentence = run_step.__name__.replace("_", " ")
            try:
                run_step(walk)
            except Exception:  # noqa: BLE001 - every failure is printed and counted
                traceback.print_exc(file=sys.stdout)
                print(f"failed  {sentence}")
                break
            print(f"passed  {sentence}")
            passed += 1
        with app.app_context():
            db.engine.dispose()
    failed = int(passed < len(steps))
    print(f"checks: {passed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(main())
