"""Trust: whether users are asked about an imported client, and warned of it."""

from __future__ import annotations

from ...models.client import Client
from .imported import Imported
from .takeover import Takeover


def take_trust(imported: Imported, client: Client, taken: Takeover) -> None:
    """Set whether users are asked about `client` and warned of it, and record losses."""
    client.self_registered = imported.is_third_party
    if imported.is_third_party:
        taken.warnings.append(
            "It belongs to a third party there, so users are warned of it and asked each time. If "
            f"you have checked it: flask pkce client update {client.client_id} --verified"
        )
    if not imported.skip_consent:
        return
    if client.is_public and not all(uri.startswith("https://") for uri in client.redirect_uris):
        taken.lose(
            "skip_consent",
            "Any program on a user's computer can pretend to be it (RFC 8252 8.6). If nobody needs "
            f"to be asked all the same: flask pkce client update {client.client_id} --skip-consent",
        )
        return
    client.skip_consent = True
