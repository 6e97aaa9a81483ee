"""Settings: every `PKCE_*` key with its type, default and meaning.

The fields of `Settings` are the complete list, from which the configuration reference in the
docs is generated. Features of the host app declare their settings as `Setting` objects. Values
have JSON types, so that `app.config.from_prefixed_env()` can read them from the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .setting import PREFIX, Setting
from .setting import field_of_settings as _setting

__all__ = ["PREFIX", "Setting", "Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings in the `app.config` of the host app, checked once when the app starts."""

    issuer: str | None = _setting(
        None,
        "The https URL that identifies this server in every answer, kept byte for byte. You "
        "can leave it unset in debug mode only: it is then the loopback URL.",
    )
    url_prefix: str = _setting("/oauth", "The path prefix of the endpoints.")
    endpoints: dict[str, str] = _setting(
        {}, 'Endpoints to move to other paths: `{"authorize": "/authorize"}`.'
    )
    features: dict[str, bool] = _setting(
        {}, 'Features to switch on or off: `{"revocation": false}`.'
    )
    dialects: list[str] = _setting(
        [],
        "Products whose SDKs this server supports, with the paths and answers that they "
        'expect: `["auth0"]`. For the list, see [Other products\' SDKs](dialects.md).',
    )
    site_name: str | None = _setting(
        None, "The name of your site on the pages. Default: the name of the app."
    )
    languages: list[str] = _setting(
        [], "Languages of the pages. The first is the fallback. Empty: all available languages."
    )
    texts: dict[str, dict[str, str]] = _setting(
        {},
        'Your own wording for the pages, by language and English text: `{"en": {"Allow": "Let '
        'it in"}}`.',
    )
    theme: Literal["auto", "light", "dark"] = _setting(
        "auto", "Whether the pages are light or dark. auto: whatever the browser prefers."
    )
    stylesheet: str | None = _setting(
        None, "The path of your stylesheet, loaded after the built-in one: `/static/look.css`."
    )
    layout_template: str | None = _setting(
        None, "Your template that wraps the pages. It needs a block `content`."
    )
    scopes: dict[str, str] = _setting(
        {},
        "The scopes that clients may ask for, each with the sentence that the user reads. The "
        "scopes of OpenID Connect are included already.",
    )
    authorize_default_scopes: list[str] = _setting([], "The scopes for requests that name none.")
    authorize_unknown_scopes: Literal["refuse", "drop"] = _setting(
        "refuse",
        "What happens to a scope that is not declared. refuse: the request is an error. drop: "
        "the scope is ignored.",
    )
    consent_optional_scopes: list[str] = _setting(
        [], "Scopes that users may decline when they allow the rest."
    )
    consent_days: list[int] = _setting(
        [],
        "How many days users can choose to allow an app for, besides until they remove it. 0 "
        "means this once. Empty: users get no choice.",
    )
    authorize_lifetime: int = _setting(
        3600, "Seconds that users have to sign in and decide.", at_least=60
    )
    par_lifetime: int = _setting(
        60, "Seconds that a pushed authorization request waits for the browser.", at_least=5
    )
    par_required: bool = _setting(
        False, "Whether all clients have to push their authorization requests."
    )
    authorization_code_lifetime: int = _setting(
        60, "Seconds that a client has to redeem its authorization code.", at_least=1
    )
    access_token_lifetime: int = _setting(
        3600, "Seconds for which an access token is valid.", at_least=1
    )
    refresh_token_lifetime: int = _setting(
        2592000, "Seconds after which an unused refresh token expires.", at_least=1
    )
    refresh_token_grace: int = _setting(
        10,
        "Seconds during which a repeated refresh gets the same answer again. 0: never.",
        at_least=0,
    )
    refresh_token_when: Literal["offline_access", "always"] = _setting(
        "offline_access",
        "When to issue refresh tokens. offline_access: only if that scope was granted. "
        "always: even without it.",
    )
    client_credentials_scopes: list[str] = _setting(
        [],
        "Scopes that clients may ask for on their own behalf, without a user. Empty: none, so "
        "their tokens only say which client it is.",
    )
    device_code_lifetime: int = _setting(
        600,
        "Seconds that users have to enter the code of a device and decide.",
        at_least=60,
        # A longer lifetime makes user codes too easy to guess: docs/device.md.
        at_most=600,
    )
    device_code_interval: int = _setting(
        5, "Seconds that a device waits between two polls.", at_least=2
    )
    resource_indicators_default: list[str] = _setting(
        [],
        "The resources, by URI, of authorization requests that name none. Empty: the server "
        "itself.",
    )
    openid_id_token_lifetime: int = _setting(
        3600, "Seconds for which an ID token is valid.", at_least=1
    )
    openid_claims: dict[str, list[str]] = _setting(
        {}, 'Additional claims that a scope releases: `{"profile": ["department"]}`.'
    )
    openid_claims_in_id_token: bool = _setting(
        False,
        "Whether the claims that the scopes release are also in the ID token, and not only in "
        "userinfo.",
    )
    openid_subject_type: Literal["public", "pairwise"] = _setting(
        "public",
        "public: all clients know a user by the same subject. pairwise: each client knows the "
        "user by a different one.",
    )
    openid_pairwise_salt: str | None = _setting(
        None, "The secret from which pairwise subjects are derived. It must never change."
    )
    prompt_sign_up_view: str | None = _setting(
        None, "The Flask endpoint of your sign-up page, for `prompt=create`."
    )
    jwks_lead: int = _setting(
        7200,
        "Seconds for which a new key is published before it signs. Make it longer than "
        "anybody caches the JWKS.",
        at_least=0,
    )
    jwks_keep: int = _setting(
        2592000, "Seconds for which an old key stays published after its last use.", at_least=0
    )
    access_token_format: Literal["opaque", "jwt"] = _setting(
        "opaque",
        "Whether access tokens are opaque, or JWTs that others can verify.",
        feature="jwt_access_token",
    )
    jwt_access_token_alg: Literal["RS256", "ES256"] = _setting(
        "RS256", "The algorithm that signs JWT access tokens."
    )
    jwt_access_token_resources: dict[str, list[str]] = _setting(
        {},
        'APIs outside this app, each with its scopes: `{"https://api.example": '
        '["notes:read"]}`. A token with one of these scopes is a JWT for that API.',
    )
    jwt_access_token_check_revocation: bool = _setting(
        True,
        "Whether `pkce.require` checks in the database that a JWT was not revoked. This costs "
        "one SQL statement per call.",
    )
    backchannel_logout_retries: list[int] = _setting(
        [1, 5, 25],
        "Seconds to wait before each retry when a client could not be notified of a logout.",
    )
    connected_apps_note_use: bool = _setting(
        False,
        "Whether the connected apps page shows which scopes an app has really used. The first "
        "call in each hour then writes to the database.",
    )
    developer_portal_scopes: list[str] = _setting(
        [], "Scopes that apps registered in the developer portal may ask for. Empty: all."
    )
    developer_portal_max_apps: int = _setting(
        20, "How many apps one user may register.", at_least=1
    )
    registration_initial_access_tokens: list[str] = _setting(
        [],
        "Long, random tokens, one of which a client must present to register itself. Empty: "
        "any client may register.",
    )
    registration_scopes: list[str] = _setting(
        [], "Scopes that self-registered clients may ask for. Empty: all."
    )
    registration_max_waiting: int = _setting(
        1000, "How many self-registered clients may wait for their first user.", at_least=1
    )
    registration_unused_lifetime: int = _setting(
        604800,
        "Seconds after which `flask pkce prune` deletes a self-registered client that has signed "
        "nobody in.",
        at_least=3600,
    )
    client_id_metadata_allow: list[str] = _setting(
        [],
        "Hosts that documents and their `jwks_uri` may be on, including subdomains. Empty: all.",
    )
    client_id_metadata_deny: list[str] = _setting(
        [], "Hosts that documents and their `jwks_uri` must not be on, including subdomains."
    )
    client_id_metadata_scopes: list[str] = _setting(
        [], "Scopes that clients described by documents may ask for. Empty: all."
    )
    key_secret: str | None = _setting(
        None, "The secret from which this server derives its keys. Default: SECRET_KEY."
    )
    key_secret_fallbacks: list[str] = _setting(
        [],
        "Earlier secrets, the latest first: what was made with them is still accepted. Without "
        "PKCE_KEY_SECRET, those in SECRET_KEY_FALLBACKS are accepted too.",
    )
    ephemeral_url: str | None = _setting(
        None, "A Redis for rate limits and used assertions ([Limits](limits.md#redis)), by its URL."
    )
    ephemeral_prefix: str | None = _setting(
        None, "What all keys in that Redis start with. Default: `pkce` and the issuer."
    )
    sqlite_pragmas: bool = _setting(
        False, "Whether to put SQLite into WAL mode, with a busy timeout, on your app's engine."
    )
    read_engine_uri: str | None = _setting(
        None, "A replica of PostgreSQL for [what may be a moment old](growing.md#a-replica)."
    )
    read_engine_max_lag: int = _setting(
        10, "Seconds that the replica may be behind; later, it is not read.", at_least=1
    )

    #: The settings of the host app's features, by key.
    of_host: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        """Return the value of an `app.config` key of this package or of a host app's feature."""
        if key in self.of_host:
            return self.of_host[key]
        return getattr(self, key.removeprefix(PREFIX).lower())
