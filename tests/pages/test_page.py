"""What all pages have in common: their colours, their stylesheet, the layout they stand in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from jinja2 import DictLoader

from flask_pkce_server import ConfigurationError
from flask_pkce_server.testing import Flow, register

from ..host import make_app, sign_in

CSS = (Path(__file__).parents[2] / "flask_pkce_server/pages/static/pkce/pkce.css").read_text()
VARIABLES = dict(re.findall(r"--pkce-([a-z-]+): light-dark\((#\w{6}, #\w{6})\);", CSS))

# WCAG 1.4.3: text; 1.4.11: what shows where a field, a button or the focus is.
TEXT = [
    *(("text", ground) for ground in ("page", "card")),
    *(("muted", ground) for ground in ("page", "card")),
    *(("accent", ground) for ground in ("page", "card")),
    ("on-accent", "accent"),
    ("danger", "card"),
    ("good", "card"),
]
EDGES = [("border", "card"), ("border", "page"), ("accent", "card"), ("danger", "page")]


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str, scheme: int) -> float:
    lights = [luminance(VARIABLES[name].split(", ")[scheme]) for name in (one, other)]
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_the_colours_can_be_told_apart(scheme: int) -> None:
    # One that is known: #1b1f24 on #ffffff is 16.6.
    assert round(contrast("text", "card", 0), 1) == 16.6
    for text, ground in TEXT:
        assert contrast(text, ground, scheme) >= 4.5, (text, ground)
    for edge, ground in EDGES:
        assert contrast(edge, ground, scheme) >= 3, (edge, ground)
    # Lines that only part what space parts already need none.
    assert VARIABLES.keys() == {*sum(TEXT, ()), *sum(EDGES, ()), "line"}


def test_no_colour_stands_elsewhere_and_nothing_has_a_side() -> None:
    rest = CSS.split("}", 1)[1]
    assert not re.findall(r"#[0-9a-f]{3,8}\b|\brgba?\(|\bhsla?\(", rest)
    # For right-to-left: no left and no right.
    assert not re.findall(r"\b(?:margin|padding|border|inset)?-?(?:left|right)\b", rest)
    assert "url(" not in CSS
    assert "@import" not in CSS


@pytest.mark.parametrize(
    "sheet",
    [
        "look.css",
        "//evil.example/x.css",
        "/\\evil.example/x",
        "https://a.example/x.css",
        "/a b",
        "",
    ],
)
def test_a_stylesheet_is_of_this_origin(sheet: str) -> None:
    with pytest.raises(ConfigurationError, match="must be a path of this very origin"):
        make_app(PKCE_STYLESHEET=sheet)


@pytest.mark.parametrize("theme", ["auto", "light", "dark"])
def test_the_theme_is_on_every_page(theme: str) -> None:
    app = make_app(PKCE_THEME=theme)
    browser = sign_in(app)
    for path in ("/oauth/authorize", "/oauth/apps", "/oauth/logout"):
        assert f'class="pkce pkce-{theme}"' in browser.get(path).text


def test_every_template_has_a_file_that_a_host_may_replace() -> None:
    folder = Path(__file__).parents[2] / "flask_pkce_server/pages/templates/pkce"
    parts = {"_page.html", "_layout.html", "_parts.html", "_draft.html"}
    for path in folder.glob("_*.html"):
        if path.name not in parts:
            own = (folder / path.name[1:]).read_text()
            assert f'{{% extends "pkce/{path.name}" %}}' in own


LAYOUT = "<html><main>{% block content %}{% endblock %}</main></html>"


@pytest.mark.parametrize(
    ("templates", "told"),
    [
        ({}, "FAIL  PKCE_LAYOUT_TEMPLATE names base.html, and there is no such template."),
        ({"base.html": "<html></html>"}, "WARN  base.html has no block named content"),
        ({"base.html": LAYOUT}, "OK    The pages use base.html."),
    ],
)
def test_doctor_looks_at_the_layout(templates: dict[str, str], told: str) -> None:
    app = make_app(PKCE_LAYOUT_TEMPLATE="base.html")
    app.jinja_loader = DictLoader(templates)
    assert told in app.test_cli_runner().invoke(args=["pkce", "doctor"]).output


def in_layout(**config: object) -> Flask:
    app = make_app(PKCE_LAYOUT_TEMPLATE="base.html", **config)
    app.jinja_loader = DictLoader({"base.html": LAYOUT})
    return app


def test_errors_and_answers_stand_in_the_layout_too() -> None:
    flow = Flow(sign_in(app := in_layout()), register(app))
    for page in (
        flow.authorize(),
        flow.authorize(client_id="unknown"),
        flow.browser.get("/oauth/authorize?r=0123456789abcdef"),
        flow.browser.get("/oauth/apps"),
        flow.browser.get("/oauth/logout"),
    ):
        assert page.text.startswith("<html><main>")
        assert page.text.count("<main>") == 1
        assert "pkce-brand" not in page.text
        assert 'lang="en" dir="ltr"' in page.text


def test_a_layout_that_fails_is_no_reason_to_fail(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(PKCE_LAYOUT_TEMPLATE="base.html", TESTING=False, PROPAGATE_EXCEPTIONS=False)
    app.jinja_loader = DictLoader({"base.html": LAYOUT + "{{ nothing.of_the_kind }}"})
    page = Flow(sign_in(app), register(app)).authorize()
    assert page.status_code == 500
    # In our own layout: the error page has to be seen whatever the host's does.
    assert "Something failed at host." in page.text
    assert "pkce-body" in page.text
    assert "nothing" in caplog.text
