"""Policy: what the page that answers this request may load and do (CSP Level 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import g

if TYPE_CHECKING:
    pass


def allow_here(**directives: str) -> None:
    """Let the page that answers this request do what pages may not.

    By the directives of its content security policy: `script_src="'self'"`.
    """
    found = {name.replace("_", "-"): sources for name, sources in directives.items()}
    g._pkce_policy = {**allowed_here(), **found}


def allowed_here() -> dict[str, str]:
    """Return what the page that answers this request may do besides."""
    allowed: dict[str, str] = g.get("_pkce_policy", {})
    return allowed
