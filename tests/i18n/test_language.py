"""Languages: which one a page is in, and that every text of every page is there in it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po
from flask import Flask, session
from flask.testing import FlaskClient
from flask_babel import Babel

from flask_pkce_server import ConfigurationError
from flask_pkce_server.i18n.language import Languages, shipped
from flask_pkce_server.testing import Flow, hidden_fields, register

from ..device import Device, press, television
from ..host import make_app, sign_in

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
CATALOGS = ROOT / "flask_pkce_server" / "i18n" / "translations"
LANGUAGES = ["ar", "de", "es", "fr", "ja"]

slow = pytest.mark.thorough
in_each = pytest.mark.parametrize("tag", LANGUAGES)


def catalog(tag: str) -> Catalog:
    with (CATALOGS / tag / "LC_MESSAGES" / "messages.po").open("rb") as lines:
        return read_po(lines, locale=tag)


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


# The catalogs.


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """All texts, as `setup.cfg` says that they are found."""
    path = tmp_path_factory.mktemp("pot") / "messages.pot"
    command = "import setuptools; setuptools.setup()"
    subprocess.run(
        [sys.executable, "-c", command, "-q", "extract_messages", "-o", str(path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    with path.open("rb") as lines:
        return read_po(lines)


def test_the_languages_are_these() -> None:
    assert shipped() == LANGUAGES


@in_each
def test_every_text_is_translated(tag: str, template: Catalog) -> None:
    found = catalog(tag)
    wanted = {message.id for message in template if message.id}
    assert {message.id for message in found if message.id} == wanted
    assert not found.obsolete
    for message in found:
        if not message.id:
            continue
        assert not message.fuzzy, message.id
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        assert len(texts) == (found.num_plurals if isinstance(message.id, tuple) else 1)
        ours = names(message.id if isinstance(message.id, str) else message.id[1])
        for text in texts:
            assert text.strip(), message.id
            assert names(text) <= ours, message.id
            # A number may be said in words, anything else must not get lost.
            assert ours - names(text) <= {"number"}, message.id
            assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069<>]", text), message.id


@in_each
def test_what_is_compiled_is_fresh(tag: str) -> None:
    # If not: make catalogs
    with (CATALOGS / tag / "LC_MESSAGES" / "messages.mo").open("rb") as compiled:
        texts = [(message.id, message.string) for message in read_mo(compiled) if message.id]
    # Babel gives what counts as lists here and as tuples there.
    fresh = [(message.id, message.string) for message in catalog(tag) if message.id]
    assert sorted(map(str, map(flat, texts))) == sorted(map(str, map(flat, fresh)))


def flat(pair: tuple[Any, Any]) -> list[str]:
    return [text for one in pair for text in ([one] if isinstance(one, str) else one)]


# The pages.


class Texts(HTMLParser):
    """What a person reads of a page, but for what says itself that it is English."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.read: list[str] = []
        self._silent: list[bool] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in ("meta", "link", "input", "br"):
            # Names and code are nobody's language; English is said to be.
            silent = tag in ("bdi", "code", "pre", "textarea") or (
                tag != "html" and given.get("lang") == "en"
            )
            self._silent.append(silent or any(self._silent[-1:]))

    def handle_endtag(self, tag: str) -> None:
        self._silent.pop()

    def handle_data(self, data: str) -> None:
        if not any(self._silent[-1:]) and data.strip():
            self.read.append(" ".join(data.split()))


