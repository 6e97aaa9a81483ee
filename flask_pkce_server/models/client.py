"""Client: an application that may ask for access (RFC 6749 2, RFC 7591 2)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy
from authlib.oauth2.rfc6749.models import ClientMixin
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from ..errors import InvalidRequestError
from ..wire import redirect_uri as uris
from ..wire.client_metadata import ClientMetadata
from ..wire.handle import digest
from .base import Base, Digest, Identifier
from .lookup import Lookup

#: The `client_metadata` member of a described client: the epoch seconds of its copy.
DOCUMENT = "document"
#: The prefix of the client authentication methods that use a secret.
BY_SECRET = "client_secret_"


class Client(Base, ClientMixin):
    """A client; public if its client authentication method is `none`."""

    __tablename__ = "pkce_client"

    client_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    client_name: Mapped[str] = mapped_column(Identifier)
    token_endpoint_auth_method: Mapped[str] = mapped_column(Identifier)
    #: At most two secrets: the newest one and the one before it.
    secret_digest: Mapped[bytes | None] = mapped_column(Digest)
    secret_issued_at: Mapped[int | None]
    older_secret_digest: Mapped[bytes | None] = mapped_column(Digest)
    older_secret_issued_at: Mapped[int | None]
    redirect_uris: Mapped[list[str]]
    origins: Mapped[list[str]]
    grant_types: Mapped[list[str]]
    #: The scopes that the client may ask for; None for every declared scope.
    scope: Mapped[frozenset[str] | None]
    #: What the features store about the client, under the names of RFC 7591 2.
    client_metadata: Mapped[dict[str, Any]]
    skip_consent: Mapped[bool] = mapped_column(default=False)
    self_registered: Mapped[bool] = mapped_column(default=False)
    issued_at: Mapped[int]

    def __init__(self, **values: Any) -> None:
        # SQLAlchemy sets column defaults on insert only, and features may use unstored clients.
        empty: dict[str, Any] = {"origins": [], "client_metadata": {}}
        super().__init__(**{**empty, "skip_consent": False, "self_registered": False, **values})

    def __repr__(self) -> str:
        return f"<Client {self.client_id}>"

    @property
    def is_public(self) -> bool:
        """Whether the client cannot keep a secret (RFC 6749 2.1)."""
        return self.token_endpoint_auth_method == "none"

    @property
    def has_secret(self) -> bool:
        """Whether the client authenticates with a secret."""
        return self.token_endpoint_auth_method.startswith(BY_SECRET)

    @property
    def verified(self) -> bool:
        """Whether the operator of this server has verified the client."""
        return bool(self.client_metadata.get("verified"))

    @property
    def suspended(self) -> bool:
        """Whether the operator has suspended the client: nothing it holds is valid meanwhile."""
        return bool(self.client_metadata.get("suspended"))

    @property
    def is_of_stranger(self) -> bool:
        """Whether anybody may have made the client, and the operator has not verified it."""
        return self.self_registered and not self.verified

    @property
    def skips_consent(self) -> bool:
        """Whether users are never asked: the operator says so, and vouches for the client."""
        return self.skip_consent and not self.is_of_stranger

    @property
    def is_stored(self) -> bool:
        """Whether the database has the client; a described one only once a user allowed it."""
        return sqlalchemy.inspect(self).has_identity

    @property
    def document(self) -> Mapping[str, int] | None:
        """The times of the stored copy (epoch seconds) of a described client; None for others."""
        return self.client_metadata.get(DOCUMENT)

    @property
    def changed_at(self) -> int:
        """When anything but the keys last changed (epoch seconds, see `restate`); 0 for never.

        It is set for described clients only. Consents from before do not count.
        """
        return (self.document or {}).get("changed_at", 0)

    @property
    def shown_host(self) -> str:
        """The host to show to users, or the scheme of a native app; "" if unknown."""
        urls = self.redirect_uris if self.document is None else [self.client_id]
        return uris.shown_host(urls[0]) if urls else ""

    def always_asks(self, redirect_uri: str) -> bool:
        """Return whether the user must be asked even for scopes that they granted before.

        Anybody can register an unverified client; but only the owner of a host can describe a
        client that redirects to that host. Any program on the user's computer can impersonate a
        public client that uses a loopback port or a private-use scheme (RFC 8252 8.6).
        """
        if self.is_of_stranger:
            return not self.is_at_home(redirect_uri)
        return self.is_public and not redirect_uri.startswith("https://")

    def is_at_home(self, redirect_uri: str) -> bool:
        """Return whether `redirect_uri` is on the host of the client's document or below it."""
        if self.document is None or not redirect_uri.startswith("https://"):
            return False
        host, home = (urlsplit(uri).hostname or "" for uri in (redirect_uri, self.client_id))
        return host == home or host.endswith(f".{home}")

    def resolve_redirect_uri(self, presented: str | None) -> str:
        """Return the URI to send the browser back to (RFC 6749 3.1.2.3, RFC 9700 4.1.3).

        Raises `InvalidRequestError` if `presented` is not registered, or if it is None and the
        client has not registered exactly one URI.
        """
        if presented and not self.check_redirect_uri(presented):
            raise InvalidRequestError("redirect_uri is not one that this client registered.")
        uri = presented or self.get_default_redirect_uri()
        if uri is None:
            raise InvalidRequestError(
                "redirect_uri is missing, and the client did not register exactly one."
            )
        return uri

    @property
    def web_origins(self) -> set[str]:
        """The web origins of the client: the registered ones and those of its redirect URIs."""
        return {*self.origins, *filter(None, map(uris.origin_of, self.redirect_uris))}

    def speaks_from(self, origin: str) -> bool:
        """Return whether pages of this client are served from the web origin `origin`."""
        return origin in self.web_origins

    def restate(self, metadata: ClientMetadata) -> bool:
        """Replace what the client says of itself with `metadata`; keep what the operator set.

        If anything but its keys changes, the client is no longer verified and no longer skips
        consent: the operator vouched for something else. Returns whether that is so.
        """
        before = self._stated()
        kept = {n: v for n, v in self.client_metadata.items() if n not in metadata.replaced}
        self.client_name, self.redirect_uris = metadata.client_name, metadata.redirect_uris
        self.token_endpoint_auth_method = metadata.auth_method
        self.grant_types, self.scope = metadata.grant_types, metadata.scope
        self.client_metadata = {**kept, **metadata.members}
        if self._stated() == before:
            return False
        members = {n: v for n, v in self.client_metadata.items() if n != "verified"}
        self.client_metadata, self.skip_consent = members, False
        return True

    def _stated(self) -> tuple[Any, ...]:
        redirect_uris = self.redirect_uris or []
        # The first host is shown to users, unless the client has a document.
        return (
            self.client_name,
            redirect_uris if self.document is None else sorted(redirect_uris),
            self.token_endpoint_auth_method,
            self.grant_types,
            self.scope,
            {n: v for n, v in self.client_metadata.items() if n != "jwks"},
        )

    # The interface that Authlib expects of a client.

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        # RFC 6749 3.1.2.3: the parameter is optional only if exactly one URI is registered.
        return self.redirect_uris[0] if len(self.redirect_uris) == 1 else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return any(uris.matches(registered, redirect_uri) for registered in self.redirect_uris)

    def check_client_secret(self, client_secret: str) -> bool:
        presented = digest(client_secret)
        matches = [
            hmac.compare_digest(stored, presented)
            for stored in (self.secret_digest, self.older_secret_digest)
            if stored is not None
        ]
        return any(matches)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        # One method for all endpoints: a confidential client's client_id is never enough.
        return method == self.token_endpoint_auth_method

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grant_types

    def as_json(self) -> dict[str, Any]:
        """Return what may be shown of the client, under the names of RFC 7591."""
        return {
            "client_id": self.client_id,
            "client_name": self.client_name,
            "token_endpoint_auth_method": self.token_endpoint_auth_method,
            "redirect_uris": self.redirect_uris,
            "origins": self.origins,
            "grant_types": self.grant_types,
            "scope": None if self.scope is None else " ".join(sorted(self.scope)),
            **self.client_metadata,
            "skip_consent": self.skip_consent,
            "self_registered": self.self_registered,
            "client_id_issued_at": self.issued_at,
        }


STORED_CLIENT = Lookup(Client, Client.client_id == bindparam("client_id"))
