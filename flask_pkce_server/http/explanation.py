"""Explanation: how a request differs from what is registered, for the developer of a client.

The sentences quote both the request and the registration, so the error page shows them in
debug mode only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from urllib.parse import urlsplit


def of_redirect_uri(presented: str, registered: Iterable[str]) -> list[str]:
    """Explain how `presented` differs from the closest registered URI; for debug mode only."""
    candidates = list(registered)
    if not candidates:
        return ["This client has no redirect URI registered."]
    closest = max(candidates, key=lambda uri: difflib.SequenceMatcher(None, uri, presented).ratio())
    sentences = [f"The request says {presented}", f"The closest that is registered is {closest}"]
    if len(candidates) > 1:
        sentences.append(f"{len(candidates)} are registered in all.")
    return [*sentences, *_differences(closest, presented)]


def _differences(registered: str, presented: str) -> list[str]:
    try:
        ours, theirs = urlsplit(registered), urlsplit(presented)
        ports = ours.port, theirs.port
    except ValueError:
        return ["The one in the request is not a URI."]
    sentences = []
    if presented.strip() != presented:
        sentences.append("There is a blank at an end of the one in the request.")
    if "%3A%2F%2F" in presented.upper():
        sentences.append("The one in the request is percent-encoded twice.")
    if ours.scheme != theirs.scheme:
        sentences.append(f"The scheme differs: {theirs.scheme or 'none'} for {ours.scheme}.")
    if ours.hostname != theirs.hostname:
        loopback = {ours.hostname, theirs.hostname} <= {"localhost", "127.0.0.1", "::1"}
        why = " They are different names, though both mean this computer." if loopback else ""
        sentences.append(f"The host differs: {theirs.hostname or 'none'} for {ours.hostname}.{why}")
    if ports[0] != ports[1]:
        sentences.append(f"The port differs: {ports[1] or 'none'} for {ports[0] or 'none'}.")
    if theirs.username is not None:
        sentences.append("The one in the request has a user or a password in it.")
    if ours.path != theirs.path:
        if ours.path.rstrip("/") == theirs.path.rstrip("/"):
            sentences.append("Only the slash at the end differs.")
        elif ours.path.lower() == theirs.path.lower():
            sentences.append("Only capital and small letters differ in the path.")
        else:
            sentences.append(
                f"The path differs: {theirs.path or 'none'} for {ours.path or 'none'}."
            )
    if ours.query != theirs.query:
        sentences.append(
            f"The query differs: {theirs.query or 'none'} for {ours.query or 'none'}. What has to "
            "come back belongs into state."
        )
    if "#" in presented:
        sentences.append("A redirect URI has no fragment: leave out the # and what follows.")
    return sentences


def of_client_id(presented: str, registered: Iterable[str]) -> list[str]:
    """Suggest the registered client_id that `presented` resembles; for debug mode only."""
    if presented.strip() != presented:
        return ["There is a blank at an end of the client_id."]
    matches = difflib.get_close_matches(presented, list(registered), n=1, cutoff=0.6)
    if matches:
        return [f"The closest that is registered is {matches[0]}"]
    return ["Register it with: flask pkce client create"]
