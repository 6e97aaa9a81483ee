"""Texts that people read, in their own language."""

from __future__ import annotations


def translatable(message: str) -> str:
    """Mark `message` as a text of the pages, to be found when the catalogs are made."""
    return message
