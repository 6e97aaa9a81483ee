"""Auth0: reads clients and grants from its Management API or its Deploy CLI."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from .imported import Export, Granted, Imported, LeftOut, Loss, counted
from .row import Row

# Members about Auth0 itself, its pages and its keys, and members that repeat others.
_MEANINGLESS = {
    "app_type", "callback_url_template", "client_id", "created_at", "custom_login_page_on",
    "global", "is_token_endpoint_ip_header_trusted", "oidc_conformant", "owners", "signing_keys",
    "tenant", "updated_at",
}  # fmt: skip
# Methods that take precedence over `token_endpoint_auth_method`.
_BY_KEY = ("private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth")
_USUAL_GRANTS = ("authorization_code", "refresh_token")


def read(content: Any) -> Export:
    """Read a list of clients, or an object with `clients` and optionally `grants`."""
    root = Row.of_file(content, "clients")
    granted = defaultdict(list)
    for row in root.rows("grants"):
        granted[row.needed_text("clientID")].append(
            Granted(row.needed_key("user_id"), frozenset(row.texts("scope")))
        )
    clients, left_out = [], []
    for row in root.needed_rows("clients"):
        client_id = row.needed_text("client_id")
        grants = granted.pop(client_id, [])
        if row.flag("global"):
            left_out.append(
                LeftOut(client_id, "It stands for all clients of the tenant.", len(grants))
            )
        else:
            clients.append(_client(row, client_id, tuple(grants)))
    return Export(
        tuple(clients),
        tuple(left_out),
        tuple(
            Loss(
                f"{counted(len(grants), 'grant')} to {client_id}", "That client is not in the file."
            )
            for client_id, grants in granted.items()
        ),
    )


def _client(row: Row, client_id: str, granted: tuple[Granted, ...]) -> Imported:
    app_type = row.text("app_type")
    default_method = "none" if app_type in ("spa", "native") else "client_secret_post"
    by_key = row.row("client_authentication_methods")
    method = next(filter(by_key.has, _BY_KEY), None) or row.text("token_endpoint_auth_method")
    tokens, logout = row.row("jwt_configuration"), row.row("oidc_logout")
    logout_uris = logout.texts("backchannel_logout_urls")
    metadata = {
        "post_logout_redirect_uris": list(row.texts("allowed_logout_urls")),
        "id_token_signed_response_alg": tokens.text("alg"),
        "backchannel_logout_uri": logout_uris[0] if logout_uris else None,
    }
    return Imported(
        client_id=client_id,
        client_name=row.text("name"),
        auth_method=method or default_method,
        redirect_uris=row.texts("callbacks"),
        origins=tuple(dict.fromkeys(row.texts("allowed_origins") + row.texts("web_origins"))),
        grant_types=row.texts("grant_types") if row.has("grant_types") else _USUAL_GRANTS,
        skip_consent=row.flag("is_first_party"),
        # As Auth0 marks what registered itself.
        is_third_party=not row.flag("is_first_party", True),
        metadata=metadata,
        secret=row.text("client_secret"),
        granted=granted,
        losses=(
            *row.unread(_MEANINGLESS),
            *tokens.unread({"secret_encoded"}),
            *logout.unread(),
            *(
                Loss(uri, "One back-channel logout URI is told, the first.")
                for uri in logout_uris[1:]
            ),
        ),
    )
