"""Settings: every `PKCE_*` key, typed, with its default and its meaning.

The fields of `Settings` are the whole list; the configuration reference in the docs is made
from them. Features of the host declare their settings as `Setting` objects. Values are JSON
types, so that each can come from the environment by `app.config.from_prefixed_env()`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Literal, get_type_hints

from ..errors import ConfigurationError
from .setting import Setting

__all__ = ["Setting", "Settings"]

PREFIX = "PKCE_"


def _setting(
    default: Any,
    meaning: str,
    *,
    at_least: int | None = None,
    at_most: int | None = None,
    feature: str | None = None,
) -> Any:
    metadata = {
        "meaning": meaning,
        "at_least": at_least,
        "at_most": at_most,
        "feature": feature,
    }
    if isinstance(default, dict | list):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the host decided in `app.config`, checked once when the app starts."""

    issuer: str | None = _setting(
        None,
        "The https URL that names this server in every answer, kept byte for byte. "
        "May stay unset in debug only: then it is the loopback URL.",
    )
    url_prefix: str = _setting("/oauth", "The path below which the endpoints lie.")
    endpoints: dict[str, str] = _setting(
        {}, 'Endpoints that lie elsewhere: `{"authorize": "/authorize"}`.'
    )
    features: dict[str, bool] = _setting(
        {}, 'Rooms to open or to leave out: `{"revocation": false}`.'
    )
    dialects: list[str] = _setting(
        [],
        "The products whose SDKs are served at their own paths, in their own manners: "
        '`["auth0"]`. Which there are: [Other products\' SDKs](dialects.md).',
    )
    site_name: str | None = _setting(
        None, "What the pages call the host; the app's name where unset."
    )
    languages: list[str] = _setting(
        [],
        "The languages that the pages may be in, the first for who asks for none of them; all "
        "that there are where empty.",
    )
    texts: dict[str, dict[str, str]] = _setting(
        {},
        "What the pages say instead, by language and by the English text: "
        '`{"en": {"Allow": "Let it in"}}`.',
    )
    theme: Literal["auto", "light", "dark"] = _setting(
        "auto", "Whether the pages are light or dark; as the browser wants it where auto."
    )
    stylesheet: str | None = _setting(
        None, "The path of a stylesheet of the host, loaded after ours: `/static/look.css`."
    )
    layout_template: str | None = _setting(
        None, "The template of the host that the pages stand in; it has a block `content`."
    )
    scopes: dict[str, str] = _setting(
        {},
        "Each scope that clients may ask for, with the sentence that the user reads; those of "
        "OpenID Connect are there already.",
    )
    authorize_default_scopes: list[str] = _setting(
        [], "What a client is taken to ask for when it names no scope."
    )
    authorize_unknown_scopes: Literal["refuse", "drop"] = _setting(
        "refuse", "Whether a scope that is not declared is an error or is left out."
    )
    authorize_optional_scopes: list[str] = _setting(
        [], "Scopes that a user may leave out when they allow the rest."
    )
    authorize_days: list[int] = _setting(
        [],
        "For how many days a user may allow an app, besides until they remove it; 0 is for "
        "this once. Nobody is asked where empty.",
    )
    authorize_lifetime: int = _setting(
        3600, "Seconds that a user has to sign in and decide.", at_least=60
    )
    authorization_code_lifetime: int = _setting(
        60, "Seconds that a client has to redeem its code.", at_least=1
    )
    access_token_lifetime: int = _setting(
        3600, "Seconds that an access token is good for.", at_least=1
    )
    refresh_token_lifetime: int = _setting(
        2592000, "Seconds that a refresh token may lie unused.", at_least=1
    )
    refresh_token_grace: int = _setting(
        10,
        "Seconds in which a repeated refresh gets the same answer again; 0 for none.",
        at_least=0,
    )
    refresh_token_issue: Literal["offline_access", "always"] = _setting(
        "offline_access",
        "Whether refresh tokens go only to those who were granted offline_access.",
    )
    client_credentials_scopes: list[str] = _setting(
        [],
        "The scopes that clients may ask for in their own name, without a user; none where "
        "empty, and their tokens only say which client it is.",
    )
    device_code_lifetime: int = _setting(
        600,
        "Seconds that a user has to enter the code of a device and decide.",
        at_least=60,
        # A longer one is guessed too easily: docs/device.md.
        at_most=600,
    )
    device_code_interval: int = _setting(
        5, "Seconds that a device waits between two questions.", at_least=2
    )
    resource_indicators_default: list[str] = _setting(
        [],
        "The resources that a request for a user's consent means which names none, by their "
        "URIs; the server itself where empty.",
    )
    openid_id_token_lifetime: int = _setting(
        3600, "Seconds that an ID token is good for.", at_least=1
    )
    openid_claims: dict[str, list[str]] = _setting(
        {}, 'Further claims that a scope opens: `{"profile": ["department"]}`.'
    )
    openid_claims_in_id_token: bool = _setting(
        False,
        "Whether what the scopes open is in the ID token too, and not only in userinfo.",
    )
    openid_subject_type: Literal["public", "pairwise"] = _setting(
        "public",
        "Whether all clients know a user by the same subject, or each by another one.",
    )
    openid_pairwise_salt: str | None = _setting(
        None, "The secret that pairwise subjects are made with; it must never change."
    )
    prompt_sign_up_view: str | None = _setting(
        None, "The endpoint of the host's sign-up page, for `prompt=create`."
    )
    jwks_lead: int = _setting(
        7200,
        "Seconds for which a new key is published before it signs; longer than anybody "
        "caches the JWKS.",
        at_least=0,
    )
    jwks_keep: int = _setting(
        2592000, "Seconds for which an old key stays published after its last use.", at_least=0
    )
    jwt_access_token: bool = _setting(
        False, "Whether access tokens are JWTs that others can verify, instead of opaque."
    )
    jwt_access_token_alg: Literal["RS256", "ES256"] = _setting(
        "RS256", "What JWT access tokens are signed with."
    )
    jwt_access_token_resources: dict[str, list[str]] = _setting(
        {},
        "APIs beside this app, each with its scopes: a token that has one of them is a JWT "
        'for that API. `{"https://api.example": ["notes:read"]}`.',
    )
    jwt_access_token_check_revocation: bool = _setting(
        True,
        "Whether `pkce.require` asks the database if a JWT was revoked; one statement a call.",
    )
    backchannel_logout_retries: list[int] = _setting(
        [1, 5, 25], "Seconds to wait before each further try to tell a client of a logout."
    )
    connected_apps_note_use: bool = _setting(
        False,
        "Whether the page of connected apps tells which scopes an app has really used. The "
        "first call of an hour then writes that down.",
    )
    developer_portal_scopes: list[str] = _setting(
        [], "What apps that people register themselves may ask for; all scopes where empty."
    )
    developer_portal_most: int = _setting(20, "How many apps one person may register.", at_least=1)
    registration_initial_access_tokens: list[str] = _setting(
        [],
        "Tokens of which a client shows one to register itself, each long and random; any "
        "client may where empty.",
    )
    registration_scopes: list[str] = _setting(
        [], "What clients that register themselves may ask for; all scopes where empty."
    )
    registration_most: int = _setting(
        1000,
        "How many clients that registered themselves may wait for their first user.",
        at_least=1,
    )
    registration_unused_days: int = _setting(
        7,
        "Days after which `flask pkce prune` deletes a client that registered itself and "
        "signed nobody in.",
        at_least=1,
    )
    client_id_metadata_allow: list[str] = _setting(
        [],
        "The hosts at which clients may be described by documents, each with its subdomains; "
        "all where empty.",
    )
    client_id_metadata_deny: list[str] = _setting(
        [], "The hosts at which they may not be, each with its subdomains."
    )
    client_id_metadata_scopes: list[str] = _setting(
        [], "What clients that documents describe may ask for; all scopes where empty."
    )
    key_secret: str | None = _setting(
        None, "The secret that keys are derived from; SECRET_KEY where unset."
    )
    sqlite_pragmas: bool = _setting(
        False, "Put SQLite into WAL mode, with a busy timeout, on the host's engine."
    )

    #: Those of the host's features, by their keys.
    of_host: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        """Return the value of a key of `app.config`, of one of ours or of a host's feature."""
        return self.of_host[key] if key in self.of_host else getattr(self, _field_of(key))

    @classmethod
    def load(cls, config: Mapping[str, Any], of_host: Iterable[Setting] = ()) -> Settings:
        """Read and check the `PKCE_*` keys of `config`.

        `of_host` are the settings of features that the host added. Raises
        `ConfigurationError` for a key that nobody knows and for a value of the wrong type.
        """
        ours, theirs = declared(), {setting.key: setting for setting in of_host}
        values = {key: setting.default for key, setting in theirs.items()}
        for key, value in config.items():
            setting = theirs.get(key) or ours.get(key)
            if setting is not None:
                setting.check(value)
                values[key] = value
            elif key.startswith(PREFIX):
                raise _unknown(key, value, [*ours, *theirs])
        own = {_field_of(key): value for key, value in values.items() if key in ours}
        return cls(**own, of_host={key: values[key] for key in theirs})


@cache
def declared() -> Mapping[str, Setting]:
    """Return the settings of this package, by their keys."""
    hints = get_type_hints(Settings)
    return {
        PREFIX + one.name.upper(): Setting(
            PREFIX + one.name.upper(),
            hints[one.name],
            getattr(Settings(), one.name),
            one.metadata["meaning"],
            one.metadata["at_least"],
            one.metadata["at_most"],
        )
        for one in fields(Settings)
        if one.metadata
    }


def feature_of(key: str, names: Iterable[str]) -> str | None:
    """Return which of the features `names` a setting of this package belongs to.

    The one whose name its own begins with, unless it says another; None if to none.
    """
    name = _field_of(key)
    said: str | None = Settings.__dataclass_fields__[name].metadata["feature"]
    fitting = (one for one in names if name == one or name.startswith(f"{one}_"))
    return said or max(fitting, key=len, default=None)


def _field_of(key: str) -> str:
    return key.removeprefix(PREFIX).lower()


def _unknown(key: str, value: Any, known: list[str]) -> ConfigurationError:
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
    return ConfigurationError(
        f"{key} is not a setting of Flask-PKCE-Server. The nearest is {nearest}.",
        write=f'app.config["{nearest}"] = {value!r}',
    )
