"""Client credentials: a client gets a token in its own name (RFC 6749 4.4).

No user stands behind such a token: it has the scopes that the operator declared for
machines and no others, no ID token, no refresh token, and nothing that reads a subject
finds one in it. For confidential clients that are registered for it.
"""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import grants
from sqlalchemy.orm import Session

from ..errors import ConfigurationError, InvalidScopeError, UnauthorizedClientError
from ..models.client import Client
from ..models.token import NOBODY, Family, Token
from ..protocol.contract import Server
from ..protocol.feature import Feature
from ..protocol.grant import Grant
from ..signals import tell, token_issued
from ..wire.handle import new_identifier

#: What a user grants and nobody else: who they are, and that it goes on without them.
_OF_USERS = frozenset({"openid", "offline_access"})


class MachineTokenGrant(Grant, grants.ClientCredentialsGrant):
    """Authlib's grant, for confidential clients alone and the scopes of machines alone."""

    def validate_token_request(self) -> None:
        """Check the client and the scopes; nothing is written yet."""
        client, request = self.check_client(), self.request
        if client.is_public:
            # RFC 6749 4.4, once more where the tokens are made.
            raise UnauthorizedClientError("Only a confidential client has credentials.")
        request.scopes = scopes_of(self.server, client, request.payload.scope)
        request.granted_scopes = request.scopes

    def issue_tokens(self) -> dict[str, Any]:
        """Give an access token, and nothing else."""
        server, request = self.server, self.request
        family = Family(new_identifier(), request.client.client_id, NOBODY, {})

        def issue(session: Session) -> dict[str, Any]:
            response = self.token_response(
                family=family, user=None, scopes=request.scopes, now=server.now()
            )
            given = [row.kind for row in response.rows if isinstance(row, Token)]
            if given != ["access"] or "id_token" in response.body:
                raise AssertionError("a machine was to be given more than an access token")
            session.add_all(response.rows)
            return response.body

        body = server.store.write(issue)
        tell(
            token_issued,
            server.app,
            client_id=family.client_id,
            subject=family.subject,
            scopes=request.scopes,
            family_id=family.family_id,
        )
        return body


class ClientCredentialsFeature(Feature):
    """RFC 6749 4.4: the client credentials grant."""

    name = "client_credentials"

    grants = (MachineTokenGrant,)

    def check_settings(self, server: Server) -> None:
        for scope in server.settings.client_credentials_scopes:
            if scope in _OF_USERS or scope not in server.scopes:
                fit = ", ".join(server.scopes.keys() - _OF_USERS)
                raise ConfigurationError(
                    f'PKCE_CLIENT_CREDENTIALS_SCOPES names "{scope}", which no machine can have.',
                    write=f"some of: {fit}" if fit else 'app.config["PKCE_SCOPES"]["..."] = "..."',
                )


def scopes_of(server: Server, client: Client, text: str | None) -> frozenset[str]:
    """Return the scopes that `client` gets for itself when it asks for `text`.

    What it is taken to ask for when it names none may be none: its token then says which
    client it is and opens nothing else. Raises `InvalidScopeError`.
    """
    asked = server.scopes.asked_by(client, text)
    fit = frozenset(server.settings.client_credentials_scopes) - _OF_USERS
    named = (text or "").strip(" ")
    if named and not asked <= fit and server.scopes.refuses_unknown:
        raise InvalidScopeError("A scope that was asked for is granted by users only.")
    return asked & fit
