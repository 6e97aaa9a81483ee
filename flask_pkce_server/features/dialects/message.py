"""Message: an authorization response that is posted to the window that asked for it.

The message goes to the page of the client that frames or opened ours. Its only target is the
web origin of the redirect URI, which must match a registered one exactly. The script is a
constant, so that the content security policy can allow it by its digest.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response
from markupsafe import Markup

from ...models.client import Client
from ...pages.page import page
from ...pages.policy import allow_here
from ...protocol.contract import current_server
from ...protocol.declarations import ResponseMode
from ...wire.redirect_uri import origin_of

_SCRIPT = """
const { message, origin } = document.body.dataset;
const asker = window.parent === window ? window.opener : window.parent;
if (asker) asker.postMessage(JSON.parse(message), origin);
"""


def csp_digest(script: str) -> str:
    """Return the hash source that allows an inline script (CSP 3 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def by_message(shape: Callable[[Mapping[str, str]], Any]) -> ResponseMode:
    """Return a response mode that posts the response parameters, arranged by `shape`."""

    def send(uri: str, fields: Mapping[str, str]) -> Response:
        allow_here(script_src=csp_digest(_SCRIPT), style_src="'none'")
        return page(
            current_server,
            "message",
            message=json.dumps(shape(fields)),
            origin=origin_of(uri),
            script=Markup(_SCRIPT),  # noqa: S704 - a constant
        )

    return ResponseMode(send, fits)


def fits(client: Client, uri: str) -> bool:
    """Say whether the client registered the origin of `uri`, including its port."""
    origin = origin_of(uri)
    return origin is not None and client.speaks_from(origin)


WEB_MESSAGE = by_message(lambda fields: {"type": "authorization_response", "response": fields})
OKTA_POST_MESSAGE = by_message(dict)
