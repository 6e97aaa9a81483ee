"""Revocation: a client revokes a token that it was issued (RFC 7009).

Whether it is an access or a refresh token, and whatever the hint says, its grant is
revoked, since a client that signs its user out wants no token to remain valid. For an
exchanged token, only that token and those made from it are revoked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from authlib.oauth2.rfc7009 import RevocationEndpoint
from flask import Response

from ..errors import InvalidRequestError
from ..models.exchanged_token import revoke_exchanged
from ..models.grant import revoke_one
from ..models.token import Token
from ..protocol.contract import Server
from ..protocol.declarations import Route
from ..protocol.feature import Feature
from ..protocol.request import Request
from ..signals import tell, token_revoked


class GrantRevocation(RevocationEndpoint):
    """Authlib's endpoint, open to public clients, that ignores `token_type_hint`.

    Authlib 1.9.8 does not revoke a token if `token_type_hint` names the other type
    (RFC 7009 2.1: the server extends its search).
    """

    def check_params(self, request: Request, client: Any) -> None:
        if not request.form.get("token"):
            raise InvalidRequestError("token is missing.")

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
        server: Server = self.server
        return server.find_token(token_string)

    def revoke_token(self, token: Token, request: Request) -> None:
        server: Server = self.server
        # The holder of an exchanged token may not end the grant of the app that the user allowed.
        revoked = server.store.write(
            lambda session: (
                revoke_exchanged(session, token, server.now())
                if token.actors
                else revoke_one(session, token.grant_id, server.now())
            )
        )
        if revoked:
            tell(
                token_revoked,
                server.app,
                client_id=token.holder,
                subject=token.subject,
                grant_id=token.grant_id,
            )


class RevocationFeature(Feature):
    """RFC 7009: the revocation endpoint."""

    name = "revocation"

    endpoints = (GrantRevocation,)

    def routes(self, server: Server) -> Iterable[Route]:
        yield Route("revoke", "/revoke", revoke, ("POST",), "endpoint")

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {
            "revocation_endpoint": server.url_of("revoke"),
            "revocation_endpoint_auth_methods_supported": server.registrar.auth_methods,
        }


def revoke(server: Server) -> Response:
    """Respond to a revocation request: with 200 for every token that is no longer live."""
    return server.create_endpoint_response("revocation")
