"""docs/growing.md: the settings that it shows, so that tests use just these."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from flask import Flask

PAGE = Path(__file__).parents[2] / "docs" / "growing.md"


def blocks(heading: str, kind: str) -> list[str]:
    """Return the code blocks of a kind below a heading."""
    text = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(rf"^```{kind}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found, f"{heading} shows no {kind}"
    return found


def config_of(heading: str) -> dict[str, Any]:
    """Return what the app is to set."""
    app = Flask("page")
    before = dict(app.config)
    for code in blocks(heading, "python"):
        exec(compile(code, str(PAGE), "exec"), {"app": app})  # noqa: S102 - it is our own page
    return {name: value for name, value in app.config.items() if name not in before}


def options_of(heading: str) -> dict[str, str]:
    """Return what the server is to set."""
    lines = [line for block in blocks(heading, "ini") for line in block.splitlines()]
    pairs = (line.partition(" = ") for line in lines)
    return {name: value for name, _, value in pairs}
