"""Strict JSON: JSON as in RFC 8259, without the constants that Python also accepts."""

from __future__ import annotations

import json
from functools import partial
from typing import Any


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


#: `json.loads` without NaN and Infinity; raises `ValueError` or `RecursionError`.
loads = partial(json.loads, parse_constant=_refuse_constant)
