"""Browser: its family and operating system, as far as the User-Agent header names them."""

from __future__ import annotations

import re

_BROWSERS = ("Edg", "OPR", "Firefox", "Chrome", "Safari")


_CALLED = {"Edg": "Edge", "OPR": "Opera"}


_SYSTEMS = (
    (r"Windows", "Windows"),
    (r"Android", "Android"),
    (r"iPhone|iPad", "iOS"),
    (r"Mac OS X", "macOS"),
    (r"Linux|X11", "Linux"),
)


def browser_of(user_agent: str) -> tuple[str, str]:
    """Return the family and system of a browser, without versions; "" for an unknown one."""
    browser = next((_CALLED.get(name, name) for name in _BROWSERS if f"{name}/" in user_agent), "")
    system = next((name for shape, name in _SYSTEMS if re.search(shape, user_agent)), "")
    return browser, system
