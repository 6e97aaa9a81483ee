"""Doorkeeper: reads the rows of its application and access token tables."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from .imported import Export, Granted, Imported, Loss, UnfitExport, counted
from .row import Row

_PLAIN, _SHA256, _BCRYPT = (
    f"Doorkeeper::SecretStoring::{name}" for name in ("Plain", "Sha256Hash", "BCrypt")
)
_LOOKS_LIKE = {_SHA256: re.compile(r"[0-9a-f]{64}"), _BCRYPT: re.compile(r"\$2[aby]\$.{56}")}
_MEANINGLESS = {"created_at", "id", "updated_at"}
_UNSURE = (
    "The secret is taken for a SHA-256, as it looks like one. If it is the secret itself, delete "
    f'the client, add "secret_strategy": "{_PLAIN}" to the file and import it again.'
)


def read(content: Any) -> Export:
    """Read a list of applications, or an object with applications and access tokens."""
    root = Row.of_file(content, "oauth_applications")
    strategy = root.text("secret_strategy")
    if strategy not in (None, _PLAIN, *_LOOKS_LIKE):
        raise UnfitExport(f"secret_strategy is none of {_PLAIN}, {_SHA256} and {_BCRYPT}")
    granted, losses = _granted(root)
    clients = []
    for row in root.needed_rows("oauth_applications"):
        grants = granted.pop(row.key("id") or "", ())
        clients.append(_client(row, strategy, tuple(grants)))
    losses += [
        Loss(
            f"{counted(len(grants), 'access token')} of the application {key}",
            "It is not in the file.",
        )
        for key, grants in granted.items()
    ]
    return Export(tuple(clients), losses=tuple(losses))


def _granted(root: Row) -> tuple[dict[str, list[Granted]], list[Loss]]:
    """Return the grants that follow from unrevoked tokens, by application, and the losses."""
    granted, owner_types = defaultdict(list), set()
    revoked = 0
    for row in root.rows("oauth_access_tokens"):
        user, application = row.key("resource_owner_id"), row.key("application_id")
        grant = Granted(user or "", frozenset(row.words("scopes")), row.moment("created_at"))
        if user is None or application is None:
            # The token is for the client itself or for no client: no user was asked.
            continue
        if row.moment("revoked_at") is not None:
            revoked += 1
            continue
        owner_types.add(row.text("resource_owner_type"))
        granted[application].append(grant)
    if len(owner_types) > 1:
        raise UnfitExport(
            "oauth_access_tokens are of owners of several types, whose ids may be the same: keep "
            "those of one resource_owner_type"
        )
    return granted, [Loss(counted(revoked, "access token"), "Revoked there.")] if revoked else []


def _client(row: Row, strategy: str | None, granted: tuple[Granted, ...]) -> Imported:
    secret = row.text("secret") or None
    hashed_by = next(
        (
            name
            for name, pattern in _LOOKS_LIKE.items()
            if secret and strategy in (None, name) and pattern.fullmatch(secret)
        ),
        None,
    )
    scopes, confidential = frozenset(row.words("scopes")), row.flag("confidential", True)
    uris = row.words("redirect_uri")
    unsure = confidential and strategy is None and hashed_by == _SHA256
    return Imported(
        client_id=row.needed_text("uid"),
        client_name=row.text("name"),
        auth_method=None if confidential else "none",
        redirect_uris=uris,
        # Doorkeeper enables grant types for the whole server. An application without a redirect
        # URI can only use client_credentials.
        grant_types=("authorization_code", "refresh_token") if uris else ("client_credentials",),
        scope=scopes or None,
        is_third_party=row.has("owner_id"),
        secret=None if hashed_by else secret,
        secret_hash=secret if hashed_by else None,
        granted=granted,
        losses=row.unread(_MEANINGLESS),
        warnings=(_UNSURE,) if unsure else (),
    )
