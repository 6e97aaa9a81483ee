"""Spring Boot, replayed: what its login client and its resource server check of a server.

Read in the source of Spring Security 5.2 to 7.0; each check stands here under the name of
the class that makes it there. No Java runs: what is replayed are the requests that Spring
sends and what it refuses of the answers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jws
from joserfc.jwk import import_key
from werkzeug.test import TestResponse

from flask_pkce_server.testing import Clock, RegisteredClient, hidden_fields, register

from ..host import lending, make_app, sign_in

pytestmark = pytest.mark.thorough

ISSUER = "http://localhost"
API = "https://api.example"
#: What Spring makes of `{baseUrl}/{action}/oauth2/code/{registrationId}`.
CALLBACK = "http://localhost:8080/login/oauth2/code/notebook"
HOME = "http://localhost:8080"
METHODS = ["none", "client_secret_basic", "client_secret_post"]
SKEW = 60

#: JwtTypeValidator.jwt(), and Nimbus before it: what a decoder takes that nobody set up.
PLAIN = (None, "JWT")
#: JwtValidators.createAtJwtValidator().
RFC_9068 = ("at+jwt", "application/at+jwt")


class Refused(Exception):
    """Spring would not go on."""


def need(holds: object, what: str) -> None:
    if not holds:
        raise Refused(what)


def random_text(size: int, padded: bool = False) -> str:
    """Base64StringKeyGenerator; for `state` Spring leaves the padding where it is."""
    text = base64.urlsafe_b64encode(secrets.token_bytes(size)).decode()
    return text if padded else text.rstrip("=")


def sha256_of(text: str) -> str:
    """DefaultOAuth2AuthorizationRequestResolver.createHash, for nonce and challenge alike."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def get(app: Flask, url: str, **headers: str) -> TestResponse:
    return app.test_client(use_cookies=False).get(url, headers={"Accept": "*/*", **headers})


def discover(app: Flask, issuer: str) -> dict[str, Any]:
    """ClientRegistrations.fromIssuerLocation, and JwtDecoders' method of that name."""
    parts = urlsplit(issuer)
    openid, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
    for path in (parts.path + openid, openid + parts.path, oauth + parts.path):
        answer = get(app, f"{parts.scheme}://{parts.netloc}{re.sub('/+', '/', path)}")
        if 400 <= answer.status_code < 500:
            continue
        need(answer.status_code == 200 and answer.mimetype == "application/json", "no document")
        found: dict[str, Any] = answer.get_json()
        need(found.get("issuer") == issuer, "the issuer is not the one that was configured")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            need(urlsplit(found.get(name, "")).scheme in ("http", "https"), f"no {name}")
        # OIDCProviderMetadata.parse of Nimbus.
        need(set(found["subject_types_supported"]) <= {"public", "pairwise"}, "subject types")
        need("authorization_code" in found["grant_types_supported"], "no authorization code")
        return found
    raise Refused("no document")


def method_of(provider: Mapping[str, Any]) -> str | None:
    """ClientRegistrations.getClientAuthenticationMethod: what is used where nothing is set."""
    listed = provider.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    order = ("client_secret_basic", "client_secret_post", "none")
    return next((method for method in order if method in listed), None)


def verified(
    app: Flask, jwks_uri: str, text: str, algorithms: Collection[str], types: Collection[str | None]
) -> dict[str, Any]:
    """NimbusJwtDecoder: the key by its kid, its algorithm one that was expected, then `typ`."""
    need(text.count(".") == 2, "no JWS")
    head = json.loads(base64.urlsafe_b64decode(text.split(".")[0] + "=="))
    need(head["alg"] in algorithms, f"signed with {head['alg']}")
    keys = get(app, jwks_uri, Accept="application/json, application/jwk-set+json").get_json()
    fit = [
        key
        for key in keys["keys"]
        if key.get("kid") == head.get("kid")
        and key.get("use", "sig") == "sig"
        and key.get("alg", head["alg"]) == head["alg"]
    ]
    need(len(fit) == 1, "no key for it")
    content = jws.deserialize_compact(text, import_key(fit[0]), algorithms=[head["alg"]])
    need(head.get("typ") in types, f"the typ value {head.get('typ')} is none of {types}")
    return dict(json.loads(content.payload))


