"""Response mode: how the browser carries an authorization response to the client.

It goes in the query or the fragment of the redirect URI (OAuth 2.0 Multiple Response Types 2.1)
or in a self-submitting form (OAuth 2.0 Form Post Response Mode). Features may add other modes.
"""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response

from ..http.redirect import VerbatimRedirect
from ..pages.page import page
from ..pages.policy import allow_here
from ..protocol.contract import current_server
from ..protocol.declarations import ResponseMode
from ..wire.redirect_uri import is_private_use


def _in_query(uri: str, fields: Mapping[str, str]) -> Response:
    return VerbatimRedirect(uri, fields)


def _in_fragment(uri: str, fields: Mapping[str, str]) -> Response:
    return VerbatimRedirect(uri, fields, fragment=True)


def _by_form(uri: str, fields: Mapping[str, str]) -> Response:
    # For the script that submits the form.
    allow_here(script_src="'self'")
    return page(current_server, "form_post", action=uri, fields=fields)


RESPONSE_MODES = {
    "query": ResponseMode(_in_query),
    "fragment": ResponseMode(_in_fragment),
    "form_post": ResponseMode(_by_form, fits=lambda client, uri: not is_private_use(uri)),
}
