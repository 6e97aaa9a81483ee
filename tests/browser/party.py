"""A relying party on an origin of its own: one page, and the packages of an SDK as they come."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from flask import Flask, send_from_directory
from playwright.sync_api import Page

from ..live import served


@contextmanager
def relying_party(
    packages: Path, html: str, settings: dict[str, Any], tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve `html` at every path, with `settings` in the place of SETTINGS; give the origin.

    Files of the packages are below `/node_modules/`; `settings` may grow meanwhile.
    """
    site = Flask("relying_party")

    @site.get("/node_modules/<path:file>")
    def package(file: str) -> Any:
        return send_from_directory(packages / "node_modules", file)

    @site.get("/")
    @site.get("/<path:place>")
    def page(place: str = "") -> str:
        return html.replace("SETTINGS", json.dumps(settings))

    with served(site, tls=tls) as origin:
        yield origin


def sign_in(page: Page, username: str = "ada") -> None:
    """Sign in at the host's login page."""
    page.fill("[name=username]", username)
    page.click("button")


def call_api(page: Page, url: str, token: str) -> Any:
    """Call an API across origins, as the page would; return the status and the JSON."""
    return page.evaluate(
        """async ([url, token]) => {
            const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
            return [answer.status, await answer.json()];
        }""",
        [url, token],
    )


def got(page: Page) -> dict[str, str]:
    """Return what the client got, from its page."""
    page.wait_for_url("**/callback*")
    return {name: values[0] for name, values in parse_qs(page.inner_text("body")).items()}
