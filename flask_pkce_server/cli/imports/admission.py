"""Admission: builds a client that passes this server's checks from an imported one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import InvalidRequestError
from ...models import foreign_secret
from ...models.client import Client
from ...protocol.contract import Server
from ...wire import redirect_uri, shown_name
from ...wire.handle import digest
from ...wire.names import AUTH_METHODS, TOKEN_EXCHANGE
from .consents import listed, take_consents
from .imported import Imported
from .takeover import Takeover
from .trust import take_trust

#: Characters: a shorter secret than the first could be guessed and is not carried over, and so
#: could one with fewer different ones than the last; a shorter one than the second gets a warning.
_SHORTEST, _SHORT, _FEWEST = 16, 32, 8
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_ORIGIN = re.compile(r"(https?://[A-Za-z0-9.\-\[\]:]+)/?")
# Characters that a server misreads if the client does not encode them (RFC 6749 2.3.1).
_MISREAD = re.compile(r"[%+]|[^\x21-\x7e]")
_OLD_GRANTS = ("implicit", "password")


def take_over(
    server: Server,
    imported: Imported,
    *,
    product: str,
    auth_method: str,
    is_user: Callable[[str], bool],
) -> Takeover:
    """Build a client from an imported one, and record what is not carried over.

    `auth_method` is for a confidential client that may send its secret either way; `is_user`
    says whether the host app has a user with a given subject.
    """
    name = (imported.client_name or "").strip()
    taken = Takeover(imported.client_id, name or imported.client_id, len(imported.granted))
    taken.losses += imported.losses
    taken.warnings += imported.warnings
    if not shown_name.is_fit(taken.client_name):
        taken.lose(f"the name {name}", "A page could not show it as it is.")
        taken.client_name = imported.client_id
    method = imported.auth_method or auth_method
    if method not in AUTH_METHODS:
        return taken.leave_out(f"It shows who it is by {method}; here: {', '.join(AUTH_METHODS)}.")
    uris = _redirect_uris(imported, taken)
    grant_types = _grant_types(server, imported, method, uris, taken)
    if not grant_types and not imported.metadata.get("resource_server"):
        return taken.leave_out("No way to get a token is left of it.")
    client = Client(
        client_id=imported.client_id,
        client_name=taken.client_name,
        token_endpoint_auth_method=method,
        redirect_uris=uris,
        origins=_origins(imported, taken),
        grant_types=grant_types,
        scope=_scope(server, imported, taken),
        client_metadata={},
        issued_at=server.now(),
    )
    try:
        server.registrar.check(client)
    except InvalidRequestError as error:
        return taken.leave_out(error.description)
    taken.client = client
    if client.is_public and imported.metadata.get("resource_server"):
        return taken.leave_out("An API without a secret cannot look at tokens.")
    _add_metadata(server, client, imported.metadata, taken)
    if grant_types:
        _add_what_sdks_need(server, client, product)
    elif "resource_server" not in client.client_metadata:
        return taken.leave_out("It is an API, and nothing here tells APIs of tokens.")
    _take_secret(imported, client, taken)
    if imported.auth_method is None:
        taken.warnings.append(
            f"It has to send its secret by {method}: the export does not say which way it does. "
            "--auth-method chooses the other one."
        )
    take_trust(imported, client, taken)
    take_consents(server, imported.granted, client, is_user, taken)
    return taken


def _redirect_uris(imported: Imported, taken: Takeover) -> list[str]:
    kept = []
    for uri in imported.redirect_uris:
        try:
            if uri.startswith("urn:ietf:wg:oauth:2.0:oob"):
                raise InvalidRequestError("Nobody copies codes here; http://127.0.0.1 is the way.")
            redirect_uri.refuse_unfit(uri)
        except InvalidRequestError as error:
            taken.lose(f"redirect URI {uri}", error.description)
        else:
            kept.append(uri)
            taken.warnings += redirect_uri.warnings(uri)
    return kept


def _grant_types(
    server: Server, imported: Imported, method: str, uris: list[str], taken: Takeover
) -> list[str]:
    supported, kept = server.registrar.grant_types, []
    for name in imported.grant_types:
        if name in _OLD_GRANTS:
            taken.lose(f"grant type {name}", "OAuth 2.1 does not have it.")
        elif name not in supported:
            taken.lose(f"grant type {name}", "This server does not have it.")
        elif name == "client_credentials" and method == "none":
            taken.lose(f"grant type {name}", "A public client has no credentials.")
        elif name == TOKEN_EXCHANGE and method == "none":
            taken.lose(f"grant type {name}", "A public client exchanges no tokens.")
        elif name == "authorization_code" and not uris:
            why = "None of its redirect URIs can be carried. Name them in the file, each exactly."
            none = "It has no redirect URI."
            taken.lose(f"grant type {name}", why if imported.redirect_uris else none)
        else:
            kept.append(name)
    if kept == ["refresh_token"]:
        taken.lose("grant type refresh_token", "Nothing gives it the first one.")
        return []
    return kept


def _origins(imported: Imported, taken: Takeover) -> list[str]:
    kept = []
    for text in imported.origins:
        match = _ORIGIN.fullmatch(text)
        try:
            origin = redirect_uri.origin_of(match[1]) if match and len(text) <= 255 else None
        except ValueError:
            origin = None
        if origin is None:
            why = "An origin is scheme://host[:port], without a wildcard and a path."
            taken.lose(f"origin {text}", why)
        elif origin not in kept:
            kept.append(origin)
    return kept


def _scope(server: Server, imported: Imported, taken: Takeover) -> frozenset[str] | None:
    if imported.scope is None:
        return None
    unknown = imported.scope - server.scopes.keys()
    if unknown:
        taken.lose(f"scopes {listed(unknown)}", "Not declared in PKCE_SCOPES.")
    return imported.scope - unknown


def _add_metadata(
    server: Server, client: Client, metadata: Mapping[str, Any], taken: Takeover
) -> None:
    """Add the metadata members that a feature accepts; check each value separately."""
    for name, value in metadata.items():
        if value in (None, "", []):
            continue
        is_list = isinstance(value, list)
        for item in value if is_list else [value]:
            candidate = [*client.client_metadata.get(name, ()), item] if is_list else item
            why = _add_line(server, client, name, candidate)
            if why is not None:
                taken.lose(f"{name} {item}", why)


def _add_what_sdks_need(server: Server, client: Client, product: str) -> None:
    """Add the metadata that SDKs for `product` expect, as far as a feature accepts it."""
    wanted = {"dialect": product}
    if product == "keycloak":
        # Keycloak's SDKs read the access token.
        wanted["access_token_format"] = "jwt"
    for name, value in wanted.items():
        _add_line(server, client, name, value)


def _add_line(server: Server, client: Client, name: str, value: Any) -> str | None:
    """Add a metadata member to `client`; return the reason if it is refused, else None."""
    before = client.client_metadata
    client.client_metadata = {**before, name: value}
    try:
        server.registrar.check(client)
    except InvalidRequestError as error:
        client.client_metadata = before
        return str(error.description)
    return None


def _take_secret(imported: Imported, client: Client, taken: Takeover) -> None:
    secret, hashed = imported.secret, imported.secret_hash
    if client.is_public:
        if secret or hashed:
            taken.lose("the secret", "A public client has none, and must not send one.")
        return
    rotate = f"Make a new one: flask pkce client rotate-secret {client.client_id}"
    why = _why_not_kept(secret, hashed)
    if why is not None:
        taken.lose("the secret", f"{why} {rotate}")
    elif hashed is not None and not _DIGEST.fullmatch(hashed):
        taken.secret, taken.secret_hash = "carried, as a hash until it is first used", hashed
    else:
        # An unsalted SHA-256 is also what this server stores.
        secret_digest = digest(secret or "") if hashed is None else bytes.fromhex(hashed)
        client.secret_digest, client.secret_issued_at = secret_digest, client.issued_at
        taken.secret = "carried"
    if why is not None or secret is None:
        return
    if len(secret) < _SHORT:
        taken.warnings.append(
            f"Its secret has {len(secret)} characters, {_SHORT} are usual. {rotate}"
        )
    if _MISREAD.search(secret) and client.token_endpoint_auth_method == "client_secret_basic":
        taken.warnings.append(
            "Its secret has characters that a client must percent-encode in a Basic header "
            "(RFC 6749 2.3.1); not every client does."
        )


def _why_not_kept(secret: str | None, hashed: str | None) -> str | None:
    """Return why a confidential client's secret cannot be carried over; None if it can."""
    if hashed is not None:
        return None if _DIGEST.fullmatch(hashed) else foreign_secret.why_unreadable(hashed)
    if not secret:
        return "The export has none."
    if set(secret) == {"*"} or secret.startswith("${vault."):
        return "The export hides it."
    if len(secret) < _SHORTEST:
        return f"It has {len(secret)} characters; it could be guessed."
    if len(secret.encode()) > foreign_secret.MAX_SECRET:
        return "It is longer than any secret is here."
    if len(set(secret)) < _FEWEST:
        return f"It has {len(set(secret))} different characters; it could be guessed."
    return None
