"""The app's extensions, each created once."""

from __future__ import annotations

from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy.orm import DeclarativeBase

from flask_pkce_server import PKCEServer


class Base(DeclarativeBase):
    """The base class of this app's models."""


db = SQLAlchemy(model_class=Base)
login_manager = LoginManager()
login_manager.login_view = "login.sign_in"
login_manager.login_message = None
csrf = CSRFProtect()
pkce = PKCEServer(db)
# For the views in mcp.py. A client first asks to read, and for more when it wants to write.
pkce.mcp("/mcp", scopes=["notes:read", "notes:write"], required=["notes:read"])
