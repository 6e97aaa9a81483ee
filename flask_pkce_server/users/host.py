"""Host: the functions through which the host app provides its users."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask.typing import ResponseReturnValue

from . import flask_login, user_model
from .claims import account_name, attributes_as_claims

CurrentUser = Callable[[], Any]
UserLoader = Callable[[str], Any]
UserSubject = Callable[[Any], str]
UserName = Callable[[Any], str]
UserClaims = Callable[[Any], Mapping[str, Any]]
AccessTokenClaims = Callable[[Any, "DescribedToken"], Mapping[str, Any]]
LoginRequiredResponse = Callable[[str], ResponseReturnValue]
SignOut = Callable[[], Any]
ConsentPage = Callable[[Any], ResponseReturnValue]
MayRegisterApp = Callable[[Any], Any]
MayRegisterClient = Callable[[dict[str, Any]], Any]
LogoutDelivery = Callable[[str, dict[str, str]], Any]


@dataclass(frozen=True)
class DescribedToken:
    """The access token that `@pkce.access_token_claims` describes."""

    #: The client that has the token.
    client_id: str
    #: The scopes that the reader of the description sees.
    scopes: frozenset[str]
    #: The URIs of the APIs that the token is for; the issuer is this app.
    audience: tuple[str, ...]
    #: The clients that exchanged the token, the latest first; empty if it was not exchanged.
    actors: tuple[str, ...] = ()


@dataclass
class HostFunctions:
    """The functions that the decorators of the extension replace, under the same names.

    The defaults use Flask-Login and the host app's user model.
    """

    current_user: CurrentUser = flask_login.current_user
    user_loader: UserLoader = user_model.load
    user_subject: UserSubject = user_model.default_subject
    user_name: UserName = account_name
    user_claims: UserClaims = attributes_as_claims
    login_required_response: LoginRequiredResponse = flask_login.login_required_response
    sign_out: SignOut = flask_login.sign_out
    #: None: access tokens have the claims of the protocol only.
    access_token_claims: AccessTokenClaims | None = None
    #: None: the built-in page asks.
    consent_view: ConsentPage | None = None
    #: None: every user may.
    may_register_app: MayRegisterApp | None = None
    #: None: every client may.
    may_register_client: MayRegisterClient | None = None
    #: None: the package delivers in its own threads.
    logout_delivery: LogoutDelivery | None = None
