"""Sign-in: one browser or device in which a user signed in to an app, read from grants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...models.connection import LiveGrant

#: The binding that says with which browser, or that with a device.
BINDING = "connected_apps"


@dataclass
class SignIn:
    """One row of "Signed in with": the grants of one browser, or that of one device."""

    #: What the browser calls itself; "" if unknown.
    browser: str
    system: str
    is_device: bool
    #: When the newest live token was issued (epoch seconds).
    last_seen: int
    grant_ids: list[str] = field(default_factory=list)


def sign_ins(grants: Iterable[LiveGrant]) -> list[SignIn]:
    """Return the sign-ins that `grants` stem from, in the order of `grants`.

    A browser that signed in twice is one row; devices have
    no names to tell them apart, so each is a row of its own.
    """
    rows: dict[object, SignIn] = {}
    for item in grants:
        grant = item.grant
        agent = grant.bindings.get(BINDING, {})
        browser, system = agent.get("browser", ""), agent.get("system", "")
        is_device = bool(agent.get("device"))
        key = grant.grant_id if is_device else (browser, system)
        new = SignIn(browser, system, is_device, item.last_issued_at)
        rows.setdefault(key, new).grant_ids.append(grant.grant_id)
    return list(rows.values())
