"""OpenID: tell the client who signed in, in a token that it can verify (OIDC Core 2).

An ID token comes with the access token where `openid` was granted, and again with each
refresh. It is signed inside the transaction that gives the tokens: if that fails, nothing
was given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from ..errors import (
    ConfigurationError,
    InvalidRequestError,
    LoginRequiredError,
    RequestNotSupportedError,
    RequestUriNotSupportedError,
    UnmetRequirementsError,
)
from ..i18n import translatable
from ..models import login_session
from ..models.client import Client
from ..models.login_session import SessionClient
from ..models.token import Token
from ..protocol.contract import Server
from ..protocol.feature import EVERYBODY, ClientField, Feature
from ..protocol.request import Request
from ..protocol.token_description import user_claims
from ..protocol.token_response import TokenResponse
from ..users import claims
from ..users.sign_in import Login
from ..wire.handle import base64url
from ..wire.jws import ALGORITHMS

_MAX_NONCE = 1024
#: What is noted of a sign-in and told to APIs too.
_SIGN_IN_CLAIMS = ("auth_time", "acr", "amr")
#: What an ID token says besides what is known about the user.
_PROTOCOL_CLAIMS = (
    "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "acr", "amr",
)  # fmt: skip


def check_subject_type(server: Server, client: Client, value: Any) -> None:
    """Refuse a pairwise client where pairwise subjects cannot be made."""
    if value == "pairwise":
        if server.settings.openid_pairwise_salt is None:
            raise InvalidRequestError("Pairwise subjects need PKCE_OPENID_PAIRWISE_SALT.")
        client.check_sector()


class OpenIDFeature(Feature):
    """OIDC Core 2, 3.1 and 5: ID tokens and what they say."""

    name = "openid"
    models = (SessionClient,)
    scopes = {  # noqa: RUF012 - a constant
        "openid": translatable("Know that you signed in here"),
        "profile": translatable("See your name and profile"),
        "email": translatable("See your e-mail address"),
        "address": translatable("See your postal address"),
        "phone": translatable("See your phone number"),
    }
    client_fields = (
        ClientField(
            "id_token_signed_response_alg",
            "What its ID tokens are signed with; RS256 where it says nothing.",
            choices=ALGORITHMS,
            said_by=EVERYBODY,
        ),
        ClientField(
            "subject_type",
            "Whether it knows users by their subject, or each by one of its own.",
            choices=("public", "pairwise"),
            check=check_subject_type,
            said_by=("operator", "client"),
        ),
        ClientField("sector", "The host that its pairwise subjects are made for."),
    )

    def check_settings(self, server: Server) -> None:
        settings = server.settings
        if settings.openid_subject_type == "pairwise" and settings.openid_pairwise_salt is None:
            raise ConfigurationError(
                "PKCE_OPENID_SUBJECT_TYPE is pairwise, and nothing says what subjects are made "
                "with. It must never change: users would become strangers to their apps.",
                write='app.config["PKCE_OPENID_PAIRWISE_SALT"] = os.environ["PAIRWISE_SALT"]',
            )

    def metadata(self, server: Server) -> Mapping[str, Any]:
        opened = claims.opened_by(server.scopes, server.settings.openid_claims)
        kinds = {server.settings.openid_subject_type, "public"}
        if server.settings.openid_pairwise_salt is not None:
            kinds.add("pairwise")
        return {
            "subject_types_supported": sorted(kinds),
            "id_token_signing_alg_values_supported": list(ALGORITHMS),
            "claims_supported": [*_PROTOCOL_CLAIMS, *sorted(opened)],
            "claims_parameter_supported": True,
            "claim_types_supported": ["normal"],
            "request_parameter_supported": False,
            # Where it is left out, true is meant (OIDC Discovery 3).
            "request_uri_parameter_supported": False,
        }

    def check_authorization_request(self, server: Server, request: Request) -> None:
        data = request.payload.data
        if "request" in data:
            raise RequestNotSupportedError()
        if "request_uri" in data:
            raise RequestUriNotSupportedError()
        if "openid" not in request.scopes:
            return
        if len(data.get("nonce", "")) > _MAX_NONCE:
            raise InvalidRequestError(f"nonce has at most {_MAX_NONCE} characters.")
        asked = claims.read_request(data["claims"]) if "claims" in data else {}
        bound: dict[str, Any] = {"nonce": data.get("nonce")}
        # Userinfo has all that the scopes open; of that, the ID token has what is named here.
        opened = claims.opened_by(request.scopes, server.settings.openid_claims)
        bound["id_token_claims"] = sorted(opened.intersection(asked.get("id_token", ())))
        if request.user is not None:
            login = server.users.login(request.user)
            _check_wishes(server, request, asked, login)
            bound |= {
                # A device stays signed in when this browser does not.
                "sid": None if request.on_device else login.sid,
                "auth_time": login.auth_time,
                "acr": login.acr,
                "amr": list(login.amr),
            }
        request.bindings["openid"] = {name: value for name, value in bound.items() if value}

    def check_token_request(self, server: Server, request: Request) -> None:
        if "openid" in request.granted_scopes:
            # Before the transaction that signs: within it nothing else is read.
            server.keys.prepare()

    def complete_token_response(self, server: Server, response: TokenResponse) -> None:
        if "openid" not in response.scopes:
            return
        client, bound = response.request.client, response.family.bindings.get("openid", {})
        algorithm = client.client_metadata.get("id_token_signed_response_alg", "RS256")
        # Some scopes may have been taken back since: those that are left say what is released.
        names = claims.opened_by(response.scopes, server.settings.openid_claims)
        if not (server.settings.openid_claims_in_id_token or response.request.wants_claims):
            names &= set(bound.get("id_token_claims", ()))
        token = {
            **user_claims(server, client, response.family.subject, response.user, names),
            "iss": server.issuer,
            "aud": client.client_id,
            "exp": response.now + server.settings.openid_id_token_lifetime,
            "iat": response.now,
            "at_hash": half_hash(response.body["access_token"]),
            **_noted(bound, *_SIGN_IN_CLAIMS, "sid"),
        }
        if response.parent is None:
            # OIDC Core 12.2: not in the ID token of a refresh.
            token |= _noted(bound, "nonce")
            response.rows.extend(_taking_part(server, response, bound))
        response.body["id_token"] = server.keys.sign(token, algorithm)

    def describe_token(self, server: Server, token: Token) -> Mapping[str, Any]:
        # RFC 9068 2.2.1, RFC 9470 6.2: how and when the user signed in.
        return _noted(token.bindings.get(self.name, {}), *_SIGN_IN_CLAIMS)

    def prune(self, server: Server, session: Session, limit: int) -> int:
        return login_session.prune(session, server.now(), limit)


def _noted(bound: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return those claims of `names` that were noted when the user signed in."""
    return {name: bound[name] for name in names if name in bound}


