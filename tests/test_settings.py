"""Settings: typed in one place, and refused with the line to write."""

from __future__ import annotations

import pytest

from flask_pkce_server import ConfigurationError, Setting
from flask_pkce_server.settings import Settings
from flask_pkce_server.settings.load import declared, load


def test_nothing_configured_is_the_defaults() -> None:
    assert load({"SECRET_KEY": "x", "DEBUG": True}) == Settings()


def test_mutable_defaults_are_not_shared() -> None:
    assert Settings().scopes is not Settings().scopes


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("PKCE_REFRESH_TOKEN_GRACE", "10", "must be a whole number, 0 or more"),
        ("PKCE_REFRESH_TOKEN_GRACE", -1, "must be a whole number, 0 or more"),
        ("PKCE_REFRESH_TOKEN_GRACE", True, "must be a whole number, 0 or more"),
        ("PKCE_REFRESH_TOKEN_GRACE", 1.5, "must be a whole number, 0 or more"),
        ("PKCE_SQLITE_PRAGMAS", "False", "must be true or false"),
        ("PKCE_SQLITE_PRAGMAS", 1, "must be true or false"),
        ("PKCE_ISSUER", 5, "must be text or None"),
        ("PKCE_URL_PREFIX", None, "must be text"),
        ("PKCE_SCOPES", ["profile"], "must be a dict of names, each with text"),
        ("PKCE_SCOPES", {"profile": 1}, "must be a dict of names, each with text"),
        ("PKCE_FEATURES", {"cors": "no"}, "must be a dict of names, each with true or false"),
        ("PKCE_AUTHORIZE_DEFAULT_SCOPES", "profile", "must be a list, each item text"),
        ("PKCE_REFRESH_TOKEN_WHEN", "never", "must be 'offline_access' or 'always'"),
    ],
)
def test_a_wrong_value_is_refused_with_the_line_to_write(
    key: str, value: object, words: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load({key: value})
    assert f"{key} is {value!r}, and {words}" in str(refused.value)
    assert f'Write: app.config["{key}"] = ' in str(refused.value)


def test_the_line_to_write_is_itself_accepted() -> None:
    wrong = {
        "PKCE_REFRESH_TOKEN_GRACE": "x",
        "PKCE_SCOPES": [],
        "PKCE_ISSUER": 1,
        "PKCE_FEATURES": [],
        "PKCE_AUTHORIZE_DEFAULT_SCOPES": {},
        "PKCE_SQLITE_PRAGMAS": "x",
    }
    for key, value in wrong.items():
        with pytest.raises(ConfigurationError) as refused:
            load({key: value})
        written: dict[str, object] = {}
        app = type("App", (), {"config": written})
        exec(refused.value.write, {"app": app})  # noqa: S102 - our own line
        load(written)


def test_an_unknown_key_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(ConfigurationError, match="The nearest is PKCE_REFRESH_TOKEN_GRACE"):
        load({"PKCE_REFRESH_GRACE": 10})


def test_settings_of_the_hosts_own_features_are_known() -> None:
    setting = Setting("PKCE_OWN_FEATURE", int, 3, "A number.")
    assert load({}, {setting.key: setting})["PKCE_OWN_FEATURE"] == 3
    assert load({"PKCE_OWN_FEATURE": 4}, {setting.key: setting})["PKCE_OWN_FEATURE"] == 4


def test_every_setting_has_a_meaning() -> None:
    for setting in declared().values():
        assert setting.meaning.endswith(".")
