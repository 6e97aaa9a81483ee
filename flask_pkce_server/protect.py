"""Protect: let only a good access token reach a view (RFC 6750).

A view that is declared to be of a resource (RFC 9728) takes the tokens for that resource
alone, and not those for the app as a whole.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, cast

import flask
from authlib.integrations.flask_oauth2 import ResourceProtector
from authlib.oauth2.rfc6750 import BearerTokenValidator
from flask import Response, current_app, g
from sqlalchemy import select
from werkzeug.local import LocalProxy

from .errors import ConfigurationError, InsufficientScopeError, InvalidTokenError, OAuth2Error
from .models.client import Client
from .models.handle import ACCESS, digest, is_handle
from .models.resource import Resource, canonical
from .models.token import NOBODY, Token, find_holder
from .server import current_server
from .signals import tell, token_used

P = ParamSpec("P")
View = Callable[P, Any]

#: Set on guarded views, so that the CORS room knows them.
GUARDED = "_pkce_scopes"


@dataclass(frozen=True)
class CurrentToken:
    """The access token that a guarded view was reached with.

    A client may have it for itself, by its credentials (RFC 6749 4.4): then `is_machine` is
    true, `subject` is empty and `user` is None, whatever the client is called.
    """

    #: The text that names the user; "" where there is none.
    subject: str
    #: The client that calls.
    client_id: str
    scopes: frozenset[str]
    bindings: Mapping[str, Any]
    #: Epoch seconds.
    issued_at: int
    expires_at: int
    #: The clients that exchanged their way to the token, the last first, which is the one that
    #: calls (RFC 8693 4.1); empty where it was not exchanged.
    actors: tuple[str, ...] = ()

    @property
    def is_machine(self) -> bool:
        """Whether the client acts for itself and not for a user."""
        return self.subject == NOBODY

    @functools.cached_property
    def user(self) -> Any:
        """The host's user, loaded when first asked for; None if there is none, or no longer."""
        return None if self.is_machine else current_server.users.load(self.subject)

    def require(self, *scopes: str) -> None:
        """Go on only if the token has all of `scopes`, which are named as in `pkce.require`.

        Else the view ends here: the answer is 403, with the challenge by which a client
        asks its user for more (RFC 6750 3.1).
        """
        wanted = _named(scopes)
        if not self.scopes.issuperset(wanted):
            resource: Resource | None = g._pkce_admitted[1]
            needed = (*g._pkce_needed, *wanted)
            flask.abort(challenge(InsufficientScopeError(), needed, resource))
        g._pkce_needed = (*g._pkce_needed, *wanted)
        _tell_of_use(g._pkce_admitted[0], wanted)


class AccessTokenValidator(BearerTokenValidator):
    """Accepts the access tokens of this server: one statement, no commit.

    None at all for a JWT, where the host gave up to see that it was revoked.
    """

    def authenticate_token(self, token_string: str) -> Token | None:
        if is_handle(token_string, ACCESS):
            return find(digest(token_string))
        described = current_server.read_token(token_string)
        if described is None or not current_server.settings.jwt_access_token_check_revocation:
            return described
        return find(described.digest)

    def validate_token(
        self,
        token: Token | None,
        scopes: Any,
        request: Any,
        resource: Resource | None = None,
        whatever_for: bool = False,
    ) -> None:
        server = current_server
        if token is None or not token.is_live(server.now()):
            raise InvalidTokenError()
        # RFC 9068 4, RFC 8707 2: one that is meant for another API opens nothing here.
        audience = token.bindings.get("audience", [server.issuer])
        if resource is not None:
            is_meant = canonical(resource.uri) in map(canonical, audience)
        else:
            is_meant = server.issuer in audience
        if not is_meant and not whatever_for:
            raise InvalidTokenError()
        if not token.scope.issuperset(scopes or ()):
            raise InsufficientScopeError()


