"""Client: an application that may ask for access (RFC 6749 2, RFC 7591 2)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749.models import ClientMixin
from sqlalchemy.orm import Mapped, mapped_column

from ..errors import InvalidRequestError
from ..wire import redirect_uri as uris
from ..wire.client_metadata import ClientMetadata
from ..wire.handle import digest
from .base import Base, Digest, Identifier

#: The line of a client that a document describes: of when the copy is, in epoch seconds.
DOCUMENT = "document"
#: What the names of the methods that use a secret begin with.
BY_SECRET = "client_secret_"


class Client(Base, ClientMixin):
    """A registered client; public where its auth method is `none`."""

    __tablename__ = "pkce_client"

    client_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    client_name: Mapped[str] = mapped_column(Identifier)
    token_endpoint_auth_method: Mapped[str] = mapped_column(Identifier)
    #: Two secrets at most: the one that was made last, and the one before it.
    secret_digest: Mapped[bytes | None] = mapped_column(Digest)
    secret_issued_at: Mapped[int | None]
    older_secret_digest: Mapped[bytes | None] = mapped_column(Digest)
    older_secret_issued_at: Mapped[int | None]
    redirect_uris: Mapped[list[str]]
    origins: Mapped[list[str]]
    grant_types: Mapped[list[str]]
    #: What it may ask for; None for every scope that is declared.
    scope: Mapped[frozenset[str] | None]
    #: What the rooms keep about it, under the names of RFC 7591 2.
    client_metadata: Mapped[dict[str, Any]]
    skip_consent: Mapped[bool] = mapped_column(default=False)
    self_registered: Mapped[bool] = mapped_column(default=False)
    issued_at: Mapped[int]

    def __init__(self, **values: Any) -> None:
        # Also while it is not stored: rooms may bring clients that never are.
        empty: dict[str, Any] = {"origins": [], "client_metadata": {}}
        super().__init__(**{**empty, "skip_consent": False, "self_registered": False, **values})

    def __repr__(self) -> str:
        return f"<Client {self.client_id}>"

    @property
    def is_public(self) -> bool:
        """Whether it cannot keep a secret (RFC 6749 2.1)."""
        return self.token_endpoint_auth_method == "none"

    @property
    def has_secret(self) -> bool:
        """Whether it shows who it is by a secret."""
        return self.token_endpoint_auth_method.startswith(BY_SECRET)

    @property
    def verified(self) -> bool:
        """Whether the operator of this server has checked it."""
        return bool(self.client_metadata.get("verified"))

    @property
    def document(self) -> Mapping[str, int] | None:
        """Of when the copy is, where a document at its client_id describes it; else None."""
        return self.client_metadata.get(DOCUMENT)

    @property
    def changed_at(self) -> int:
        """Since when it is what users read of it (epoch seconds); 0 for ever.

        Its document may say something else than when they agreed.
        """
        return (self.document or {}).get("changed_at", 0)

    @property
    def shown_host(self) -> str:
        """Where it lives: a host, or the scheme of an app; "" if that is not known."""
        where = self.redirect_uris if self.document is None else [self.client_id]
        return uris.shown_host(where[0]) if where else ""

    @property
    def sector(self) -> str:
        """What pairwise subjects are made for: the one host of its redirect URIs.

        OIDC Core 8.1; one without any, on a device say, stands for itself. Raises
        `InvalidRequestError` where there are several hosts and the registration does not say
        which of them speaks for all.
        """
        named: str | None = self.client_metadata.get("sector")
        if named is None and self.document is not None:
            # That of its document: only who has it can say what the client is.
            return urlsplit(self.client_id).netloc
        hosts = {uris.shown_host(uri) for uri in self.redirect_uris} or {self.client_id}
        if named is None and len(hosts) != 1:
            raise InvalidRequestError("Redirect URIs of several hosts; say which is the sector.")
        return named or hosts.pop()

    def check_sector(self) -> None:
        """Refuse a client whose pairwise subjects would be made for no one host.

        Raises `InvalidRequestError`.
        """
        _ = self.sector

    def always_asks(self, redirect_uri: str) -> bool:
        """Say whether the user must be asked even for what they allowed before.

        Anybody may have registered one that nobody checked; only who has its host can describe
        one that goes back there. A public client that is reached by a loopback port or a
        private-use scheme can be impersonated by any program of that computer (RFC 8252 8.6).
        """
        if self.self_registered and not self.verified:
            return not self.is_at_home(redirect_uri)
        return self.is_public and not redirect_uri.startswith("https://")

    def is_at_home(self, redirect_uri: str) -> bool:
        """Say whether `redirect_uri` is of the host at which the client is described."""
        if self.document is None or not redirect_uri.startswith("https://"):
            return False
        host, home = (urlsplit(uri).hostname or "" for uri in (redirect_uri, self.client_id))
        return host == home or host.endswith(f".{home}")

    def resolve_redirect_uri(self, presented: str | None) -> str:
        """Return the URI to send the browser back to (RFC 6749 3.1.2.3, RFC 9700 4.1.3).

        Raises `InvalidRequestError` if `presented` is not registered, or is None and there
        is not exactly one to choose.
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
        """The web origins that it may speak from: those that it names, and its redirect URIs'."""
        return {*self.origins, *filter(None, map(uris.origin_of, self.redirect_uris))}

    def speaks_from(self, origin: str) -> bool:
        """Say whether pages of this client are served from the web origin `origin`."""
        return origin in self.web_origins

    def restate(self, said: ClientMetadata) -> None:
        """Put `said` in the place of what it said before; what the operator said stays.

        But what was checked is not checked any more once it has changed.
        """
        changes = self._members_of(said)
        if any(getattr(self, name) != value for name, value in changes.items()):
            changes["client_metadata"].pop("verified", None)
            self.skip_consent = False
        for name, value in changes.items():
            setattr(self, name, value)

    def describe(self, said: ClientMetadata, document: Mapping[str, int]) -> None:
        """Put what its `document` says in the place of what that said before."""
        for name, value in self._members_of(said).items():
            setattr(self, name, value)
        self.client_metadata = {**self.client_metadata, DOCUMENT: dict(document)}

    def _members_of(self, said: ClientMetadata) -> dict[str, Any]:
        others = {n: v for n, v in self.client_metadata.items() if n not in said.replaced}
        return {
            "client_name": said.client_name,
            "redirect_uris": said.redirect_uris,
            "token_endpoint_auth_method": said.auth_method,
            "grant_types": said.grant_types,
            "scope": said.scope,
            "client_metadata": {**others, **said.members},
        }

    # What Authlib asks of a client.

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        # RFC 6749 3.1.2.3: the parameter may be left out only when one is registered.
        return self.redirect_uris[0] if len(self.redirect_uris) == 1 else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return any(uris.matches(registered, redirect_uri) for registered in self.redirect_uris)

    def check_client_secret(self, client_secret: str) -> bool:
        shown = digest(client_secret)
        fits = [
            hmac.compare_digest(known, shown)
            for known in (self.secret_digest, self.older_secret_digest)
            if known is not None
        ]
        return any(fits)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        # One method for all endpoints: a confidential client's id alone opens nothing.
        return method == self.token_endpoint_auth_method

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grant_types

    def as_json(self) -> dict[str, Any]:
        """Return what may be shown of it, under the names of RFC 7591."""
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
