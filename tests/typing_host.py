"""A typed host: `mypy --strict` reads it, and nobody runs it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, Response, redirect, session
from flask_sqlalchemy import SQLAlchemy

from flask_pkce_server import (
    CurrentToken,
    DescribedToken,
    PendingRequest,
    PKCEServer,
    current_token,
    require,
)


@dataclass
class User:
    """A user who is in no table."""

    name: str


db = SQLAlchemy()
pkce = PKCEServer(db)
users = {"ada": User("Ada")}


@pkce.current_user
def current_user() -> User | None:
    return users.get(session.get("user", ""))


@pkce.user_loader
def load(subject: str) -> User | None:
    return users.get(subject)


@pkce.user_subject
def subject(user: User) -> str:
    return user.name


@pkce.login_required_response
def login(next_url: str) -> Response:
    return Response(headers={"Location": next_url}, status=302)


def after_login(user: User) -> Response:
    asking: PendingRequest | None = pkce.pending_request()
    acr = None if asking is None else next(iter(asking.acr_values), None)
    pkce.signed_in(user, acr=acr)
    return Response(headers={"Location": pkce.after_login("/")}, status=303)


@pkce.user_name
def account_name(user: User) -> str:
    return user.name


@pkce.user_claims
def claims(user: User) -> dict[str, object]:
    return {"name": user.name}


@pkce.access_token_claims
def access_token_claims(user: User | None, token: DescribedToken) -> dict[str, object]:
    return {"roles": sorted(token.scopes), "tenant": token.client_id if user is None else user.name}


pkce.mcp("/mcp", scopes={"notes:read": "Read your notes"}, required=["notes:read"])
pkce.resource("https://api.example/v1", scopes=("profile",))
app = Flask(__name__)
pkce.init_app(app)
app.register_blueprint(pkce.blueprint, url_prefix="/oauth")


@app.get("/api/me/<int:number>")
@pkce.require("profile", "notes:read")
def me(number: int) -> dict[str, object]:
    scopes: frozenset[str] = current_token.scopes
    client_id: str = current_token.client_id
    expires_at: int = current_token.expires_at
    return {"scopes": sorted(scopes), "client_id": client_id, "expires_at": expires_at + number}


@app.get("/api/v1/<name>")
@pkce.require("profile", resource="https://api.example/v1")
async def of_a_resource(name: str) -> str:
    current_token.require("notes:write")
    return name


@app.get("/api/later")
@require("profile")
async def later() -> str:
    return current_token.subject


def about(token: CurrentToken) -> str:
    return f"{token.subject} {token.bindings.get('resource')}"


if __name__ == "__main__":
    print(me(1), redirect("/"))