_protector = ResourceProtector()
_validator = AccessTokenValidator()
_protector.register_token_validator(_validator)


def find(token_digest: bytes) -> Token | None:
    """Return the stored access token with this digest, and note whose it is."""
    with current_server.store.reading() as session:
        found = session.execute(
            select(Token, Client)
            .join(Client, Client.client_id == Token.client_id)
            .where(Token.digest == token_digest, Token.kind == "access")
        ).first()
        if found is None:
            return None
        token: Token = found.Token
        holder: Client | None = find_holder(session, token) if token.actors else found.Client
    if holder is None:
        return None
    # The CORS room asks who speaks.
    g._pkce_client = holder
    return token


def acquire(text: str | None, scopes: tuple[str, ...]) -> Token:
    """Return the access token `text`, or that of the Authorization header, as it is stored.

    For whatever API it is: `openid` opens userinfo beside that one (OIDC Core 5.3). Raises an
    `OAuth2Error`, for `challenge` to tell, unless it is live and has `scopes`.
    """
    if text is None:
        token: Token | None = _protector.acquire_token(scopes, whatever_for=True)
    else:
        token = _validator.authenticate_token(text)
        _validator.validate_token(token, scopes, None, whatever_for=True)
    if token is not None and not token.family_id:
        # A JWT that the database was not asked about yet.
        token = find(token.digest)
        _validator.validate_token(token, scopes, None, whatever_for=True)
    return cast(Token, token)


def require(*scopes: str, resource: str | None = None) -> Callable[[View[P]], View[P]]:
    """Guard a view: an access token with all of `scopes` must come with the request.

    Several scopes are given apart, `require("a", "b")`, or in one text, `require("a b")`;
    none at all asks for any good token. Inside the view `current_token` is set. Without a
    good token the view is not called, and the answer is 401 or 403 with the challenge of
    RFC 6750 3. Works on sync and async views, below the route decorator.

    With the URI of a `resource` that the app declares, the token must be for that one
    (RFC 8707 2). Below a path of `pkce.mcp` that path's is meant where none is named.
    """
    if len(scopes) == 1 and callable(scopes[0]):
        raise ConfigurationError(
            "pkce.require is called before it decorates.",
            write='@pkce.require("profile")',
        )
    wanted = _named(scopes)

    def decorate(view: View[P]) -> View[P]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
            refused = _admit(wanted, None if resource is None else _declared(resource))
            if refused is not None:
                return refused
            return current_app.ensure_sync(view)(*args, **kwargs)

        setattr(guarded, GUARDED, wanted)
        return guarded

    return decorate


def guard_paths() -> Response | None:
    """Refuse a request below a path that `pkce.mcp` marks, unless a good token comes with it.

    Runs before the host's views, whatever they are. A preflight is answered before anything
    is asked, and by no view.
    """
    # Another request may have been answered in the same context, in a test.
    g._pkce_below, g._pkce_needed = None, ()
    if not is_below_guarded_path():
        return None
    if flask.request.method == "OPTIONS":
        return current_app.make_default_options_response()
    for resource in current_server.resources.guarding(flask.request.path, current_server.issuer):
        refused = _admit(resource.required, resource, resource.asked_first)
        if refused is not None:
            return refused
    g._pkce_below = g._pkce_admitted
    return None


def is_below_guarded_path() -> bool:
    """Say whether this request is for what `pkce.mcp` marks, and not for our own endpoints."""
    ours = (flask.request.endpoint or "").startswith("pkce.")
    return not ours and _is_guarded(flask.request.path)


def knows_no_session(endpoint: str) -> bool:
    """Say whether an endpoint of the host is reached by a token and in no other way."""
    if hasattr(current_app.view_functions[endpoint], GUARDED):
        return True
    try:
        rules = list(current_app.url_map.iter_rules(endpoint))
    except KeyError:
        return True  # no address leads there
    return all(_is_guarded(rule.rule) for rule in rules)