def pages(app: Flask) -> Iterator[tuple[str, str]]:
    """Walk through every page of the app, each with its state and its complaints."""
    client = sign_in(app)
    told = {
        "developer": "Ada",
        "client_uri": "https://a.example/",
        "policy_uri": "https://a.example/p",
        "tos_uri": "https://a.example/t",
    }
    web = register(app, name="1", client_metadata=told)
    own = register(
        app,
        name="2",
        redirect_uris=("http://127.0.0.1/",),
        self_registered=True,
        client_metadata={"verified": False},
    )
    flow = Flow(client, web, scope="openid profile email address phone offline_access")
    page = flow.authorize()
    yield "consent", page.text
    yield "undecided", flow.decide(page, "maybe").text
    yield "nothing asked", Flow(client, own, scope="").authorize(prompt="consent").text
    flow.decide(page, days="90")
    client.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0"
    for _ in range(2):
        flow.tokens()
    yield "step-up", flow.authorize(prompt="consent", scope="profile notes:write notes:read").text
    yield "local", Flow(client, own, scope="profile").authorize().text
    Flow(client, own, scope="profile").tokens()
    elsewhere = register(
        app,
        name="8",
        client_id="https://9.example/9",
        self_registered=True,
        client_metadata={"document": {"fetched_at": 0, "fresh_until": 2**40, "changed_at": 0}},
    )
    yield "described", Flow(client, elsewhere, scope="profile").authorize().text
    yield "apps", client.get("/oauth/apps").text
    with client.session_transaction() as session:
        session["_pkce_notice"] = "narrowed"
    yield "narrowed", client.get("/oauth/apps").text
    yield "refused", client.post("/oauth/apps").text
    form = hidden_fields(client.get("/oauth/apps").text)
    client.post("/oauth/apps", data={**form, "remove": "all"})
    yield "no apps", client.get("/oauth/apps").text
    yield "no app of yours", client.get("/oauth/developer/x").text
    yield "portal", client.get("/oauth/developer").text
    lines = ["http://a.example/", "/", "https://a.example/#", "https://*.example", "data:x"]
    lines += [
        "https://a@b.example/",
        "https:/x",
        "https://a.example/?code=",
        "https://a.example/..",
    ]
    lines += ["\u00e4", "a:b", "http://localhost/", "x" * 2001]
    form = {**hidden_fields(client.get("/oauth/developer").text), "kind": "server"}
    wrong = {"redirect_uris": "\n".join(lines), "client_uri": "x"}
    yield "portal, all wrong", client.post("/oauth/developer", data={**form, **wrong}).text
    yield "portal, nothing", client.post("/oauth/developer", data=form).text
    yield "portal, no token", client.post("/oauth/developer").text
    good = {"name": "3", "redirect_uris": "https://a.example/"}
    page = client.post("/oauth/developer", data={**form, **good})
    yield "portal, new", page.text
    here = "/oauth/developer/" + re.search(r'id="client_id"[^>]*value="(\w+)"', page.text)[1]
    form = hidden_fields(page.text)
    yield "portal, delete", client.post(here, data={**form, "do": "delete"}).text
    yield "portal, secrets", client.post(here, data={**form, "do": "add_secret"}).text
    yield "portal, list", client.get("/oauth/developer").text
    native = {**hidden_fields(client.get("/oauth/developer").text), "kind": "native", "name": "4"}
    yield (
        "portal, scheme",
        client.post("/oauth/developer", data={**native, "redirect_uris": "x:/"}).text,
    )
    app.pkce.may_register_app(lambda user: False)
    yield "portal, closed", client.get("/oauth/developer").text
    device = Device(client, television(app, name="5", client_metadata=told), scope="profile")
    yield "device", client.get("/oauth/device").text
    yield "device, malformed", device.enter("x").text
    yield "device, unknown", device.enter("BCDF-GHJK").text
    yield "device, expired", client.post("/oauth/device").text
    device.start()
    yield "device, named", client.get(f"/oauth/device?user_code={device.user_code}").text
    page = device.enter()
    yield "device, consent", page.text
    yield "device, undecided", press(client, page, "maybe").text
    yield "device, allowed", press(client, page, "allow").text
    device.poll()
    yield "device, connected", client.get("/oauth/apps").text
    device.start()
    yield "device, denied", device.decide("deny").text
    for _ in range(5):
        page = device.enter("BCDF-GHJK")
    yield "device, too many", page.text
    yield "error", flow.authorize(client_id="unknown").text
    yield "expired", client.get("/oauth/authorize?r=0123456789abcdef").text
    form = hidden_fields(
        client.get("/oauth/logout", query_string={"client_id": web.client_id}).text
    )
    yield "logout", client.get("/oauth/logout", query_string={"client_id": web.client_id}).text
    yield "logout, undecided", client.post("/oauth/logout", data={"decision": "x", **form}).text
    yield "stayed", client.post("/oauth/logout", data={**form, "decision": "deny"}).text
    yield "form_post", flow.authorize(response_mode="form_post", prompt="none").text
    yield "left", client.post("/oauth/logout", data={**form, "decision": "allow"}).text


