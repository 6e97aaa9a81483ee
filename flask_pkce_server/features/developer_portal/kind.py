"""App kind: what an app is, and what follows from that for its registration.

Who makes an app knows that it is a single-page app or a command line; which auth method,
grant types and redirect URIs go with that is said here, once (RFC 6749 2.1, RFC 8252 7).
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


@dataclass(frozen=True)
class AppKind:
    """One kind of app."""

    name: str
    #: What its maker would call it, and the sentence that says who should choose it.
    title: str
    meaning: str
    auth_method: str
    #: The first is how it gets its tokens; where the server has it not, neither the kind.
    grant_types: tuple[str, ...]
    #: The snippets that are written for it, by their templates.
    snippets: tuple[str, ...]
    #: Whether a browser comes back to it, and whether that may be by a scheme of its own.
    has_browser: bool = True
    may_have_scheme: bool = False


KINDS = (
    AppKind(
        "browser",
        translatable("In the browser"),
        translatable("A single-page app. It cannot keep a secret and has none."),
        "none",
        ("authorization_code", "refresh_token"),
        ("oidc-client-ts.js", "curl.sh"),
    ),
    AppKind(
        "native",
        translatable("On a phone, a desktop or a command line"),
        translatable("A program that people install. It cannot keep a secret and has none."),
        "none",
        ("authorization_code", "refresh_token"),
        ("authlib-cli.py", "curl.sh"),
        may_have_scheme=True,
    ),
    AppKind(
        "server",
        translatable("On a server"),
        translatable("A web app whose code nobody else can read. It gets a secret."),
        "client_secret_basic",
        ("authorization_code", "refresh_token"),
        ("authlib-flask.py", "openid-client.mjs", "curl.sh"),
    ),
    AppKind(
        "device",
        translatable("On a device without a browser"),
        translatable("A television or a machine: people sign in on their phone."),
        "none",
        (DEVICE, "refresh_token"),
        ("curl-device.sh",),
        has_browser=False,
    ),
)


@dataclass(frozen=True)
class Finding:
    """What is said about one line of redirect URIs."""

    line: int
    text: str
    message: str
    #: What stands in the place of the names in `message`.
    values: Mapping[str, Any]
    #: Whether the line cannot be registered.
    wrong: bool


def offered(server: Server) -> list[AppKind]:
    """Return the kinds of app that the server can sign in."""
    known = server.registrar.grant_types
    return [kind for kind in KINDS if kind.grant_types[0] in known]


def kind_of(client: Client) -> AppKind:
    """Return the kind of a client that was registered as one of `KINDS`."""
    named = client.client_metadata.get("app_kind")
    return next((kind for kind in KINDS if kind.name == named), KINDS[0])


def lint(kind: AppKind, text: str) -> tuple[list[str], list[Finding]]:
    """Read redirect URIs, one a line; return those that are good, and what is to be said."""
    good: list[str] = []
    found: list[Finding] = []
    for number, line in enumerate(text.splitlines(), 1):
        uri = line.strip()
        if not uri or uri in good:
            continue
        wrong = _wrong(kind, uri)
        if wrong:
            found.append(Finding(number, uri, wrong, {}, wrong=True))
            continue
        good.append(uri)
        scheme = uri.partition(":")[0]
        if uris.is_loopback(uri) and kind.name != "native":
            message = translatable(
                "Good for trying it out: it leads to the computer of who opens it."
            )
            found.append(Finding(number, uri, message, {}, wrong=False))
        elif uris.has_plain_scheme(uri):
            found.append(Finding(number, uri, uris.PLAIN_SCHEME, {"scheme": scheme}, wrong=False))
    return good, found


def _wrong(kind: AppKind, uri: str) -> str | None:
    try:
        uris.refuse_unfit(uri)
    except InvalidRequestError as error:
        return str(error.description)
    if uris.is_private_use(uri) and not kind.may_have_scheme:
        return translatable("Only an app that people install has a scheme of its own.")
    return None
