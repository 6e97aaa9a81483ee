"""Pairwise: the values by which only clients of one sector know a user (OIDC Core 8.1)."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from ..errors import ConfigurationError, InvalidRequestError
from ..wire.handle import base64url
from ..wire.redirect_uri import shown_host
from .client import Client


def sector_of(client: Client) -> str:
    """Return the sector of a client: the one that its registration names, a host, or itself.

    It is a host only if the operator registered the client there, or the host itself describes
    the client, and if all its codes go there over https. Otherwise anybody could register a
    redirect URI of that host, and learn the subjects of its clients. Raises
    `InvalidRequestError` if the redirect URIs have several hosts and no sector is named.
    """
    named: str | None = client.client_metadata.get("sector")
    if named is not None:
        return named
    if not client.redirect_uris or not client.check_grant_type("authorization_code"):
        return client.client_id
    if client.document is not None:
        is_proven = all(map(client.is_at_home, client.redirect_uris))
        return urlsplit(client.client_id).netloc if is_proven else client.client_id
    is_web = all(uri.startswith("https://") for uri in client.redirect_uris)
    if client.self_registered or not is_web:
        return client.client_id
    hosts = {shown_host(uri) for uri in client.redirect_uris}
    if len(hosts) != 1:
        raise InvalidRequestError("Redirect URIs of several hosts; say which is the sector.")
    return hosts.pop()


def value_for(client: Client, text: str, salt: str | None, purpose: str = "") -> str:
    """Return what the clients in the sector of `client` know a subject or a sid, `text`, by.

    Clients in other sectors get another value, so they cannot correlate users. Raises
    `ConfigurationError` without a `salt`.
    """
    if salt is None:
        raise ConfigurationError(
            "A client is pairwise, and the salt of its subjects is gone.",
            write='app.config["PKCE_OPENID_PAIRWISE_SALT"] = os.environ["PAIRWISE_SALT"]',
        )
    key, message = f"{salt}{purpose}".encode(), f"{sector_of(client)}\n{text}".encode()
    return base64url(hmac.digest(key, message, "sha256"))
