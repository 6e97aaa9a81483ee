"""Language: the choice of the language of a page, and its texts.

The language comes from the first of these that matches: `ui_locales` in the request (OIDC Core
3.1.2.1), the locale of the host app's Flask-Babel, the browser's Accept-Language, the first of
the host app's languages. The standard library reads the catalogs; Babel is only needed to
compile them.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timezone
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Any

import flask
from markupsafe import Markup, escape

from ..errors import ConfigurationError

_CATALOGS = Path(__file__).parent / "translations"
_TAG = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_RIGHT_TO_LEFT = {"ar", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"}
#: Language tags of one header or parameter that are tried.
_MOST_TAGS = 20


class Language:
    """One language: its texts, its text direction and its date format."""

    def __init__(self, tag: str, own: Mapping[str, str]) -> None:
        self.tag = tag
        self.direction = "rtl" if tag.partition("-")[0] in _RIGHT_TO_LEFT else "ltr"
        self._own = own

    def text(self, message: str, **values: Any) -> Markup:
        """Return `message` in this language, with its `{names}` replaced by escaped `values`."""
        text = self._own.get(message) or self._of_host(message) or self._catalog.gettext(message)
        return escape(text).format(**values) if values else escape(text)

    def count(self, one: str, many: str, number: int, **values: Any) -> Markup:
        """Return the text for `number`, from the English singular `one` and plural `many`."""
        own = self._own.get(one if number == 1 else many)
        text = own or self._catalog.ngettext(one, many, number)
        return escape(text).format(number=number, **values)

    def day(self, seconds: int) -> str:
        """Return the day (UTC) of `seconds` since the epoch, written in this language."""
        return _written(_day(seconds), self.tag)

    @property
    def _catalog(self) -> gettext.NullTranslations:
        return _catalog(self.tag)

    def _of_host(self, message: str) -> str | None:
        """Return the translation of a text of the host app by its Flask-Babel, or None."""
        if "babel" not in flask.current_app.extensions or message in _english():
            return None
        import flask_babel
        from babel.core import UnknownLocaleError

        try:
            with flask_babel.force_locale(self.tag.replace("-", "_")):
                text: str = flask_babel.gettext(message)
        except UnknownLocaleError:
            return None
        return text


class Languages:
    """The languages that the pages of one app are available in.

    `wanted` contains their tags; if it is empty, all available languages are used. `texts` is
    the host app's own wording, by language tag and English text. Raises `ConfigurationError`.
    """

    def __init__(self, wanted: Iterable[str], texts: Mapping[str, Mapping[str, str]]) -> None:
        known = {"en", *shipped(), *texts}
        for tag in (*wanted, *texts):
            if not _TAG.fullmatch(tag):
                raise ConfigurationError(
                    f"{tag!r} is no language tag.", write='app.config["PKCE_LANGUAGES"] = ["de"]'
                )
        for tag in wanted:
            if tag not in known:
                raise ConfigurationError(
                    f'PKCE_LANGUAGES names "{tag}", and there are no texts for it.',
                    write=f"one of: {', '.join(sorted(known))}; or give its texts in PKCE_TEXTS",
                )
        for own in texts.values():
            for message, text in own.items():
                _check_placeholders(message, text)
        tags = list(wanted) or ["en", *sorted(known - {"en"})]
        self._languages = {tag.lower(): Language(tag, texts.get(tag, {})) for tag in tags}

    @property
    def tags(self) -> list[str]:
        """The tags of all languages; the first is the fallback."""
        return [language.tag for language in self._languages.values()]

    def choose(self, ui_locales: str | None = None) -> Language:
        """Return the language for the response to the current request.

        `ui_locales` is the parameter of an authorization request that is not in the page's URL.
        """
        for tag in self._asked(ui_locales):
            language = self._find(tag)
            if language is not None:
                return language
        return next(iter(self._languages.values()))

    def _asked(self, ui_locales: str | None) -> Iterable[str]:
        incoming = flask.request
        asked = ui_locales or incoming.values.get("ui_locales", "")
        yield from asked.split(" ")[:_MOST_TAGS]
        if "babel" in flask.current_app.extensions:
            import flask_babel

            yield str(flask_babel.get_locale() or "").replace("_", "-")
        for tag, quality in list(incoming.accept_languages)[:_MOST_TAGS]:
            if quality > 0:
                yield tag

    def _find(self, tag: str) -> Language | None:
        """Return the language with `tag` or its longest known prefix (RFC 4647 3.4), or None."""
        if not _TAG.fullmatch(tag):
            return None
        parts = tag.lower().split("-")
        for length in range(len(parts), 0, -1):
            language = self._languages.get("-".join(parts[:length]))
            if language is not None:
                return language
        return None


def iso_day(seconds: int) -> str:
    """Return the day (UTC) of `seconds` since the epoch, in ISO 8601 format."""
    return _day(seconds).isoformat()


def shipped() -> list[str]:
    """Return the tags of the languages with a catalog."""
    return sorted(path.parts[-3] for path in _CATALOGS.glob("*/LC_MESSAGES/messages.mo"))


@lru_cache
def _catalog(tag: str) -> gettext.NullTranslations:
    return gettext.translation("messages", _CATALOGS, [tag], fallback=True)


@lru_cache
def _english() -> frozenset[str]:
    """Return the English texts of this package, to distinguish them from the host app's."""
    texts: set[str] = set()
    for tag in shipped():
        catalog: Any = _catalog(tag)
        for key in catalog._catalog:
            texts.add(key[0] if isinstance(key, tuple) else key)
    return frozenset(texts)


def _day(seconds: int) -> date:
    return datetime.fromtimestamp(seconds, timezone.utc).date()


def _written(day: date, tag: str) -> str:
    """Return `day` in the long format of the language; without Babel, as ISO 8601."""
    try:
        from babel.core import UnknownLocaleError
        from babel.dates import format_date
    except ImportError:
        return day.isoformat()
    try:
        return format_date(day, "long", tag.replace("-", "_"))
    except UnknownLocaleError:
        return day.isoformat()


def _check_placeholders(message: str, text: str) -> None:
    """Refuse a text with placeholders that `message` lacks; raises `ConfigurationError`."""
    try:
        expected, actual = (
            {name for _, name, _, _ in Formatter().parse(template) if name is not None}
            for template in (message, text)
        )
    except ValueError:
        expected, actual = set(), {"{"}
    if not actual <= expected:
        raise ConfigurationError(
            f"PKCE_TEXTS: {text!r} has a placeholder that {message!r} does not have.",
            write=f"of these: {', '.join(sorted(expected)) or 'none'}",
        )
