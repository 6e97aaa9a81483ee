"""Settings: every `PKCE_*` key, typed, with its default and its meaning.

The fields of `Settings` are the whole list; the configuration reference in the docs is
made from them. Values are JSON types, so that each can come from the environment by
Flask's own `app.config.from_prefixed_env()`.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from .errors import ConfigurationError

PREFIX = "PKCE_"


def _setting(
    default: Any, meaning: str, *, at_least: int | None = None, at_most: int | None = None
) -> Any:
    metadata = {"meaning": meaning, "at_least": at_least, "at_most": at_most}
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

    @classmethod
    def load(cls, config: Mapping[str, Any], also_known: Iterable[str] = ()) -> Settings:
        """Read and check the `PKCE_*` keys of `config`.

        `also_known` names further keys, those of rooms that the host added. Raises
        `ConfigurationError` for a key that nobody knows and for a value of the wrong type.
        """
        hints = get_type_hints(cls)
        known = {PREFIX + setting.name.upper(): setting for setting in fields(cls)}
        values: dict[str, Any] = {}
        for key, value in config.items():
            if not key.startswith(PREFIX) or key in also_known:
                continue
            if key not in known:
                raise _unknown(key, value, [*known, *also_known])
            setting = known[key]
            _check(key, value, hints[setting.name], setting)
            values[setting.name] = value
        return cls(**values)


def _unknown(key: str, value: Any, known: list[str]) -> ConfigurationError:
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
    return ConfigurationError(
        f"{key} is not a setting of Flask-PKCE-Server. The nearest is {nearest}.",
        write=f'app.config["{nearest}"] = {value!r}',
    )


def _check(key: str, value: Any, hint: Any, setting: Any) -> None:
    at_least, at_most = setting.metadata["at_least"], setting.metadata["at_most"]
    if (
        _fits(value, hint)
        and (at_least is None or value >= at_least)
        and (at_most is None or value <= at_most)
    ):
        return
    wanted = _in_words(hint) + (f", {at_least} or more" if at_least is not None else "")
    wanted += f", {at_most} at most" if at_most is not None else ""
    example = setting.default if isinstance(setting.default, str | int) else _example(hint)
    raise ConfigurationError(
        f"{key} is {value!r}, and must be {wanted}. {setting.metadata['meaning']}",
        write=f'app.config["{key}"] = {example!r}',
    )


def _fits(value: Any, hint: Any) -> bool:
    """Say whether `value` is of the type that `hint` names; True is no number here."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is types.UnionType:
        return any(_fits(value, one) for one in arguments)
    if origin is Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(_fits(one, arguments[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(
            _fits(name, arguments[0]) and _fits(one, arguments[1]) for name, one in value.items()
        )
    return type(value) is hint


def _in_words(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is types.UnionType:
        return " or ".join(_in_words(one) for one in arguments)
    if origin is Literal:
        return " or ".join(repr(one) for one in arguments)
    if origin is list:
        return f"a list, each item {_in_words(arguments[0])}"
    if origin is dict:
        return f"a dict of names, each with {_in_words(arguments[1])}"
    return {
        str: "text",
        int: "a whole number",
        bool: "true or false",
        type(None): "None",
    }[hint]


def _example(hint: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is types.UnionType:
        return _example(arguments[0])
    if origin is list:
        return []
    if origin is dict:
        return {"name": _example(arguments[1])}
    return {str: "...", bool: True}[hint]
