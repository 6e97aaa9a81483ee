"""OpenID: tells the client who signed in, in a token that it can verify (OIDC Core 2).

If `openid` was granted, an ID token is issued with the access token, and again with each
refresh. It is signed inside the transaction that issues the tokens: if signing fails, no
token is issued.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ..errors import (
    ConfigurationError,
    InvalidRequestError,
    LoginRequiredError,
    OAuth2Error,
)
from ..i18n import translatable
from ..interaction.login import has_signed_in_since
from ..models.client import Client
from ..models.pairwise import sector_of
from ..models.token import Token
from ..protocol.contract import Server
from ..protocol.feature import EVERYBODY, ClientField, Feature
from ..protocol.request import Request
from ..protocol.token_description import released_by, user_claims
from ..protocol.token_response import TokenResponse
from ..users.claims import SERVER_CLAIMS
from ..users.sign_in import Login
from ..wire import claims_request
from ..wire.handle import base64url
from ..wire.jws import ALGORITHMS

_MAX_NONCE = 1024
#: Claims about the sign-in, which APIs get too.
_SIGN_IN_CLAIMS = ("auth_time", "acr", "amr")
#: Claims of an ID token besides those that come from the host app.
_PROTOCOL_CLAIMS = (
    "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "acr", "amr",
)  # fmt: skip


def check_subject_type(server: Server, client: Client, value: Any) -> None:
    """Refuse a pairwise client if pairwise subjects cannot be made."""
    if value == "pairwise":
        if server.settings.openid_pairwise_salt is None:
            raise InvalidRequestError("Pairwise subjects need PKCE_OPENID_PAIRWISE_SALT.")
        sector_of(client)


class RequestNotSupportedError(OAuth2Error):
    """OIDC Core 3.1.2.6: this server does not support request objects."""

    error = "request_not_supported"
    description = "This server takes no request objects; send the parameters themselves."


class RequestUriNotSupportedError(OAuth2Error):
    """OIDC Core 3.1.2.6: this server does not support request objects by reference."""

    error = "request_uri_not_supported"
    description = "This server takes no request_uri; send the parameters themselves."


class UnmetRequirementsError(OAuth2Error):
    """OpenID Connect Core Unmet Authentication Requirements 1.0 2."""

    error = "unmet_authentication_requirements"
    description = "The user cannot sign in at the essential acr that was asked for."


class OpenIDFeature(Feature):
    """OIDC Core 2, 3.1 and 5: ID tokens and their claims."""

    name = "openid"
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
        for scope, names in settings.openid_claims.items():
            hosts_own = [name for name in names if name not in SERVER_CLAIMS]
            if hosts_own != names:
                raise ConfigurationError(
                    f"PKCE_OPENID_CLAIMS names a claim for {scope} that only the server sets.",
                    write=f'app.config["PKCE_OPENID_CLAIMS"] = {{"{scope}": {hosts_own}}}',
                )

    def metadata(self, server: Server) -> Mapping[str, Any]:
        released = released_by(server, server.scopes)
        kinds = {server.settings.openid_subject_type, "public"}
        if server.settings.openid_pairwise_salt is not None:
            kinds.add("pairwise")
        return {
            "subject_types_supported": sorted(kinds),
            "id_token_signing_alg_values_supported": list(ALGORITHMS),
            "claims_supported": [*_PROTOCOL_CLAIMS, *sorted(released)],
            "claims_parameter_supported": True,
            "claim_types_supported": ["normal"],
            "request_parameter_supported": False,
            # If it is omitted, it defaults to true (OIDC Discovery 3).
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
        requested = claims_request.read(data["claims"]) if "claims" in data else {}
        bindings: dict[str, Any] = {"nonce": data.get("nonce")}
        # Userinfo has every claim that the scopes release; the ID token, those named here. No
        # other name is stored: a client could fill the database with them.
        asked = released_by(server, request.scopes).intersection(requested.get("id_token", ()))
        bindings["id_token_claims"] = sorted(asked)
        if request.user is not None:
            login = request.login(server.users)
            _check_wishes(server, request, requested, login)
            bindings |= {
                "auth_time": login.auth_time,
                "acr": login.acr,
                "amr": list(login.amr),
            }
        request.bindings["openid"] = {name: value for name, value in bindings.items() if value}

    def check_token_request(self, server: Server, request: Request) -> None:
        if "openid" in request.granted_scopes:
            # Load the keys before the transaction that signs: signing reads no database.
            server.keys.prepare()

    def complete_token_response(self, server: Server, response: TokenResponse) -> None:
        if "openid" not in response.scopes:
            return
        client, grant = response.request.client, response.grant
        bindings = grant.bindings.get("openid", {})
        algorithm = client.client_metadata.get("id_token_signed_response_alg", "RS256")
        is_told_all = server.settings.openid_claims_in_id_token or response.request.wants_claims
        asked = None if is_told_all else bindings.get("id_token_claims", ())
        subject, scopes = grant.subject, response.scopes
        token = {
            **user_claims(server, client, subject, response.user, scopes, asked),
            "iss": server.issuer,
            "aud": client.client_id,
            "exp": response.now + server.settings.openid_id_token_lifetime,
            "iat": response.now,
            "at_hash": half_hash(response.body["access_token"]),
            **_noted(bindings, *_SIGN_IN_CLAIMS),
        }
        if grant.sid is not None:
            token["sid"] = server.sid_for(client, grant.sid)
        if response.parent is None:
            # OIDC Core 12.2: the ID token of a refresh has no nonce.
            token |= _noted(bindings, "nonce")
        response.body["id_token"] = server.keys.sign(token, algorithm)

    def describe_token(self, server: Server, token: Token) -> Mapping[str, Any]:
        # RFC 9068 2.2.1, RFC 9470 6.2: how and when the user signed in.
        return _noted(token.bindings.get(self.name, {}), *_SIGN_IN_CLAIMS)


def _noted(bindings: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return those of `names` that `bindings` has, with their values."""
    return {name: bindings[name] for name in names if name in bindings}


def half_hash(text: str) -> str:
    """Return the left half of the SHA-256 of `text` in base64url (OIDC Core 3.1.3.6)."""
    return base64url(hashlib.sha256(text.encode("ascii")).digest()[:16])


def _check_wishes(
    server: Server, request: Request, requested: Mapping[str, Mapping[str, Any]], login: Login
) -> None:
    """Have the user sign in again if this sign-in does not meet what the client asks for.

    If it still does not afterwards, or if the user must not be asked, refuse the request (OIDC
    Core 5.5.1, 5.5.1.1).
    """
    must_not_ask = "none" in request.payload.data.get("prompt", "").split()
    is_final = must_not_ask or has_signed_in_since(request, login)
    for claim_requests in requested.values():
        sub = claim_requests.get("sub", {}).get("value")
        is_other_user = sub not in (None, server.subject_for(request.client, login.subject))
        if is_other_user and is_final:
            raise LoginRequiredError("The user who is signed in is not the one asked for.")
        accepted = claims_request.essential_acr(claim_requests)
        is_unmet = bool(accepted) and login.acr not in accepted
        if is_unmet and is_final:
            raise UnmetRequirementsError()
        request.must_login = request.must_login or is_other_user or is_unmet
