"""Client credentials: a client gets a token for itself (RFC 6749 4.4).

No user is behind such a token. It has only scopes that the operator declared for machines,
comes without an ID token or a refresh token, and its stored subject is empty. Only confidential
clients that are registered for the grant can use it.
"""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import grants
from sqlalchemy.engine import Connection

from ..errors import ConfigurationError, InvalidScopeError, UnauthorizedClientError
from ..models.client import Client
from ..models.grant import NOBODY
from ..models.rows import insert_rows
from ..models.token import Token
from ..protocol.contract import Server
from ..protocol.feature import Feature
from ..protocol.grant_type import GrantType
from ..protocol.issuance import new_grant
from ..signals import tell, token_issued
from ..wire.handle import new_identifier

#: Scopes that only a user can grant: their identity, and access while they are away.
_OF_USERS = frozenset({"openid", "offline_access"})


class MachineTokenGrant(GrantType, grants.ClientCredentialsGrant):
    """Authlib's grant, restricted to confidential clients and to the scopes of machines."""

    def validate_token_request(self) -> None:
        """Check the client and the scopes, without writing anything."""
        client, request = self.check_client(), self.request
        if client.is_public:
            # RFC 6749 4.4 requires this, whatever grant types are registered.
            raise UnauthorizedClientError("Only a confidential client has credentials.")
        request.scopes = scopes_of(self.server, client, request.payload.scope)
        request.granted_scopes = request.scopes

    def issue_tokens(self) -> dict[str, Any]:
        """Issue an access token, and nothing else."""
        server, request = self.server, self.request
        grant_id = new_identifier()

        def issue(connection: Connection) -> dict[str, Any]:
            grant = new_grant(server, request, grant_id=grant_id, subject=NOBODY)
            response = self.token_response(grant=grant, user=None, now=server.now())
            kinds = [row.kind for row in response.rows if isinstance(row, Token)]
            if kinds != ["access"] or "id_token" in response.body:
                raise AssertionError("a machine was to be given more than an access token")
            insert_rows(connection, [grant, *response.rows])
            return response.body

        body = server.store.transaction(issue)
        tell(
            token_issued,
            server.app,
            client_id=request.client.client_id,
            subject=NOBODY,
            scopes=request.scopes,
            grant_id=grant_id,
        )
        return body


class ClientCredentialsFeature(Feature):
    """RFC 6749 4.4: the client credentials grant."""

    name = "client_credentials"

    grants = (MachineTokenGrant,)

    def check_settings(self, server: Server) -> None:
        for scope in server.settings.client_credentials_scopes:
            if scope in _OF_USERS or scope not in server.scopes:
                allowed = ", ".join(server.scopes.keys() - _OF_USERS)
                raise ConfigurationError(
                    f'PKCE_CLIENT_CREDENTIALS_SCOPES names "{scope}", which no machine can have.',
                    write=f"some of: {allowed}"
                    if allowed
                    else 'app.config["PKCE_SCOPES"]["..."] = "..."',
                )


def scopes_of(server: Server, client: Client, text: str | None) -> frozenset[str]:
    """Return the scopes that `client` gets for itself when its request names `text`.

    A request that names no scopes may get none: its token then identifies the client and
    grants no other access. Raises `InvalidScopeError`.
    """
    requested = server.scopes.asked_by(client, text)
    allowed = frozenset(server.settings.client_credentials_scopes) - _OF_USERS
    named = (text or "").strip(" ")
    if named and not requested <= allowed and server.scopes.refuses_unknown:
        raise InvalidScopeError("A scope that was asked for is granted by users only.")
    return requested & allowed
