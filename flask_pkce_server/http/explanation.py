"""Diagnosis: which of the classic mistakes a developer has made.

A challenge or a verifier is judged by its shape, and in plain words that say nothing that
was sent or stored: those go to the client as the description of the error. What compares
a request with a registration names both, and is shown in debug only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from urllib.parse import urlsplit


def of_redirect_uri(presented: str, registered: Iterable[str]) -> list[str]:
    """Say how `presented` differs from the closest registered URI; for debug only."""
    known = list(registered)
    if not known:
        return ["This client has no redirect URI registered."]
    closest = max(known, key=lambda uri: difflib.SequenceMatcher(None, uri, presented).ratio())
    said = [f"The request says {presented}", f"The closest that is registered is {closest}"]
    if len(known) > 1:
        said.append(f"{len(known)} are registered in all.")
    return [*said, *_differences(closest, presented)]


def _differences(registered: str, presented: str) -> list[str]:
    try:
        ours, theirs = urlsplit(registered), urlsplit(presented)
        ports = ours.port, theirs.port
    except ValueError:
        return ["The one in the request is not a URI."]
    said = []
    if presented.strip() != presented:
        said.append("There is a blank at an end of the one in the request.")
    if "%3A%2F%2F" in presented.upper():
        said.append("The one in the request is percent-encoded twice.")
    if ours.scheme != theirs.scheme:
        said.append(f"The scheme differs: {theirs.scheme or 'none'} for {ours.scheme}.")
    if ours.hostname != theirs.hostname:
        loopback = {ours.hostname, theirs.hostname} <= {"localhost", "127.0.0.1", "::1"}
        why = " They are different names, though both mean this computer." if loopback else ""
        said.append(f"The host differs: {theirs.hostname or 'none'} for {ours.hostname}.{why}")
    if ports[0] != ports[1]:
        said.append(f"The port differs: {ports[1] or 'none'} for {ports[0] or 'none'}.")
    if theirs.username is not None:
        said.append("The one in the request has a user or a password in it.")
    if ours.path != theirs.path:
        if ours.path.rstrip("/") == theirs.path.rstrip("/"):
            said.append("Only the slash at the end differs.")
        elif ours.path.lower() == theirs.path.lower():
            said.append("Only capital and small letters differ in the path.")
        else:
            said.append(f"The path differs: {theirs.path or 'none'} for {ours.path or 'none'}.")
    if ours.query != theirs.query:
        said.append(
            f"The query differs: {theirs.query or 'none'} for {ours.query or 'none'}. What has to "
            "come back belongs into state."
        )
    if "#" in presented:
        said.append("A redirect URI has no fragment: leave out the # and what follows.")
    return said


def of_client_id(presented: str, registered: Iterable[str]) -> list[str]:
    """Say which registered client_id may be meant; for debug only."""
    if presented.strip() != presented:
        return ["There is a blank at an end of the client_id."]
    near = difflib.get_close_matches(presented, list(registered), n=1, cutoff=0.6)
    if near:
        return [f"The closest that is registered is {near[0]}"]
    return ["Register it with: flask pkce client create"]
