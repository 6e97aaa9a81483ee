"""A command-line client: the browser returns to a loopback port (RFC 8252).

Register it once, without a port, because each run uses whichever port is free:

    flask --app example_app pkce client create --name notes-cli --type public \
        --client-id notes-cli --redirect-uri http://127.0.0.1/callback

Then, with the demo running:

    python example_app/clients/cli.py

It uses only the standard library.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import secrets
import sys
import webbrowser
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import Request, urlopen


class Callback(BaseHTTPRequestHandler):
    """Handles the redirect that carries the authorization code."""

    answer: dict[str, str] | None = None

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path != "/callback":
            self.send_error(404)
            return
        Callback.answer = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        self.wfile.write(b"Done. You can close this page and go back to the terminal.\n")

    def log_message(self, *args: object) -> None:
        # The request line contains the code.
        return


def fetch(url: str, form: dict[str, str] | None = None, token: str = "") -> dict[str, str]:
    """Return the JSON at `url`; `form` is posted, `token` is sent as a bearer token."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = urlencode(form).encode() if form else None
    with urlopen(Request(url, data, headers)) as response:  # noqa: S310 - the issuer's own URL
        content: dict[str, str] = json.load(response)
    return content


def main() -> None:
    """Sign in, call the API, and revoke the token."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--issuer", default="http://127.0.0.1:5000/")
    options.add_argument("--client-id", default="notes-cli")
    options.add_argument("--no-browser", action="store_true", help="Only print the URL.")
    arguments = options.parse_args()

    # RFC 8414 3.1: without the slash that an issuer may end with.
    address = arguments.issuer.rstrip("/")
    server = fetch(address + "/.well-known/oauth-authorization-server")
    if server["issuer"] != arguments.issuer:
        sys.exit(f"This server calls itself {server['issuer']}, not {arguments.issuer}.")
    listener = HTTPServer(("127.0.0.1", 0), Callback)
    redirect_uri = f"http://127.0.0.1:{listener.server_port}/callback"
    verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
    digest = hashlib.sha256(verifier.encode()).digest()
    request = {
        "response_type": "code",
        "client_id": arguments.client_id,
        "redirect_uri": redirect_uri,
        "scope": "profile",
        "state": state,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    url = f"{server['authorization_endpoint']}?{urlencode(request)}"
    print(f"Open this in a browser:\n\n  {url}\n", flush=True)
    if not arguments.no_browser:
        webbrowser.open(url)
    while Callback.answer is None:
        listener.handle_request()
    listener.server_close()
    response = Callback.answer
    if response.get("state") != state or response.get("iss") != arguments.issuer:
        sys.exit("This answer does not belong to this program's request.")
    if "code" not in response:
        sys.exit(f"Access denied: {response.get('error')}: {response.get('error_description')}")

    tokens = fetch(
        server["token_endpoint"],
        {
            "grant_type": "authorization_code",
            "client_id": arguments.client_id,
            "redirect_uri": redirect_uri,
            "code": response["code"],
            "code_verifier": verifier,
        },
    )
    me = fetch(address + "/api/me", token=tokens["access_token"])
    print(f"Hello {me['name']} <{me['email']}>.")
    fetch(
        server["revocation_endpoint"],
        {"client_id": arguments.client_id, "token": tokens["access_token"]},
    )


if __name__ == "__main__":
    main()