def _is_guarded(path: str) -> bool:
    return current_server.resources.is_guarded(path, current_server.issuer)


def _named(scopes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scope for text in scopes for scope in text.split()))


def _declared(uri: str) -> Resource:
    found = current_server.own_resources.get(canonical(uri))
    if found is None:
        raise ConfigurationError(
            f"The resource {uri} guards a view, and is not declared.",
            write=f'pkce.resource("{uri}", scopes=[...])',
        )
    return found


def _admit(
    wanted: tuple[str, ...], resource: Resource | None, told: tuple[str, ...] = ()
) -> Response | None:
    """Set `current_token` if a good token came, else return the challenge.

    What the guard of the path has read is not read again: a guarded call is one statement.
    Who is refused is `told` these scopes, where they are others than `wanted`.
    """
    below: tuple[Token, Resource] | None = g.get("_pkce_below")
    needed = (*g.get("_pkce_needed", ()), *wanted)
    resource = below[1] if below is not None and resource is None else resource
    try:
        if below is not None and resource == below[1]:
            token = below[0]
            _validator.validate_token(token, wanted, None, resource)
        else:
            token = _protector.acquire_token(wanted, resource=resource)
    except OAuth2Error as error:
        return challenge(error, told or needed, resource)
    g._pkce_admitted, g._pkce_needed = (token, resource), needed
    g._pkce_token = CurrentToken(
        subject=token.subject,
        client_id=token.holder,
        scopes=token.scope,
        bindings=token.bindings,
        issued_at=token.issued_at,
        expires_at=token.expires_at,
        actors=token.actors,
    )
    _tell_of_use(token, wanted)
    return None


def _tell_of_use(token: Token, scopes: tuple[str, ...]) -> None:
    tell(
        token_used,
        current_server.app,
        client_id=token.client_id,
        subject=token.subject,
        scopes=scopes,
        family_id=token.family_id,
    )


def challenge(
    error: OAuth2Error, scopes: tuple[str, ...], resource: Resource | None = None
) -> Response:
    """Return the 401 or 403 that tells a client what is missing (RFC 6750 3).

    Without a token there is no error code, since the client has done nothing wrong
    (RFC 6750 3.1). The description comes last: client SDKs look for `scope=` with a
    regular expression. One of a resource says where its metadata is (RFC 9728 5.1).
    """
    missing = not isinstance(error, InvalidTokenError | InsufficientScopeError)
    fields = {} if missing else {"error": error.error}
    # All that the call needs: some clients forget what they had.
    scopes = _named((*(resource.required if resource else ()), *scopes))
    if scopes:
        fields["scope"] = " ".join(scopes)
    metadata = None if resource is None else current_server.metadata_url_of(resource)
    if metadata is not None:
        where = {"resource_metadata": metadata}
        fields = {**where, **fields} if missing else {**fields, **where}
    if not missing:
        fields["error_description"] = error.description
    # RFC 7235 2.1: a scheme alone is no challenge.
    fields = fields or {"realm": current_server.issuer}
    response = flask.jsonify(
        error="invalid_request" if missing else error.error,
        error_description="Send an access token as Authorization: Bearer."
        if missing
        else error.description,
    )
    response.status_code = 403 if isinstance(error, InsufficientScopeError) else 401
    response.headers["WWW-Authenticate"] = "Bearer " + ", ".join(
        f'{name}="{value}"' for name, value in fields.items()
    )
    response.headers["Cache-Control"] = "no-store"
    return response


require_oauth = require


def _token() -> CurrentToken:
    token: CurrentToken | None = g.get("_pkce_token")
    if token is None:
        raise RuntimeError(
            "current_token is set only inside a view that pkce.require guards.\n"
            '    Write: @pkce.require("profile") below the route decorator'
        )
    return token


current_token = cast(CurrentToken, LocalProxy(_token))
