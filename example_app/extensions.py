"""The extensions of the app, each made once."""

from __future__ import annotations

from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy.orm import DeclarativeBase

from flask_pkce_server import PKCEServer


class Base(DeclarativeBase):
    """What the models of this app descend from."""


db = SQLAlchemy(model_class=Base)
login_manager = LoginManager()
login_manager.login_view = "login.sign_in"
login_manager.login_message = None
csrf = CSRFProtect()
pkce = PKCEServer(db)
# The views of mcp.py. A client asks to read first, and for the rest when it wants to write.
pkce.mcp("/mcp", scopes=["notes:read", "notes:write"], required=["notes:read"])
