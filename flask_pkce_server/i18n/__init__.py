"""Internationalization: the texts of the pages in the languages of their readers."""

from __future__ import annotations


def translatable(message: str) -> str:
    """Return `message` unchanged; the call marks it for the extraction into the catalogs."""
    return message
