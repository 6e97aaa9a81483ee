"""The floor: an authorization server in bare Flask and psycopg.

It does the least work that is right: statements are prepared and run in autocommit, on one
connection a worker, in a transaction only if two of them write. A conditional UPDATE decides
who redeems a code. Everything that a server knows when it starts is made then.
"""

from __future__ import annotations

import os
import time
from typing import Any
from urllib.parse import urlencode

import psycopg
from flask import Flask, Response, redirect, request, session

from . import floor_statements as statements
from .discovery import discovery
from .floor_crypto import JWKS, challenge_of, digest, id_token, new_handle

ISSUER = "http://127.0.0.1:5000"
NO_STORE = {"Cache-Control": "no-store"}

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
DISCOVERY = discovery(ISSUER)
_connections: list[psycopg.Connection[Any]] = []


def database() -> psycopg.Connection[Any]:
    """Return the connection of this worker."""
    if not _connections:
        connection = psycopg.connect(os.environ["FLOOR_DATABASE"], autocommit=True)
        connection.prepare_threshold = 0
        _connections.append(connection)
    return _connections[0]


def one(statement: str, parameters: dict[str, Any]) -> Any:
    """Return the first row of a statement; None if there is none."""
    return database().execute(statement, parameters).fetchone()


def refused(error: str, status: int = 400) -> Response:
    """Return the error of an endpoint for programs."""
    body = f'{{"error": "{error}"}}'
    headers = {**NO_STORE, "WWW-Authenticate": "Bearer"} if status == 401 else NO_STORE
    return Response(body, status, headers, "application/json")


@app.route("/login", methods=["GET", "POST"])
def login() -> Any:
    """Sign the user in."""
    if request.method == "GET":
        return '<form method="post"><input name="username"><input name="password"></form>'
    user = one(statements.FIND_USER, {"username": request.form["username"]})
    if user is None or user[1] != digest(request.form["password"]):
        return "Wrong username or password.", 401
    session["user"], session["at"] = user[0], int(time.time())
    return redirect("/")


@app.get("/authorize")
def authorize() -> Any:
    """Issue a code to the client of a user who is signed in; the user is not asked."""
    asked, user_id = request.args, session.get("user")
    if user_id is None:
        return redirect("/login")
    found = one(statements.CLIENT_AND_USER, {"client": asked.get("client_id"), "user": user_id})
    uri, scopes = asked.get("redirect_uri"), asked.get("scope", "").split()
    if found is None or uri not in found[0]:
        return "This client is not registered, or not with this redirect URI.", 400
    answer = {"state": asked.get("state", ""), "iss": ISSUER}
    challenge = asked.get("code_challenge", "")
    if asked.get("response_type") != "code" or not set(scopes) <= set(found[1]):
        return back(uri, error="invalid_request", **answer)
    if asked.get("code_challenge_method") != "S256" or len(challenge) != 43:
        return back(uri, error="invalid_request", **answer)
    code, values = (
        new_handle(),
        {
            "client": asked["client_id"],
            "user": user_id,
            "uri": uri,
            "challenge": challenge,
            "scope": " ".join(scopes),
            "nonce": asked.get("nonce"),
            "auth_time": session["at"],
            "expires_at": int(time.time()) + 60,
        },
    )
    database().execute(statements.ADD_CODE, {"code": digest(code), **values})
    return back(uri, code=code, **answer)


def back(uri: str, **answer: str) -> Response:
    """Redirect the browser to the client."""
    return Response("", 302, {**NO_STORE, "Location": f"{uri}?{urlencode(answer)}"})


@app.post("/token")
def token() -> Response:
    """Answer a client that has a code or a refresh token."""
    form = request.form
    values: dict[str, Any] = {"client": form.get("client_id"), "secret": None}
    if request.authorization is not None and request.authorization.type == "basic":
        values["client"] = request.authorization.username
        values["secret"] = digest(request.authorization.password or "")
    values["now"] = int(time.time())
    if form.get("grant_type") == "authorization_code":
        return redeem(form.get("code", ""), form.get("code_verifier", ""), values)
    if form.get("grant_type") == "refresh_token":
        return refresh(form.get("refresh_token", ""), values)
    return refused("unsupported_grant_type")


