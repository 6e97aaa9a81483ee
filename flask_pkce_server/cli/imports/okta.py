"""Okta: reads the apps that sign in with OpenID Connect, and the grants of users."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from .imported import Export, Granted, Imported, LeftOut, Loss, counted
from .row import Row

# Okta's own pages.
_BUILT_IN = {"saasure", "okta_browser_plugin", "okta_enduser"}
_MEANINGLESS_OF_APP = {
    "_embedded", "_links", "accessibility", "created", "features", "id", "lastUpdated", "name",
    "orn", "visibility",
}  # fmt: skip
_MEANINGLESS_OF_CREDENTIALS = {"autoKeyRotation", "pkce_required"}
_MEANINGLESS_OF_CLIENT = {"application_type", "issuer_mode", "response_types"}


def read(content: Any) -> Export:
    """Read a list of apps, or an object with `apps` and optionally `grants`."""
    root = Row.of_file(content, "apps")
    granted = defaultdict(list)
    ended = 0
    for row in root.rows("grants"):
        client_id, grant = row.needed_text("clientId"), _grant(row)
        if row.text("status") in (None, "ACTIVE"):
            granted[client_id].append(grant)
        else:
            ended += 1
    clients, left_out = [], []
    for row in root.needed_rows("apps"):
        why = _why_left_out(row)
        if why:
            name = row.text("label") or row.key("id") or row.path("label")
            left_out.append(LeftOut(name, why))
            continue
        oauth = row.row("credentials").row("oauthClient")
        client_id = oauth.needed_text("client_id")
        clients.append(_client(row, oauth, client_id, tuple(granted.pop(client_id, ()))))
    losses = [
        Loss(f"{counted(len(grants), 'grant')} to {client_id}", "That client is not taken over.")
        for client_id, grants in granted.items()
    ]
    if ended:
        losses.append(Loss(counted(ended, "grant"), "Revoked there."))
    return Export(tuple(clients), tuple(left_out), tuple(losses))


def _why_left_out(row: Row) -> str | None:
    mode, status = row.needed_text("signOnMode"), row.text("status")
    if mode != "OPENID_CONNECT":
        return f"It signs in by {mode}."
    if row.text("name") in _BUILT_IN:
        return "It is a page of Okta itself."
    if status not in (None, "ACTIVE"):
        return f"It is {status} there."
    return None


def _grant(row: Row) -> Granted:
    links = row.row("_links")
    by_link = (links.row("user").text("href") or "").rpartition("/")[2]
    # Grants of an authorization server refer to scopes by ID, next to the scope's name.
    name = row.row("_embedded").row("scope").text("name")
    return Granted(
        subject=row.key("userId") or by_link or row.needed_key("userId"),
        scopes=frozenset({name or links.row("scope").text("title") or row.needed_text("scopeId")}),
        issued_at=row.moment("created"),
    )


def _client(row: Row, oauth: Row, client_id: str, granted: tuple[Granted, ...]) -> Imported:
    settings = row.row("settings").row("oauthClient")
    method = oauth.needed_text("token_endpoint_auth_method")
    metadata = {
        "post_logout_redirect_uris": list(settings.texts("post_logout_redirect_uris")),
        **{name: settings.text(name) for name in ("client_uri", "policy_uri", "tos_uri")},
    }
    return Imported(
        client_id=client_id,
        client_name=row.text("label"),
        auth_method=method,
        redirect_uris=settings.texts("redirect_uris"),
        grant_types=settings.texts("grant_types"),
        skip_consent=settings.text("consent_method") == "TRUSTED",
        metadata=metadata,
        secret=oauth.text("client_secret"),
        granted=granted,
        losses=(
            *row.unread(_MEANINGLESS_OF_APP),
            *oauth.unread(_MEANINGLESS_OF_CREDENTIALS),
            # Redirect URIs with a wildcard are reported one by one.
            *settings.unread(_MEANINGLESS_OF_CLIENT | {"wildcard_redirect"}),
        ),
    )
