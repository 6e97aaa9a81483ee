"""A browser that signs in: cookies, redirects and forms, no more."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlsplit

from .load import Answer, get, post, send


class Browser:
    """A browser at one port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookies: dict[str, str] = {}

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers with which the next request is sent."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": cookies} if cookies else {}

    def get(self, path: str) -> Answer:
        """Visit a page."""
        return self._visit(get(path, **self.headers))

    def post(self, path: str, form: dict[str, str]) -> Answer:
        """Send a form."""
        return self._visit(post(path, form, **self.headers))

    def follow(self, answer: Answer) -> Answer:
        """Follow redirects for as long as they stay on this server."""
        while answer.status in (302, 303):
            url = urlsplit(answer.header("Location"))
            if url.hostname not in (None, "127.0.0.1"):
                return answer
            answer = self.get(f"{url.path}?{url.query}" if url.query else url.path)
        return answer

    def sign_in(self, path: str, fields: dict[str, str]) -> None:
        """Fill in the sign-in form at `path`, with the hidden fields that it has."""
        page = self.get(path).body.decode()
        hidden = re.findall(r"<input\b[^>]*type=\"hidden\"[^>]*>", page)
        found = {_attribute(field, "name"): _attribute(field, "value") for field in hidden}
        answer = self.post(path, {**found, **fields})
        assert answer.status in (302, 303), f"{path}: {answer.head}"

    def _visit(self, request: bytes) -> Answer:
        answer = send(self.port, request)
        for cookie in answer.headers("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return answer


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return unescape(found[1]) if found else ""