def half_hash(text: str) -> str:
    """Return the left half of the SHA-256 of `text` in base64url (OIDC Core 3.1.3.6)."""
    return base64url(hashlib.sha256(text.encode("ascii")).digest()[:16])


def _check_wishes(
    server: Server, request: Request, asked: Mapping[str, Mapping[str, Any]], login: Login
) -> None:
    """Refuse what is asked of the sign-in and cannot be had (OIDC Core 5.5.1, 5.5.1.1)."""
    for wishes in asked.values():
        sub = wishes.get("sub", {}).get("value")
        if sub is not None and sub != server.subject_for(request.client, login.subject):
            raise LoginRequiredError("The user who is signed in is not the one asked for.")
        wish = wishes.get("acr", {})
        wanted = wish.get("values") or [wish.get("value")]
        if wish.get("essential") is True and wanted != [None] and login.acr not in wanted:
            raise UnmetRequirementsError()


def _taking_part(
    server: Server, response: TokenResponse, bound: Mapping[str, Any]
) -> Iterable[SessionClient]:
    """Give the row that says that the client takes part in the session of the sign-in."""
    if "sid" not in bound:
        return
    yield login_session.joined(
        sid=bound["sid"],
        subject=response.family.subject,
        client_id=response.family.client_id,
        family_id=response.family.family_id,
        offline="offline_access" in response.scopes,
        now=response.now,
        lifetime=max(
            server.settings.refresh_token_lifetime,
            int(server.app.permanent_session_lifetime.total_seconds()),
        ),
    )
