"""A client without a browser: the user signs in on another device (RFC 8628).

The demo already has it, as `television`. Register it elsewhere with:

    flask pkce client create --name Television --type public --client-id television \
        --grant-type urn:ietf:params:oauth:grant-type:device_code

Then, with the demo running:

    python example_app/clients/device_client.py

It needs `requests`. If `segno` is installed, it also draws the QR code.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import secrets
import sys
import time
from typing import Any

import requests

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
SECONDS = 30


def draw(url: str) -> None:
    """Draw `url` as a QR code in the terminal, if segno is installed."""
    try:
        import segno
    except ImportError:
        return
    segno.make(url, micro=False).terminal(compact=True)


def wait_for_tokens(endpoint: str, started: dict[str, Any], form: dict[str, str]) -> dict[str, Any]:
    """Poll until the user has decided, as often as the server allows (RFC 8628 3.4, 3.5)."""
    interval = started.get("interval", 5)
    end = time.monotonic() + started["expires_in"]
    while time.monotonic() + interval < end:
        time.sleep(interval)
        try:
            response = requests.post(endpoint, form, timeout=SECONDS)
        except (requests.ConnectionError, requests.Timeout):
            # The network may come back: poll less often (RFC 8628 3.5).
            interval *= 2
            continue
        body: dict[str, Any] = response.json()
        if response.ok:
            return body
        if body["error"] == "slow_down":
            interval += 5
        elif body["error"] != "authorization_pending":
            sys.exit(f"Access denied: {body['error']}: {body['error_description']}")
    sys.exit("Nobody entered the code in time.")


def main() -> None:
    """Show the code, wait, and call the API."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--issuer", default="http://127.0.0.1:5000/")
    options.add_argument("--client-id", default="television")
    options.add_argument("--scope", default="profile")
    arguments = options.parse_args()

    # RFC 8414 3.1: without the slash that an issuer may end with.
    address = arguments.issuer.rstrip("/")
    metadata_url = address + "/.well-known/oauth-authorization-server"
    server = requests.get(metadata_url, timeout=SECONDS).json()
    if server["issuer"] != arguments.issuer:
        sys.exit(f"This server calls itself {server['issuer']}, not {arguments.issuer}.")
    # RFC 8628 has no PKCE, but this server accepts it: nobody else can then use the
    # device_code alone.
    verifier = secrets.token_urlsafe(32)
    digest = hashlib.sha256(verifier.encode()).digest()
    response = requests.post(
        server["device_authorization_endpoint"],
        {
            "client_id": arguments.client_id,
            "scope": arguments.scope,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        },
        timeout=SECONDS,
    )
    started = response.json()
    if not response.ok:
        sys.exit(f"Refused: {started['error']}: {started['error_description']}")

    print("On your phone or computer, open\n")
    print(f"  {started['verification_uri']}\n")
    print(f"and enter this code:\n\n  {started['user_code']}\n", flush=True)
    draw(started["verification_uri_complete"])

    tokens = wait_for_tokens(
        server["token_endpoint"],
        started,
        {
            "grant_type": GRANT_TYPE,
            "client_id": arguments.client_id,
            "device_code": started["device_code"],
            "code_verifier": verifier,
        },
    )
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    api_response = requests.get(address + "/api/me", headers=bearer, timeout=SECONDS)
    me = api_response.json()
    if not api_response.ok:
        sys.exit(f"The API says: {me['error_description']}")
    print(f"Hello {me['name']} <{me['email']}>.")


if __name__ == "__main__":
    main()
