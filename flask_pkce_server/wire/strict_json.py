"""Strict JSON: JSON as in RFC 8259, without the constants that Python also accepts."""

from __future__ import annotations

import json
from typing import Any


def loads(text: str | bytes) -> Any:
    """Return the value of `text`; raises `ValueError` or `RecursionError` if it is not JSON."""
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