def make(**config: object) -> Flask:
    return make_app(
        PKCE_SITE_NAME="0",
        PKCE_FEATURES={"developer_portal": True, "client_id_metadata": True},
        PKCE_CONSENT_OPTIONAL_SCOPES=["phone", "notes:write"],
        PKCE_CONSENT_DAYS=[0, 90],
        PKCE_CONNECTED_APPS_NOTE_USE=True,
        PKCE_JWT_ACCESS_TOKEN_RESOURCES={"https://api.example": ["profile"]},
        DEBUG=True,
        **config,
    )


@pytest.mark.parametrize(
    "tag", [pytest.param(tag, marks=() if tag == "de" else slow) for tag in LANGUAGES]
)
def test_every_string_of_every_page_is_translated(tag: str) -> None:
    english = {
        text
        for message in catalog(tag)
        for text in (message.id if isinstance(message.id, tuple) else [message.id])
        # What is the same in both tells nothing.
        if text and text not in (message.string or ())
    }
    latin = {"Ada", "Lovelace", "Firefox", "Windows", "client", "id", "secret"}
    for message in catalog(tag):
        if message.id and isinstance(message.string, str):
            latin.update(re.findall("[A-Za-z]{2,}", message.string))
    host = {"Read your notes": "\u2460", "Write notes for you": "\u2461"}
    seen = set()
    for name, page in pages(make(PKCE_LANGUAGES=[tag], PKCE_TEXTS={tag: host})):
        seen.add(name)
        assert f'<html lang="{tag}" dir="{"rtl" if tag == "ar" else "ltr"}">' in page, name
        for text in Texts(page).read:
            assert text not in english, (name, text)
            if tag in ("ar", "ja"):
                # Nor a word of another alphabet, but those that the catalog itself has.
                assert set(re.findall("[A-Za-z]{2,}", text)) <= latin, (name, text)
    assert len(seen) == 39


def test_in_english_every_page_says_so() -> None:
    for name, page in pages(make()):
        assert '<html lang="en" dir="ltr">' in page, name


# Which language.


@pytest.fixture
def flow(app: Flask) -> Flow:
    return Flow(sign_in(app), register(app))


def language_of(page: str) -> str:
    return re.search(r'<html lang="([^"]+)"', page)[1]


def test_the_request_says_it_first(flow: Flow) -> None:
    # OIDC Core 3.1.2.1: in the order of preference.
    flow.browser.environ_base["HTTP_ACCEPT_LANGUAGE"] = "fr"
    page = flow.authorize(ui_locales="tlh de-AT es")
    assert language_of(page.text) == "de"
    assert page.headers["Content-Language"] == "de"
    assert "Vary" in page.headers or page.headers["Cache-Control"] == "no-store"
    # And when its form comes back undecided.
    assert language_of(flow.decide(page, "maybe").text) == "de"
    assert language_of(flow.authorize(ui_locales="de", client_id="unknown").text) == "de"


def test_on_the_way_by_the_login_page_too(app: Flask) -> None:
    browser = app.test_client()
    flow = Flow(browser, register(app))
    short = flow.authorize(ui_locales="ja").headers["Location"]
    assert "ui_locales" not in short
    browser.post("/login", data={"username": "ada"})
    assert language_of(browser.get(short).text) == "ja"


def test_then_the_hosts_flask_babel_and_then_the_browser() -> None:
    app = make_app(init=False)
    Babel(app, locale_selector=lambda: session.get("locale"))
    app.pkce.init_app(app)
    with app.app_context():
        app.db.create_all()
    flow = Flow(app.test_client(), register(app))

    @app.get("/choose/<locale>")
    def choose(locale: str) -> str:
        session["locale"] = locale
        return ""

    headers = {"HTTP_ACCEPT_LANGUAGE": "es;q=0.5, ja;q=0, fr;q=0.9"}
    flow.browser.environ_base.update(headers)
    assert language_of(flow.authorize(client_id="x", ui_locales="de").text) == "de"
    flow.browser.get("/choose/de_CH")
    assert language_of(flow.authorize(client_id="x").text) == "de"
    # One that there are no texts for.
    flow.browser.get("/choose/pl")
    assert language_of(flow.authorize(client_id="x").text) == "fr"


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("ja;q=0.1, ar", "ar"),
        ("ja;q=0, es", "es"),
        ("*", "en"),
        ("", "en"),
        ("x" * 5000, "en"),
        ("de;q=oops, \x00\xff", "en"),
        (",".join(["tlh"] * 1000) + ",de", "en"),
        ("DE-de", "de"),
    ],
)
def test_accept_language(app: Flask, header: str, tag: str) -> None:
    page = app.test_client().get("/oauth/authorize", headers={"Accept-Language": header})
    assert language_of(page.text) == tag


