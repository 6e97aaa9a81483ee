"""Fetch: how this server speaks to others.

No redirects are followed and nothing is read but the status: what another server says
must not lead this one anywhere.
"""

from __future__ import annotations

import urllib.request
from typing import Any
from urllib.parse import urlencode

_SECONDS = 10


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


# No proxy of the environment, no file: or ftp: handlers.
_opener = urllib.request.OpenerDirector()
for _handler in (
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPErrorProcessor,
    _NoRedirects,
):
    _opener.add_handler(_handler())


def post_form(uri: str, fields: dict[str, str]) -> None:
    """POST `fields` to `uri`, for at most 10 seconds.

    Raises `OSError` unless the answer is a 2xx.
    """
    request = urllib.request.Request(  # noqa: S310 - the opener knows http and https only
        uri,
        data=urlencode(fields).encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    _opener.open(request, timeout=_SECONDS).close()