def as_list(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def wrong_in_id_token(
    claims: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, now: float
) -> list[str]:
    """OidcIdTokenValidator, JwtTimestampValidator, and the nonce as the provider looks at it."""
    needed = ("iss", "sub", "aud", "exp", "iat")
    missing = [name for name in needed if not claims.get(name)]
    if missing:
        return missing
    audience, party = as_list(claims["aud"]), claims.get("azp")
    checks = {
        "iss": claims["iss"] == issuer and bool(urlsplit(claims["iss"]).netloc),
        "sub": isinstance(claims["sub"], str),
        "aud": client_id in audience,
        "azp": party == client_id or (party is None and len(audience) == 1),
        "exp": now - SKEW <= claims["exp"],
        "iat": claims["iat"] <= now + SKEW,
        "nbf": claims.get("nbf", 0) <= now + SKEW,
        "nonce": claims.get("nonce") == sha256_of(nonce),
    }
    return [name for name, holds in checks.items() if not holds]


@dataclass
class Spring:
    """An application of Spring Boot with `oauth2Login()`."""

    app: Flask
    known: RegisteredClient
    scope: str = "openid profile"
    issuer: str = ISSUER
    pkce: bool = True
    # Spring puts what is below into its session when it sends the browser away.
    state: str = field(default_factory=lambda: random_text(32, padded=True))
    nonce: str = field(default_factory=lambda: random_text(96))
    verifier: str = field(default_factory=lambda: random_text(96))

    def __post_init__(self) -> None:
        self.provider = discover(self.app, self.issuer)

    def authorization_url(self) -> str:
        """DefaultOAuth2AuthorizationRequestResolver, with PKCE for each client as from 7.0."""
        parameters = {
            "response_type": "code",
            "client_id": self.known.client_id,
            "scope": self.scope,
            "state": self.state,
            "redirect_uri": CALLBACK,
            "nonce": sha256_of(self.nonce),
        }
        if self.pkce:
            challenge = sha256_of(self.verifier)
            parameters |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        return f"{self.provider['authorization_endpoint']}?{urlencode(parameters)}"

    def callback(self, location: str) -> dict[str, Any]:
        """OAuth2LoginAuthenticationFilter, then OidcAuthorizationCodeAuthenticationProvider."""
        need(location.partition("?")[0] == CALLBACK, "another address")
        answer = dict(parse_qsl(urlsplit(location).query, keep_blank_values=True))
        need("state" in answer and ("code" in answer or "error" in answer), "no answer")
        need(answer["state"] == self.state, "invalid_state_parameter")
        need("error" not in answer, f"{answer.get('error')}: {answer.get('error_description')}")
        tokens = self.ask_token(
            grant_type="authorization_code",
            code=answer["code"],
            redirect_uri=CALLBACK,
            code_verifier=self.verifier,
        )
        need(tokens.get("id_token"), "invalid_id_token: missing")
        return tokens

    def ask_token(self, **form: str) -> dict[str, Any]:
        """The token response client and DefaultMapOAuth2AccessTokenResponseConverter."""
        headers = {"Accept": "application/json;charset=UTF-8"}
        if self.known.auth_method == "client_secret_basic":
            halves = (self.known.client_id, self.known.client_secret or "")
            pair = ":".join(quote_plus(half) for half in halves)
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form["client_id"] = self.known.client_id
        if self.known.auth_method == "client_secret_post":
            form["client_secret"] = self.known.client_secret or ""
        program = self.app.test_client(use_cookies=False)
        answer = program.post(self.provider["token_endpoint"], data=form, headers=headers)
        need(answer.mimetype == "application/json", "not JSON")
        body: dict[str, Any] = answer.get_json()
        need(answer.status_code == 200, body.get("error", "no error code"))
        need(body.get("access_token"), "tokenValue cannot be empty")
        need(str(body.get("token_type")).lower() == "bearer", "tokenType cannot be null")
        need(isinstance(body.get("expires_in"), int) and body["expires_in"] > 0, "expires_in")
        need(isinstance(body.get("scope", ""), str), "scope")
        return body

    def id_token(self, tokens: Mapping[str, Any]) -> dict[str, Any]:
        """OidcIdTokenDecoderFactory: RS256 where nothing else is set."""
        jwks_uri = self.provider["jwks_uri"]
        return verified(self.app, jwks_uri, tokens["id_token"], ["RS256"], PLAIN)

    def user(self, tokens: Mapping[str, Any], claims: Mapping[str, Any]) -> dict[str, Any]:
        """OidcUserService: userinfo by GET, and about nobody but the one who signed in."""
        answer = get(
            self.app,
            self.provider["userinfo_endpoint"],
            Authorization=f"Bearer {tokens['access_token']}",
            Accept="application/json",
        )
        need(answer.status_code == 200 and answer.mimetype == "application/json", "userinfo")
        said: dict[str, Any] = answer.get_json()
        need(said.get("sub") == claims["sub"], "invalid_user_info_response")
        return said

    def logout_url(self, tokens: Mapping[str, Any]) -> str:
        """OidcClientInitiatedLogoutSuccessHandler: a hint and where to come back, no state."""
        need(self.provider.get("end_session_endpoint"), "a logout here alone")
        query = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": HOME}
        return f"{self.provider['end_session_endpoint']}?{urlencode(query)}"


@pytest.fixture
def app() -> Iterator[Flask]:
    with lending.app(
        make_app, PKCE_ISSUER=ISSUER, PKCE_JWT_ACCESS_TOKEN_RESOURCES={API: ["notes:read"]}
    ) as app:
        yield app


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    return sign_in(app)


def login_app(app: Flask, method: str = "client_secret_basic", **more: Any) -> Spring:
    known = register(
        app,
        auth_method=method,
        redirect_uris=(CALLBACK,),
        client_metadata={"post_logout_redirect_uris": [HOME]},
    )
    return Spring(app, known, **more)


def visit(browser: FlaskClient, url: str, decision: str = "allow") -> str:
    """Go where Spring sends the browser, decide, and say where that leads."""
    answer = browser.get(url)
    if answer.status_code == 200:
        form = {**hidden_fields(answer.text), "decision": decision}
        answer = browser.post(urlsplit(url).path, data=form)
    return answer.headers["Location"]


def signed_in(browser: FlaskClient, spring: Spring) -> dict[str, Any]:
    return spring.callback(visit(browser, spring.authorization_url()))


def wrong(spring: Spring, claims: Mapping[str, Any], **changes: Any) -> list[str]:
    client_id = spring.known.client_id
    expected = {"issuer": ISSUER, "client_id": client_id, "nonce": spring.nonce, "now": time.time()}
    return wrong_in_id_token(claims, **{**expected, **changes})


# The login client.


@pytest.mark.parametrize("method", METHODS)
def test_a_user_signs_in_at_an_application_of_spring_boot(
    app: Flask, browser: FlaskClient, method: str
) -> None:
    spring = login_app(app, method)
    assert len(spring.verifier) == 128
    assert spring.state.endswith("=")
    tokens = signed_in(browser, spring)
    claims = spring.id_token(tokens)
    assert wrong(spring, claims) == []
    user = spring.user(tokens, claims)
    assert user["name"] == "Ada Lovelace"
    # What becomes the authorities SCOPE_openid and SCOPE_profile of the user.
    assert set(tokens["scope"].split(" ")) == {"openid", "profile"}


@pytest.mark.parametrize(
    "issuer",
    [
        "http://localhost",
        "https://auth.example",
        "https://auth.example/",
        "https://auth.example/tenant",
        "https://auth.example:8443/tenant",
    ],
)
def test_the_issuer_uri_of_the_properties_is_found_as_it_is_written(issuer: str) -> None:
    app = make_app(PKCE_ISSUER=issuer)
    provider = discover(app, issuer)
    assert provider["code_challenge_methods_supported"] == ["S256"]
    other = issuer.removesuffix("/") if issuer.endswith("/") else f"{issuer}/"
    with pytest.raises(Refused, match=r"not the one that was configured|no document"):
        discover(app, other)


def test_basic_is_what_spring_takes_where_nothing_is_set(app: Flask) -> None:
    provider = discover(app, ISSUER)
    assert method_of(provider) == "client_secret_basic"
    assert set(METHODS) <= set(provider["token_endpoint_auth_methods_supported"])
    assert "RS256" in provider["id_token_signing_alg_values_supported"]


def test_all_scopes_of_the_document_may_be_asked_for_at_once(
    app: Flask, browser: FlaskClient
) -> None:
    # Before 5.4 that was the default of `scope`.
    offered = discover(app, ISSUER)["scopes_supported"]
    spring = login_app(app, scope=" ".join(offered))
    tokens = signed_in(browser, spring)
    assert set(tokens["scope"].split()) == set(offered)
    assert wrong(spring, spring.id_token(tokens)) == []


@pytest.mark.parametrize("method", METHODS)
def test_a_refreshed_id_token_is_about_the_same_sign_in(
    app: Flask, browser: FlaskClient, pkce_clock: Clock, method: str
) -> None:
    # OidcAuthorizedClientRefreshedEventListener
    spring = login_app(app, method, scope="openid profile offline_access")
    tokens = signed_in(browser, spring)
    first = spring.id_token(tokens)
    pkce_clock.advance(3500)
    fresh = spring.ask_token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    second = spring.id_token(fresh)
    assert all(second[name] == first[name] for name in ("iss", "sub", "aud", "auth_time"))
    assert second["iat"] > first["iat"] - SKEW
    assert second["auth_time"] <= second["iat"] + SKEW
    assert second.get("nonce") in (None, first["nonce"])
    assert spring.user(fresh, second)["sub"] == first["sub"]


def test_a_user_who_says_no_comes_back_as_an_error_with_its_state(
    app: Flask, browser: FlaskClient
) -> None:
    spring = login_app(app)
    back = visit(browser, spring.authorization_url(), "deny")
    with pytest.raises(Refused, match="access_denied"):
        spring.callback(back)


def test_a_confidential_client_shows_its_secret_and_its_verifier(
    app: Flask, browser: FlaskClient
) -> None:
    spring = login_app(app)
    back = visit(browser, spring.authorization_url())
    right, spring.known.client_secret = spring.known.client_secret, "x" * 43
    with pytest.raises(Refused, match="invalid_client"):
        spring.callback(back)
    spring.known.client_secret = right
    verifier, spring.verifier = spring.verifier, random_text(96)
    with pytest.raises(Refused, match="invalid_grant"):
        spring.callback(back)
    spring.verifier = verifier
    assert spring.callback(back)["access_token"]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_spring_before_7_that_was_not_told_of_pkce_reads_what_is_missing(
    app: Flask, browser: FlaskClient, method: str
) -> None:
    # For clients with a secret it sends no challenge by itself: docs/behaviours.md has the line.
    spring = login_app(app, method, pkce=False)
    with pytest.raises(Refused, match="invalid_request: code_challenge is missing"):
        spring.callback(visit(browser, spring.authorization_url()))


@pytest.mark.parametrize("method", METHODS)
def test_a_logout_of_the_application_ends_here_and_comes_back(
    app: Flask, browser: FlaskClient, method: str
) -> None:
    spring = login_app(app, method)
    tokens = signed_in(browser, spring)
    left = browser.get(spring.logout_url(tokens))
    assert (left.status_code, left.headers["Location"]) == (302, HOME)
    # Nobody is signed in any more.
    assert "/oauth/authorize?" in browser.get(spring.authorization_url()).headers["Location"]


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iss", "http://localhost/"),
        ("sub", None),
        ("aud", ["another"]),
        ("aud", []),
        ("azp", "another"),
        ("exp", 1),
        ("iat", 32503680000),
        ("nonce", "another"),
        ("nonce", None),
    ],
)
def test_the_replay_is_no_less_strict_than_spring(
    app: Flask, browser: FlaskClient, claim: str, value: Any
) -> None:
    spring = login_app(app)
    claims = spring.id_token(signed_in(browser, spring))
    assert wrong(spring, {**claims, claim: value}) == [claim]
    two = {**claims, "aud": [spring.known.client_id, "another"]}
    assert wrong(spring, two) == ["azp"]
    assert wrong(spring, claims, now=claims["exp"] + SKEW + 1) == ["exp"]
    assert wrong(spring, claims, now=claims["exp"] + SKEW) == []


