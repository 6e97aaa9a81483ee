"""Strict JSON: what RFC 8259 allows, and nothing else that Python reads as well."""

from __future__ import annotations

import json
from typing import Any


def loads(text: str | bytes) -> Any:
    """Return what `text` says; raises `ValueError` or `RecursionError` if it is not JSON."""
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
