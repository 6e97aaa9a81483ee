"""App kind: what an app is, and how it is registered as a result.

Developers know whether their app is a single-page app or a command-line tool. This module
defines the authentication method, grant types and redirect URIs of each kind (RFC 6749 2.1,
RFC 8252 7).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import InvalidRequestError
from ...i18n import translatable
from ...models.client import Client
from ...protocol.contract import Server
from ...wire import redirect_uri as uris
from ...wire.names import DEVICE_CODE as DEVICE

_MAX_URI = 2000


@dataclass(frozen=True)
class AppKind:
    """One kind of app."""

    name: str
    #: What developers call it, and the sentence that says when to choose it.
    title: str
    meaning: str
    auth_method: str
    #: The first is how it gets its tokens; a server without that one does not offer the kind.
    grant_types: tuple[str, ...]
    #: The template names of the code snippets for it.
    snippets: tuple[str, ...]
    #: Whether a browser returns to it, and whether it may use a private-use URI scheme.
    has_browser: bool = True
    may_have_scheme: bool = False


KINDS = (
    AppKind(
        name="browser",
        title=translatable("In the browser"),
        meaning=translatable("A single-page app. It cannot keep a secret and has none."),
        auth_method="none",
        grant_types=("authorization_code", "refresh_token"),
        snippets=("oidc-client-ts.js", "curl.sh"),
    ),
    AppKind(
        name="native",
        title=translatable("On a phone, a desktop or a command line"),
        meaning=translatable(
            "A program that people install. It cannot keep a secret and has none."
        ),
        auth_method="none",
        grant_types=("authorization_code", "refresh_token"),
        snippets=("authlib-cli.py", "curl.sh"),
        may_have_scheme=True,
    ),
    AppKind(
        name="server",
        title=translatable("On a server"),
        meaning=translatable("A web app whose code nobody else can read. It gets a secret."),
        auth_method="client_secret_basic",
        grant_types=("authorization_code", "refresh_token"),
        snippets=("authlib-flask.py", "openid-client.mjs", "curl.sh"),
    ),
    AppKind(
        name="device",
        title=translatable("On a device without a browser"),
        meaning=translatable("A television or a machine: people sign in on their phone."),
        auth_method="none",
        grant_types=(DEVICE, "refresh_token"),
        snippets=("curl-device.sh",),
        has_browser=False,
    ),
)


@dataclass(frozen=True)
class Finding:
    """A message about one line of redirect URIs."""

    line: int
    text: str
    message: str
    #: The values of the placeholders in `message`.
    values: Mapping[str, Any]
    #: Whether the line cannot be registered.
    wrong: bool


def offered(server: Server) -> list[AppKind]:
    """Return the kinds of app whose grant type this server supports."""
    supported = server.registrar.grant_types
    return [kind for kind in KINDS if kind.grant_types[0] in supported]


def kind_of(client: Client) -> AppKind:
    """Return the kind of a client that was registered as one of `KINDS`."""
    name = client.client_metadata.get("app_kind")
    return next((kind for kind in KINDS if kind.name == name), KINDS[0])


def lint(kind: AppKind, text: str) -> tuple[list[str], list[Finding]]:
    """Parse redirect URIs, one per line; return the valid ones and the findings."""
    valid: list[str] = []
    seen: set[str] = set()
    findings: list[Finding] = []
    for number, line in enumerate(text.splitlines(), 1):
        uri = line.strip()
        if not uri or uri in seen:
            continue
        seen.add(uri)
        problem = _wrong(kind, uri)
        if problem:
            findings.append(Finding(number, uri, problem, {}, wrong=True))
            continue
        valid.append(uri)
        scheme = uri.partition(":")[0]
        if uris.is_loopback(uri) and kind.name != "native":
            message = translatable(
                "Good for trying it out: it leads to the computer of who opens it."
            )
            findings.append(Finding(number, uri, message, {}, wrong=False))
        elif uris.has_plain_scheme(uri):
            findings.append(
                Finding(number, uri, uris.PLAIN_SCHEME, {"scheme": scheme}, wrong=False)
            )
    return valid, findings


def _wrong(kind: AppKind, uri: str) -> str | None:
    if len(uri) > _MAX_URI:
        return translatable("A redirect URI has 2000 characters at most.")
    try:
        uris.refuse_unfit(uri)
    except InvalidRequestError as error:
        return str(error.description)
    if uris.is_private_use(uri) and not kind.may_have_scheme:
        return translatable("Only an app that people install has a scheme of its own.")
    return None