def redeem(code: str, verifier: str, values: dict[str, Any]) -> Response:
    """Exchange a code for tokens. Only the first who has the verifier gets them."""
    values["code"], values["challenge"] = digest(code), challenge_of(verifier)
    values["uri"] = request.form.get("redirect_uri")
    with database().transaction():
        row = one(statements.CONSUME_CODE, values)
        if row is not None:
            return issue(row, values, id_token)
    if row is None:
        # A code that comes back was stolen (RFC 6749 4.1.2).
        database().execute(statements.REVOKE_BY_CODE, values)
    return refused("invalid_grant")


def refresh(text: str, values: dict[str, Any]) -> Response:
    """Exchange a refresh token for a new pair of tokens. It works once."""
    values["token"] = digest(text)
    with database().transaction():
        row = one(statements.CONSUME_REFRESH_TOKEN, values)
        if row is not None:
            return issue(row, values, None)
    database().execute(statements.REVOKE_BY_REFRESH_TOKEN, values)
    return refused("invalid_grant")


def issue(row: Any, values: dict[str, Any], sign: Any) -> Response:
    """Store an access token and a refresh token; return them."""
    grant_id, user_id, scope, nonce, auth_time = row
    access_token, refresh_token = new_handle(), new_handle()
    stored = {
        "access_token": digest(access_token),
        "refresh_token": digest(refresh_token),
        "grant": grant_id,
        "client": values["client"],
        "user": user_id,
        "scope": scope,
        "access_until": values["now"] + 3600,
        "refresh_until": values["now"] + 30 * 86400,
    }
    database().execute(statements.ADD_TOKENS, stored)
    answer = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": refresh_token,
        "scope": scope,
    }
    if sign is not None and "openid" in scope.split():
        answer["id_token"] = sign(
            ISSUER, str(user_id), values["client"], values["now"], auth_time, nonce
        )
    return Response(app.json.dumps(answer), 200, NO_STORE, "application/json")


@app.post("/introspect")
def introspect() -> Response:
    """Tell a resource server about a token (RFC 7662)."""
    authorization = request.authorization
    if authorization is None or authorization.type != "basic":
        return refused("invalid_client", 401)
    values = {
        "token": digest(request.form.get("token", "")),
        "client": authorization.username,
        "secret": digest(authorization.password or ""),
        "now": int(time.time()),
    }
    row = one(statements.INTROSPECT, values)
    if row is None:
        return refused("invalid_client", 401)
    answer: dict[str, Any] = {"active": False}
    if row[0] is not None:
        client_id, user_id, scope, expires_at = row
        answer = {
            "active": True,
            "iss": ISSUER,
            "client_id": client_id,
            "sub": str(user_id),
            "scope": scope,
            "exp": expires_at,
            "token_type": "Bearer",
        }
    return Response(app.json.dumps(answer), 200, NO_STORE, "application/json")


def user_of_token(scope: str) -> Any:
    """Return the user of the request's access token, in one statement; None if it is bad."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    values = {"token": digest(text), "now": int(time.time())}
    row = one(statements.USER_OF_TOKEN, values) if scheme == "Bearer" else None
    return row if row is not None and scope in row[4].split() else None


@app.get("/api/me")
def me() -> Any:
    """Return the profile of the token's user."""
    user = user_of_token("profile")
    if user is None:
        return refused("invalid_token", 401)
    return {"username": user[1], "name": user[2], "email": user[3]}


@app.get("/userinfo")
def userinfo() -> Any:
    """Return the claims of the token's user (OpenID Connect Core 5.3)."""
    user = user_of_token("openid")
    if user is None:
        return refused("invalid_token", 401)
    return {"sub": str(user[0]), "name": user[2], "preferred_username": user[1]}


@app.get("/.well-known/openid-configuration")
def openid_configuration() -> Response:
    """Return the metadata, which are made once."""
    return Response(DISCOVERY, 200, mimetype="application/json")


@app.get("/jwks")
def jwks() -> Response:
    """Return the public key, which is made once."""
    return Response(JWKS, 200, mimetype="application/json")
