"""Peers: requests to servers that the operator named.

The operator may choose plain http and private addresses. Redirects are not followed: another
server must not decide where this one connects to.
"""

from __future__ import annotations

import http.client
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from .fetch import FetchError

logger = logging.getLogger(__name__)

_SECONDS = 10
_LARGEST_ANSWER = 48 * 1024


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


# Without proxies from the environment, and without handlers for file: and ftp:.
_opener = urllib.request.OpenerDirector()
for _handler in (
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPErrorProcessor,
    # Raises an error for every other scheme.
    urllib.request.UnknownHandler,
    _NoRedirects,
):
    _opener.add_handler(_handler())


def post_form(uri: str, fields: dict[str, str]) -> None:
    """POST `fields` to `uri`, with a timeout of 10 seconds.

    Raises `OSError` unless the status of the answer is 2xx.
    """
    request = urllib.request.Request(  # noqa: S310 - the opener knows http and https only
        uri,
        data=urlencode(fields).encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    try:
        _opener.open(request, timeout=_SECONDS).close()
    except urllib.error.HTTPError as error:
        # It has the connection.
        error.close()
        raise
    except (ValueError, http.client.HTTPException) as error:
        # An answer that is not HTTP is a failure like any other.
        raise OSError(type(error).__name__) from None


class _Refused(Exception):
    """An answer was refused; the message goes to the log."""


def ask(
    uri: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the JSON object that the server at `uri` answers with.

    Sends a POST if there is a `form`, else a GET. Waits at most 10 seconds between two bytes.
    Raises `FetchError` for any failure.
    """
    try:
        request = urllib.request.Request(  # noqa: S310 - the opener knows http and https only
            uri,
            data=None if form is None else urlencode(form).encode(),
            headers={"Accept": "application/json", **(headers or {})},
        )
        with _opener.open(request, timeout=_SECONDS) as answer:
            body = answer.read(_LARGEST_ANSWER + 1)
        if len(body) > _LARGEST_ANSWER:
            raise _Refused("too large")
        content = json.loads(body)
        if not isinstance(content, dict):
            raise _Refused("not a JSON object")
    except (_Refused, OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        # Quoted and truncated: the error may contain what the other server answered.
        logger.warning("asking %.200r failed: %.200r", uri, error)
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise FetchError from None
    return content