# The resource server.


def access_token(app: Flask, browser: FlaskClient, scope: str) -> tuple[str, str]:
    """An access token with `scope`, and the client that it was given to."""
    spring = login_app(app, scope=f"openid {scope}")
    return signed_in(browser, spring)["access_token"], spring.known.client_id


def decode(app: Flask, token: str, types: Collection[str | None], audience: str) -> dict[str, Any]:
    """NimbusJwtDecoder.withIssuerLocation(ISSUER), with what Boot's `audiences` adds.

    The algorithms are those of the published keys, as it has them.
    """
    jwks_uri = discover(app, ISSUER)["jwks_uri"]
    algorithms = {key["alg"] for key in get(app, jwks_uri).get_json()["keys"]}
    claims = verified(app, jwks_uri, token, algorithms, types)
    now = time.time()
    need(claims.get("iss") == ISSUER, "The iss claim is not valid")
    need(claims.get("exp", now) >= now - SKEW, "Jwt expired")
    need(claims.get("nbf", now) <= now + SKEW, "Jwt used before")
    need(audience in as_list(claims.get("aud")), "The aud claim is not valid")
    return claims


@pytest.mark.parametrize("scope", ["notes:read", "notes:read profile"])
def test_an_api_on_spring_takes_our_jwt_access_tokens_by_rfc_9068(
    app: Flask, browser: FlaskClient, scope: str
) -> None:
    # JwtValidators.createAtJwtValidator().issuer().audience().clientId(), since 6.5
    token, client_id = access_token(app, browser, scope)
    claims = decode(app, token, RFC_9068, API)
    assert all(claims.get(name) for name in ("exp", "sub", "iat", "jti", "iss", "aud"))
    assert claims["client_id"] == client_id
    # JwtGrantedAuthoritiesConverter: `scope`, parted by spaces.
    assert {f"SCOPE_{scope}" for scope in claims["scope"].split(" ")} >= {"SCOPE_notes:read"}


