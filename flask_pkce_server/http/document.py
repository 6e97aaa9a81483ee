"""Document: a public JSON document, encoded once, with its ETag (RFC 9110 8.8.3)."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response
from werkzeug.http import generate_etag


class Document:
    """What `members` are as JSON, in the format of `app`."""

    def __init__(self, app: Flask, members: Any) -> None:
        self.members = members
        self._body = app.json.dumps(members).encode()
        self._etag = f'"{generate_etag(self._body)}"'

    def response(self) -> Response:
        """Return the document as a response."""
        return Response(self._body, mimetype="application/json", headers={"ETag": self._etag})
