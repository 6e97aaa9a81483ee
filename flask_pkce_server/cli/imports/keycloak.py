"""Keycloak: reads a realm export with its users' consents, or the export of one client."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from .imported import Export, Granted, Imported, LeftOut, Loss, counted
from .row import Row

_BUILT_IN = {
    "account", "account-console", "admin-cli", "broker", "realm-management",
    "security-admin-console",
}  # fmt: skip
_AUTH_METHODS = {
    # The client may send its secret in the header or in the body.
    "client-secret": None,
    "client-secret-jwt": "client_secret_jwt",
    "client-jwt": "private_key_jwt",
    "client-x509": "tls_client_auth",
}
# What enables a grant type: a member of the client, or one of its attributes.
_GRANTS = {
    "implicitFlowEnabled": "implicit",
    "directAccessGrantsEnabled": "password",
    "serviceAccountsEnabled": "client_credentials",
}
_ATTRIBUTE_GRANTS = {
    "oauth2.device.authorization.grant.enabled": "urn:ietf:params:oauth:grant-type:device_code",
    "standard.token.exchange.enabled": "urn:ietf:params:oauth:grant-type:token-exchange",
    "oidc.ciba.grant.enabled": "urn:openid:params:grant-type:ciba",
}
_MEANINGLESS = {
    "access", "alwaysDisplayInConsole", "clientId", "enabled", "frontchannelLogout",
    "fullScopeAllowed", "id", "nodeReRegistrationTimeout", "protocol", "surrogateAuthRequired",
}  # fmt: skip
_MEANINGLESS_ATTRIBUTES = {
    "client.secret.creation.time", "display.on.consent.screen",
    "backchannel.logout.session.required", "pkce.code.challenge.method", "realm_client",
}  # fmt: skip


def read(content: Any) -> Export:
    """Read a realm with `clients` and `users`, a list of clients, or one client."""
    is_one_client = isinstance(content, dict) and "clientId" in content
    root = Row.of_file([content] if is_one_client else content, "clients")
    granted = _granted(root)
    clients, left_out = [], []
    for row in root.needed_rows("clients"):
        client_id = row.needed_text("clientId")
        grants = tuple(granted.pop(client_id, ()))
        why = _why_left_out(row, client_id)
        if why:
            left_out.append(LeftOut(client_id, why, len(grants)))
        else:
            clients.append(_client(row, client_id, grants))
    return Export(
        tuple(clients),
        tuple(left_out),
        tuple(
            Loss(
                f"{counted(len(grants), 'consent')} to {client_id}",
                "That client is not in the file.",
            )
            for client_id, grants in granted.items()
        ),
    )


def _granted(root: Row) -> dict[str, list[Granted]]:
    granted = defaultdict(list)
    for user in root.rows("users"):
        for consent in user.rows("clientConsents"):
            granted[consent.needed_text("clientId")].append(
                Granted(
                    # Not the username: it may be the subject of another user here.
                    subject=user.needed_key("id"),
                    # Keycloak does not list openid: every request has it.
                    scopes=frozenset({"openid", *consent.texts("grantedClientScopes")}),
                    issued_at=consent.milliseconds("createdDate"),
                )
            )
    return granted


def _why_left_out(row: Row, client_id: str) -> str | None:
    protocol = row.text("protocol") or "openid-connect"
    if client_id in _BUILT_IN:
        return "It is a part of Keycloak itself."
    if protocol != "openid-connect":
        return f"Its protocol is {protocol}."
    return None if row.flag("enabled", True) else "It is disabled there."


def _client(row: Row, client_id: str, granted: tuple[Granted, ...]) -> Imported:
    attributes, is_api = row.row("attributes"), row.flag("bearerOnly")
    authenticator = row.text("clientAuthenticatorType") or "client-secret"
    losses: list[Loss] = []
    uris = _absolute(row, row.texts("redirectUris"), losses)
    return Imported(
        client_id=client_id,
        client_name=_name(row, losses),
        auth_method="none"
        if row.flag("publicClient")
        else _AUTH_METHODS.get(authenticator, authenticator),
        redirect_uris=uris,
        origins=_origins(row, uris, losses),
        grant_types=() if is_api else _grant_types(row, attributes),
        # In Keycloak, an API may introspect every token.
        scope=None if is_api else _scope(row),
        skip_consent=not row.flag("consentRequired"),
        metadata={
            "resource_server": is_api or None,
            "post_logout_redirect_uris": list(_after_logout(row, attributes, uris, losses)),
            "client_uri": _home(row, losses),
            "policy_uri": attributes.text("policyUri"),
            "tos_uri": attributes.text("tosUri"),
            "backchannel_logout_uri": attributes.text("backchannel.logout.url"),
            "id_token_signed_response_alg": attributes.text("id.token.signed.response.alg"),
            "userinfo_signed_response_alg": attributes.text("user.info.response.signature.alg"),
        },
        secret=row.text("secret"),
        granted=granted,
        losses=(
            *losses,
            *row.unread(_MEANINGLESS),
            *attributes.unread(_MEANINGLESS_ATTRIBUTES),
        ),
    )


def _name(row: Row, losses: list[Loss]) -> str | None:
    name = row.text("name")
    if name and name.startswith("${"):
        losses.append(Loss(f"the name {name}", "It stands for a text of Keycloak's themes."))
        return None
    return name


def _absolute(row: Row, uris: Iterable[str], losses: list[Loss]) -> tuple[str, ...]:
    """Return `uris`, with relative ones made absolute by the root URL."""
    root, absolute = row.text("rootUrl") or "", []
    for uri in uris:
        if not uri.startswith("/"):
            absolute.append(uri)
        elif root and not root.startswith("${"):
            absolute.append(root.rstrip("/") + uri)
        else:
            losses.append(Loss(uri, "It is relative, and rootUrl does not say to what."))
    return tuple(absolute)


def _home(row: Row, losses: list[Loss]) -> str | None:
    home = row.text("baseUrl")
    return next(iter(_absolute(row, [home] if home else [], losses)), None)


def _after_logout(
    row: Row, attributes: Row, uris: tuple[str, ...], losses: list[Loss]
) -> tuple[str, ...]:
    parts = (attributes.text("post.logout.redirect.uris") or "").split("##")
    # "+" stands for all redirect URIs, "-" for none.
    named = [uri for uri in parts if uri not in ("", "+", "-")]
    return tuple(dict.fromkeys((*_absolute(row, named, losses), *(uris if "+" in parts else ()))))


def _origins(row: Row, uris: tuple[str, ...], losses: list[Loss]) -> tuple[str, ...]:
    values = row.texts("webOrigins")
    origins = [origin for origin in values if origin not in ("+", "*")]
    if "*" in values:
        losses.append(Loss("the origin *", "Origins are named here, each of them."))
    if "+" in values:
        # Origins of redirect URIs are allowed anyway, but URIs with a wildcard are not
        # carried over.
        starts = (uri.partition("*")[0] for uri in uris if "*" in uri)
        origins += filter(None, (_origin_of_start(start) for start in starts))
    return tuple(dict.fromkeys(origins))


def _origin_of_start(start: str) -> str | None:
    """Return the origin of a truncated URI, or None if the origin may be truncated too."""
    match = re.match(r"(https?://[^/?#]+)[/?#]", start)
    return match and match[1]


def _grant_types(row: Row, attributes: Row) -> tuple[str, ...]:
    grant_types = []
    if row.flag("standardFlowEnabled", True):
        grant_types.append("authorization_code")
        if attributes.text("use.refresh.tokens") != "false":
            grant_types.append("refresh_token")
    grant_types += [name for member, name in _GRANTS.items() if row.flag(member)]
    grant_types += [
        name for member, name in _ATTRIBUTE_GRANTS.items() if attributes.text(member) == "true"
    ]
    return tuple(grant_types)


def _scope(row: Row) -> frozenset[str] | None:
    lists = ("defaultClientScopes", "optionalClientScopes")
    if not any(map(row.has, lists)):
        return None
    # Keycloak does not list openid: every client has it.
    return frozenset({"openid", *(scope for member in lists for scope in row.texts(member))})