@pytest.mark.parametrize("said", ["../../etc", "<script>", "de'\"", "\u202e", "a" * 5000, " ", "-"])
def test_hostile_locales_are_no_locales(flow: Flow, said: str) -> None:
    page = flow.authorize(ui_locales=said, client_id="unknown")
    assert page.status_code < 500
    assert language_of(page.text) == "en"


def test_the_host_names_its_languages() -> None:
    app = make_app(PKCE_LANGUAGES=["de", "en"])
    assert app.extensions["pkce"].metadata()["ui_locales_supported"] == ["de", "en"]
    browser = app.test_client()
    for header, tag in (("fr", "de"), ("en", "en")):
        page = browser.get("/oauth/authorize", headers={"Accept-Language": header}).text
        assert language_of(page) == tag


# The host's own texts.


def page_in(app: Flask, tag: str) -> str:
    return (
        Flow(sign_in(app), register(app), scope="profile notes:read").authorize(ui_locales=tag).text
    )


def test_the_host_says_a_text_its_own_way() -> None:
    app = make_app(
        PKCE_TEXTS={
            "en": {"Allow": "Let <it> in", "Signed in as {account}": "You: {account}"},
            "de": {"Read your notes": "Ihre Notizen lesen"},
        }
    )
    assert ">Let &lt;it&gt; in</button>" in page_in(app, "en")
    assert "You: <strong>" in page_in(app, "en")
    assert "Ihre Notizen lesen" in page_in(app, "de")
    assert "Read your notes" in page_in(app, "fr")


def test_the_host_adds_a_language() -> None:
    app = make_app(PKCE_TEXTS={"pl": {"Allow": "Zezwól", "{number} day": "{number} dzień"}})
    page = page_in(app, "pl-PL")
    assert language_of(page) == "pl"
    assert ">Zezwól</button>" in page
    assert ">Deny</button>" in page


def test_the_texts_of_the_host_are_translated_by_its_flask_babel(tmp_path: Path) -> None:
    folder = tmp_path / "translations" / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    own = Catalog(locale="de")
    own.add("Read your notes", "Deine Notizen lesen")
    own.add("Allow", "NICHT UNSERES")
    with (folder / "messages.mo").open("wb") as compiled:
        write_mo(compiled, own)
    app = make_app(init=False, BABEL_TRANSLATION_DIRECTORIES=str(tmp_path / "translations"))
    Babel(app)
    app.pkce.init_app(app)
    with app.app_context():
        app.db.create_all()
        app.db.session.add(app.User(username="ada", name="Ada"))
        app.db.session.commit()
    app.extensions["pkce"].languages = Languages([], {"tlh": {}})
    page = page_in(app, "de")
    assert "Deine Notizen lesen" in page
    # A language that Babel knows nothing of.
    assert "Read your notes" in page_in(app, "tlh")
    # Ours are ours.
    assert "NICHT UNSERES" not in page


@pytest.mark.parametrize(
    ("languages", "texts", "told"),
    [
        (["tlh"], {}, "there are no texts for it"),
        (["../de"], {}, "is no language tag"),
        ([], {"": {}}, "is no language tag"),
        ([], {"en": {"Allow": "{it}"}}, "has a placeholder"),
        ([], {"en": {"Signed in as {account}": "You {"}}, "has a placeholder"),
    ],
)
def test_what_could_not_be_shown_is_refused_at_start(
    languages: list[str], texts: dict, told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Languages(languages, texts)


def test_a_day_is_written_as_people_write_it(client: FlaskClient) -> None:
    with client.application.app_context():
        languages = Languages([], {"tlh": {}})._languages
    day = 1790000000
    assert languages["de"].day(day) == "21. September 2026"
    assert languages["ja"].day(day) == "2026年9月21日"
    # Nobody knows how Klingons write it.
    assert languages["tlh"].day(day) == "2026-09-21"


def test_without_babel_a_day_is_iso_8601(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "babel.dates", None)
    assert Languages(["de"], {})._languages["de"].day(1790000000) == "2026-09-21"
