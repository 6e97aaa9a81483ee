"""A host app with one view that needs no token, with this package and without it."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask
from flask_login import LoginManager, UserMixin
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_pkce_server import PKCEServer


def create_app(extension: bool) -> Flask:
    """Return the app; `extension` says whether it is an authorization server as well."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=os.environ["SECRET_KEY"],
        SQLALCHEMY_DATABASE_URI=os.environ["HOST_DATABASE"],
        PKCE_ISSUER="https://auth.example",
        PKCE_SCOPES={"profile": "See your name"},
    )

    class Base(DeclarativeBase):
        pass

    class Person(UserMixin, Base):
        __tablename__ = "person"

        id: Mapped[int] = mapped_column(primary_key=True)

    db, login_manager = SQLAlchemy(app, model_class=Base), LoginManager(app)
    CSRFProtect(app)

    @login_manager.user_loader
    def load_user(user_id: str) -> Any:
        return db.session.get(Person, int(user_id))

    @app.route("/login", endpoint="login")
    @app.get("/open")
    def open_view() -> dict[str, str]:
        return {"message": "Anyone may read this."}

    login_manager.login_view = "login"
    if extension:
        PKCEServer(db).init_app(app)
    return app