def test_an_api_on_spring_that_was_not_told_of_rfc_9068_takes_none(
    app: Flask, browser: FlaskClient
) -> None:
    # Why docs/behaviours.md has a line of Java.
    token, _ = access_token(app, browser, "notes:read")
    with pytest.raises(Refused, match="at\\+jwt"):
        decode(app, token, PLAIN, API)


def test_an_api_on_spring_takes_neither_id_tokens_nor_what_is_for_another_api(
    app: Flask, browser: FlaskClient
) -> None:
    spring = login_app(app, scope="openid notes:read")
    tokens = signed_in(browser, spring)
    with pytest.raises(Refused, match="typ"):
        decode(app, tokens["id_token"], RFC_9068, spring.known.client_id)
    with pytest.raises(Refused, match="aud"):
        decode(app, tokens["access_token"], RFC_9068, "https://other.example")


def test_rs256_is_enough_where_only_a_jwk_set_uri_is_set(app: Flask, browser: FlaskClient) -> None:
    token, _ = access_token(app, browser, "notes:read")
    jwks_uri = discover(app, ISSUER)["jwks_uri"]
    assert verified(app, jwks_uri, token, ["RS256"], RFC_9068)["iss"] == ISSUER


def test_an_api_on_spring_that_introspects_needs_no_java_at_all(
    app: Flask, browser: FlaskClient, pkce_clock: Clock
) -> None:
    # SpringOpaqueTokenIntrospector
    known = register(
        app,
        auth_method="client_secret_basic",
        grant_types=[],
        redirect_uris=("https://api.example/unused",),
        scope=["notes:read"],
        client_metadata={"resource_server": True, "resources": [API]},
    )

    def introspect(token: str) -> dict[str, Any]:
        answer = app.test_client(use_cookies=False).post(
            discover(app, ISSUER)["introspection_endpoint"],
            data={"token": token},
            auth=(known.client_id, known.client_secret or ""),
            headers={"Accept": "application/json"},
        )
        need(answer.status_code == 200 and answer.mimetype == "application/json", "no answer")
        body: dict[str, Any] = answer.get_json()
        need(body.get("active") is True, "Provided token isn't active")
        return body

    token, client_id = access_token(app, browser, "notes:read profile")
    said = introspect(token)
    assert (said["client_id"], said["sub"], said["iss"]) == (client_id, "1", ISSUER)
    assert f"SCOPE_{said['scope']}" == "SCOPE_notes:read"
    assert said["iat"] < said["exp"]
    assert API in as_list(said["aud"])
    pkce_clock.advance(3601)
    with pytest.raises(Refused, match="active"):
        introspect(token)
    with pytest.raises(Refused, match="active"):
        introspect("fpk_at_nothing")
