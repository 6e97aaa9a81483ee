"""Prompt: what a client requires of the sign-in itself (OpenID Connect Core 3.1.2.1).

`prompt` says what the user must be asked, or that the user must not be asked at all;
`max_age`, how many seconds ago the user may have signed in; `id_token_hint`, who the user
should be. This feature translates all three into instructions for the authorization
endpoint. `login_hint`, `display` and `acr_values` are not handled here, but told to the
host's login page (`interaction/pending.py`), and `ui_locales` chooses the language of the
pages (`i18n/language.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError, InvalidRequestError, LoginRequiredError
from ..interaction.id_token_hint import may_be_stale, read_hint
from ..interaction.login import has_signed_in_since
from ..protocol.contract import Server
from ..protocol.feature import Feature
from ..protocol.request import Request

_SECONDS = re.compile(r"[0-9]{1,10}")


class PromptFeature(Feature):
    """OIDC Core 3.1.2.1: prompt, max_age and id_token_hint."""

    name = "prompt"

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {"prompt_values_supported": prompts_of(server)}

    def check_settings(self, server: Server) -> None:
        view = server.settings.prompt_sign_up_view
        if view is not None and not re.fullmatch(r"[\w.]+", view):
            raise ConfigurationError(
                f"PKCE_PROMPT_SIGN_UP_VIEW is {view!r}, and names an endpoint, not a path.",
                write='app.config["PKCE_PROMPT_SIGN_UP_VIEW"] = "sign_up"',
            )

    def check_authorization_request(self, server: Server, request: Request) -> None:
        data = request.payload.data
        prompts = set(data.get("prompt", "").split(" ")) - {""}
        if not prompts <= set(prompts_of(server)):
            raise InvalidRequestError("prompt has a value that this server does not know.")
        if "none" in prompts and len(prompts) > 1:
            raise InvalidRequestError("prompt=none stands alone.")
        max_age = data.get("max_age")
        if max_age is not None and not _SECONDS.fullmatch(max_age):
            raise InvalidRequestError("max_age is a number of seconds.")
        request.must_not_ask = "none" in prompts
        request.must_consent = "consent" in prompts
        request.must_sign_up = "create" in prompts
        hinted_subject = _hinted_subject(server, request)
        if request.user is None:
            return
        login = request.login(server.users)
        subject = server.subject_for(request.client, login.subject)
        is_other_user = hinted_subject not in (None, subject)
        if has_signed_in_since(request, login):
            if is_other_user:
                raise LoginRequiredError("The user who signed in is not that of id_token_hint.")
            return
        must_prove = bool(prompts & {"login", "select_account", "create"})
        too_old = max_age is not None and (
            # Both times are cut to whole seconds: if in doubt, ask once more.
            login.auth_time is None or server.now() - login.auth_time >= int(max_age)
        )
        request.must_login = request.must_login or must_prove or too_old or is_other_user


def prompts_of(server: Server) -> list[str]:
    """Return the values of `prompt` that this server supports."""
    create = ["create"] if server.settings.prompt_sign_up_view else []
    return ["none", "login", "consent", "select_account", *create]


def _hinted_subject(server: Server, request: Request) -> str | None:
    """Return the subject of the id_token_hint, which may have expired; None without a hint.

    A hint whose key is gone counts as none. But if the user must not be asked, nobody can tell
    whether they are the right one: that raises `LoginRequiredError`. Anything that is not an ID
    token of this server and client raises `InvalidRequestError`.
    """
    hint = request.payload.data.get("id_token_hint")
    if hint is None:
        return None
    claims = read_hint(server, hint)
    if claims is None and may_be_stale(server, hint):
        if request.must_not_ask and request.user is not None:
            raise LoginRequiredError("The key of id_token_hint is not known any more.")
        return None
    if claims is None or claims["aud"] != request.client.client_id:
        raise InvalidRequestError("id_token_hint is not an ID token of this server and client.")
    return str(claims["sub"])
