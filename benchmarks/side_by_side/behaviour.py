"""What a target must do before its speed counts: refuse what an attacker would try."""

from __future__ import annotations

import time
from collections.abc import Callable

from .jobs import Work, checked
from .load import drive, get, send

WRONG_VERIFIER = "w" * 43
#: How many codes two requests race for.
RACES = 10


def wrong_verifier(work: Work) -> bool:
    """A code with a wrong verifier is refused (RFC 7636 4.6)."""
    (code,) = work.codes(work.target.public, work.target.scope, 1)
    request = work.redemption(work.target.public, code, WRONG_VERIFIER)
    return send(work.port, request).status in (400, 401)


def code_replay(work: Work) -> bool:
    """A code works once (RFC 6749 4.1.2)."""
    (code,) = work.codes(work.target.public, work.target.scope, 1)
    request = work.redemption(work.target.public, code)
    checked(send(work.port, request), 200)
    return send(work.port, request).status in (400, 401)


def refresh_reuse(work: Work) -> bool:
    """A refresh token that was rotated is refused, after the target's grace (RFC 9700 4.14.2)."""
    (tokens,) = work.tokens(work.target.public, work.target.scope, 1)
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    request = work.token_request(work.target.public, form)
    rotated = checked(send(work.port, request), 200).json()
    if rotated.get("refresh_token") in (None, tokens["refresh_token"]):
        return False
    if work.target.grace:
        time.sleep(work.target.grace + 1)
    return send(work.port, request).status in (400, 401)


def garbage(work: Work) -> bool:
    """A guarded view refuses what is not a token (RFC 6750 3.1)."""
    request = get(work.target.paths.guarded, Authorization="Bearer garbage")
    return send(work.port, request).status in (401, 403)


def two_at_once(work: Work) -> bool:
    """A code that two redeem at the same moment works once (RFC 6749 10.5)."""
    for _ in range(RACES):
        (code,) = work.codes(work.target.public, work.target.scope, 1)
        answers = drive(work.port, [work.redemption(work.target.public, code)] * 2)
        if sum(answer.status == 200 for answer in answers) > 1:
            return False
        work.browser = work.target.signed_in(work.port)
    return True


CHECKS: dict[str, Callable[[Work], bool]] = {
    "wrong verifier": wrong_verifier,
    "code replay": code_replay,
    "a code twice at once": two_at_once,
    "refresh token reuse": refresh_reuse,
    "garbage as a token": garbage,
}


def failures_of(work: Work) -> list[str]:
    """Return what the target accepts although it should be refused."""
    failures = []
    for name, is_refused in CHECKS.items():
        if not is_refused(work):
            failures.append(name)
        # What was just tried may have ended what the user allowed.
        work.browser = work.target.signed_in(work.port)
    return failures
