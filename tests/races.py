"""Races: one round of each, on one app or spread over the apps of several nodes.

Each gets the flows of one client, one flow for each app: the first prepares, and all of them race.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import cycle, islice

from flask_pkce_server.testing import Flow

from .at_once import at_once, live_tokens, statuses
from .services import THOROUGH

THREADS = 32 if THOROUGH else 16
#: The answer of an app that has no database at the moment.
UNAVAILABLE = 503


def spread(flows: Sequence[Flow], number: int) -> list[Flow]:
    """Return `number` flows, those of each app in turn."""
    return list(islice(cycle(flows), number))


def is_dead_everywhere(flows: Sequence[Flow]) -> bool:
    return not any(live_tokens(flow.browser.application) for flow in flows)


def redeem_one_code(flows: Sequence[Flow], losing: bool = False) -> None:
    """Redeem one code at once: RFC 6749 4.1.2, once; what a replay follows is revoked.

    With `losing`, an app may lose its database meanwhile, and with it the answer that won.
    """
    code = flows[0].allow()["code"]
    answers = at_once(*[partial(flow.redeem, code) for flow in spread(flows, THREADS)])
    check_one_winner(statuses(answers), losing)
    for answer in answers:
        successor = answer.get_json().get("refresh_token")
        assert successor is None or flows[0].refresh(successor).status_code == 400
    assert is_dead_everywhere(flows[:1] if losing else flows)


def use_one_refresh_token(flows: Sequence[Flow], losing: bool = False) -> None:
    """Use one refresh token at once, without a grace (RFC 9700 4.14.2)."""
    spent = flows[0].tokens()["refresh_token"]
    answers = at_once(*[partial(flow.refresh, spent) for flow in spread(flows, THREADS)])
    check_one_winner(statuses(answers), losing)
    assert is_dead_everywhere(flows[:1] if losing else flows)


def check_one_winner(found: list[int], losing: bool) -> None:
    served = [status for status in found if status != UNAVAILABLE]
    if losing:
        assert set(served) <= {200, 400}
        assert served.count(200) <= 1
    else:
        assert found == [200] + [400] * (THREADS - 1)


def retry_one_refresh(flows: Sequence[Flow], live: int) -> int:
    """Use one refresh token at once, within the grace: all get the same answer.

    `live` is how many tokens are live before; returns how many are afterwards.
    """
    spent = flows[0].tokens()["refresh_token"]
    answers = at_once(*[partial(flow.refresh, spent) for flow in spread(flows, THREADS)])
    assert statuses(answers) == [200] * THREADS
    assert len({answer.get_json()["refresh_token"] for answer in answers}) == 1
    assert len({answer.get_json()["access_token"] for answer in answers}) == 1
    # The access token of the first answer, and both of the second; all families live on.
    for flow in flows:
        assert live_tokens(flow.browser.application) == live + 3
    return live + 3


def refresh_and_revoke(flows: Sequence[Flow], losing: bool = False) -> None:
    """Refresh against revoke: after the answer nothing of the family is live, or becomes so."""
    tokens = flows[0].tokens()
    half = spread(flows, THREADS // 2)
    answers = at_once(
        *[partial(flow.refresh, tokens["refresh_token"]) for flow in half],
        *[partial(flow.revoke, tokens["access_token"]) for flow in half],
    )
    found = set(statuses(answers))
    assert found <= {200, 400, UNAVAILABLE} if losing else found <= {200, 400}
    assert is_dead_everywhere(flows[:1] if losing else flows)
    for answer in answers:
        successor = answer.get_json().get("refresh_token")
        assert successor is None or flows[0].refresh(successor).status_code == 400
