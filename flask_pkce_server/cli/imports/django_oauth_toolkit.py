"""Django OAuth Toolkit: reads the output of `manage.py dumpdata oauth2_provider`."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import Any

from .imported import Export, Granted, Imported, Loss, UnfitExport, counted
from .row import Row

_GRANT_TYPES = {
    "authorization-code": ("authorization_code", "refresh_token"),
    "openid-hybrid": ("authorization_code", "refresh_token"),
    "client-credentials": ("client_credentials",),
}
# Django writes the name of the hasher before the first dollar sign.
_HASHED = re.compile(
    r"(?:pbkdf2_sha256|pbkdf2_sha1|argon2|bcrypt|bcrypt_sha256|scrypt|md5|sha1)\$.+"
)
_MEANINGLESS = {"created", "updated"}


def read(content: Any) -> Export:
    """Read a list of objects with `model`, `pk` and `fields`.

    An application is recognized by its fields: a project may define its own model for it.
    """
    if not isinstance(content, list):
        raise UnfitExport("it is not a list of objects with model, pk and fields")
    applications: dict[str, Row] = {}
    tokens: list[tuple[str, Row]] = []
    #: The keys of access tokens that have a refresh token, so they can be renewed.
    renewable: set[str] = set()
    unread_models: Counter[str] = Counter()
    for row in Row.of_file(content, "rows").rows("rows"):
        model, fields = row.needed_text("model").lower(), row.row("fields")
        if fields.has("authorization_grant_type"):
            applications[row.needed_key("pk")] = fields
        elif model.endswith(".accesstoken"):
            tokens.append((row.needed_key("pk"), fields))
        elif model.endswith(".refreshtoken"):
            token = fields.key("access_token")
            if token is not None and fields.moment("revoked") is None:
                renewable.add(token)
        elif not model.endswith((".grant", ".idtoken", ".devicegrant")):
            unread_models[model] += 1
    granted = _granted(tokens, renewable)
    clients = [_client(fields, tuple(granted.pop(key, ()))) for key, fields in applications.items()]
    losses = [
        Loss(f"{counted(number, 'row')} of {model}", "Not read.")
        for model, number in unread_models.items()
    ]
    losses += [
        Loss(
            f"{counted(len(grants), 'access token')} of the application {key}",
            "It is not in the file.",
        )
        for key, grants in granted.items()
    ]
    return Export(tuple(clients), losses=tuple(losses))


def _granted(tokens: list[tuple[str, Row]], renewable: set[str]) -> dict[str, list[Granted]]:
    """Return the grants that follow from access tokens, by application.

    A grant ends when its token has expired and cannot be renewed: Django OAuth Toolkit asks
    the user again then.
    """
    granted = defaultdict(list)
    for key, row in tokens:
        user, application, ends = row.key("user"), row.key("application"), row.moment("expires")
        grant = Granted(
            subject=user or "",
            scopes=frozenset(row.words("scope")),
            issued_at=row.moment("created"),
            ended_at=None if key in renewable else ends,
        )
        # Other tokens are for the client itself or for no client: no user was asked.
        if user is not None and application is not None:
            granted[application].append(grant)
    return granted


def _client(row: Row, granted: tuple[Granted, ...]) -> Imported:
    kind, grant_type = row.needed_text("client_type"), row.needed_text("authorization_grant_type")
    if kind not in ("public", "confidential"):
        raise UnfitExport(f"{row.path('client_type')} is neither public nor confidential")
    secret = row.text("client_secret") or None
    may_be_hashed = row.flag("hash_client_secret", True)
    hashed = bool(secret and may_be_hashed and _HASHED.fullmatch(secret))
    losses = []
    if grant_type == "openid-hybrid":
        losses.append(Loss("the hybrid flow", "There is the authorization code flow here."))
    return Imported(
        client_id=row.needed_text("client_id"),
        client_name=row.text("name"),
        auth_method="none" if kind == "public" else None,
        redirect_uris=row.words("redirect_uris"),
        origins=row.words("allowed_origins"),
        grant_types=_GRANT_TYPES.get(grant_type, (grant_type,)),
        skip_consent=row.flag("skip_authorization"),
        # The user registered it, and only an operator can have users not asked.
        is_third_party=row.has("user") and not row.flag("skip_authorization"),
        metadata={
            "post_logout_redirect_uris": list(row.words("post_logout_redirect_uris")),
            "id_token_signed_response_alg": row.text("algorithm"),
        },
        secret=None if hashed else secret,
        secret_hash=secret if hashed else None,
        granted=granted,
        losses=(*losses, *row.unread(_MEANINGLESS)),
    )
