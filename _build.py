"""Build backend: compiles the message catalogs, then calls setuptools (PEP 517).

Wheels and editable installs carry the compiled catalogs; the source distribution carries
their sources and this file. Without catalogs, there is nothing to compile.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from setuptools import build_meta
from setuptools.build_meta import (
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

TRANSLATIONS = Path(__file__).parent / "flask_pkce_server" / "i18n" / "translations"


def build_wheel(*arguments: Any, **options: Any) -> str:
    """Build the wheel, with every catalog compiled."""
    compile_catalogs()
    return build_meta.build_wheel(*arguments, **options)


def build_editable(*arguments: Any, **options: Any) -> str:
    """Build the editable wheel, with every catalog compiled in place."""
    compile_catalogs()
    return build_meta.build_editable(*arguments, **options)


def compile_catalogs() -> None:
    """Write a `.mo` file next to each `.po` file."""
    for source in TRANSLATIONS.glob("*/LC_MESSAGES/*.po"):
        with source.open("rb") as lines, source.with_suffix(".mo").open("wb") as compiled:
            write_mo(compiled, read_po(lines, locale=source.parts[-3]))
