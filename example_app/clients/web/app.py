"""A confidential web app: Authlib's Flask client, with its secret on the server.

Register it once:

    flask --app example_app pkce client create --name web --type confidential \
        --client-id web --redirect-uri http://127.0.0.1:5001/callback

Then, with the demo running, and with the secret that the command printed:

    CLIENT_SECRET=... flask --app example_app/clients/web/app.py run --port 5001

and open http://127.0.0.1:5001/. The tokens stay in this process: the browser only gets
a session cookie.
"""

from __future__ import annotations

import os
import secrets
from typing import Any

from authlib.integrations.flask_client import OAuth, OAuthError
from flask import Flask, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_hex()
app.config.update(
    # The demo runs on the same host name, and cookies ignore ports.
    SESSION_COOKIE_NAME="web_client",
    # The forms of other sites arrive without the cookie, so they do nothing here.
    SESSION_COOKIE_SAMESITE="Lax",
    # Anywhere but on this computer, the app is on https: SESSION_COOKIE_SECURE=True.
)

ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:5000/")
# RFC 8414 3.1: without the slash that an issuer may end with.
ADDRESS = ISSUER.rstrip("/")
oauth = OAuth(app)
notes = oauth.register(
    "notes",
    client_id=os.environ.get("CLIENT_ID", "web"),
    client_secret=os.environ.get("CLIENT_SECRET"),
    server_metadata_url=f"{ADDRESS}/.well-known/oauth-authorization-server",
    client_kwargs={"scope": "profile offline_access", "code_challenge_method": "S256"},
)
#: The tokens of each session, by the name stored in the browser's signed session cookie.
tokens: dict[str, dict[str, Any]] = {}


@app.get("/")
def home() -> ResponseReturnValue:
    """Ask the API who is signed in, and show it."""
    token = _token()
    if token is None:
        return f'<h1>A web client</h1><p><a href="{url_for("sign_in")}">Sign in</a></p>'
    answer = notes.get(f"{ADDRESS}/api/me", token=token)
    # Markup.format escapes what comes from elsewhere, as a template does.
    return Markup(
        "<h1>A web client</h1><pre>{}</pre>"
        '<form method="post" action="{}"><button>Refresh</button></form>'
    ).format(answer.text, url_for("refresh"))


@app.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Redirect the browser to the authorization server."""
    if notes.load_server_metadata()["issuer"] != ISSUER:
        # RFC 8414 3.3.
        return "The server calls itself by another name.", 502
    answer: ResponseReturnValue = notes.authorize_redirect(url_for("callback", _external=True))
    return answer


@app.get("/callback")
def callback() -> ResponseReturnValue:
    """Receive the code; Authlib checks state, and sends the verifier."""
    if request.args.get("iss") != ISSUER:
        # RFC 9207 2.4: the answer of another server. Authlib does not look.
        return "This answer does not belong to this app's request.", 400
    try:
        token = notes.authorize_access_token()
    except OAuthError as error:
        return Markup("<p>Not signed in: {}.</p>").format(error.error), 400
    session["name"] = secrets.token_urlsafe()
    tokens[session["name"]] = token
    return redirect(url_for("home"))


@app.post("/refresh")
def refresh() -> ResponseReturnValue:
    """Exchange the refresh token for new tokens."""
    token = _token()
    if token is not None:
        tokens[session["name"]] = notes.fetch_access_token(
            grant_type="refresh_token", refresh_token=token["refresh_token"]
        )
    return redirect(url_for("home"), 303)


def _token() -> dict[str, Any] | None:
    return tokens.get(session.get("name", ""))
