"""Issuance: what may be issued for a grant today."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InvalidGrantError, InvalidTargetError
from ..models.grant import NOBODY, Grant
from ..wire.resource_uri import canonical
from .contract import Server
from .request import Request


@dataclass(frozen=True)
class Issuable:
    """What tokens of a grant may be for."""

    scopes: frozenset[str]
    #: The URIs of the APIs, as configured; empty for this server itself.
    resources: tuple[str, ...]


def issuable(server: Server, grant: Grant) -> Issuable:
    """Return what the user granted and the client and this server still allow.

    That is the granted scopes that the client is registered for now and that are declared now,
    and the granted APIs that this server still knows. Codes, refresh tokens, devices and
    exchanges get no more. A user who withdraws something changes `grant` itself.
    """
    known = server.resources.known
    return Issuable(
        scopes=grant.allowed & server.scopes.keys(),
        resources=tuple(known[uri] for uri in map(canonical, grant.resources) if uri in known),
    )


def new_grant(server: Server, request: Request, *, grant_id: str, subject: str) -> Grant:
    """Return the grant that `subject` decided on, or "" for the client itself, without storing it.

    `request` has its client, scopes, APIs, bindings and end.
    """
    now, settings = server.now(), server.settings
    is_machine, session_lifetime = subject == NOBODY, server.app.permanent_session_lifetime
    needed = max(settings.refresh_token_lifetime, int(session_lifetime.total_seconds()))
    return Grant(
        grant_id=grant_id,
        client_id=request.client.client_id,
        subject=subject,
        # A device stays signed in after this browser signs out.
        sid=None if request.on_device or is_machine else request.login(server.users).sid,
        scope=request.scopes,
        resources=list(request.resources),
        bindings=request.bindings,
        issued_at=now,
        until=request.until,
        # Its client may have to be told that the session ended.
        expires_at=now if is_machine else now + needed,
    )


def check_remainder(grant: Grant, left: Issuable) -> None:
    """Refuse to issue tokens if nothing of `grant` is left.

    Raises `InvalidGrantError` for scopes, `InvalidTargetError` for APIs.
    """
    if grant.scope and not left.scopes:
        raise InvalidGrantError("Nothing is left of the scopes that were granted.")
    if grant.resources and not left.resources:
        raise InvalidTargetError()
