"""The house stands as it was drawn: rooms, floors and settings."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from flask_pkce_server.features import FEATURES
from flask_pkce_server.settings import Settings

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "flask_pkce_server"
# A room is a file, or a package of its name.
ROOMS = sorted(p.stem for p in (PACKAGE / "features").glob("*") if not p.stem.startswith("__"))


def test_the_floor_plan_names_every_room() -> None:
    assert sorted(room.name for room in FEATURES) == ROOMS


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_of_short_files_with_one_of_tests(room: str) -> None:
    folder = PACKAGE / "features"
    for file in (*folder.glob(f"{room}.py"), *folder.glob(f"{room}/*.py")):
        assert len(file.read_text().splitlines()) <= 250, file
    assert (ROOT / "tests" / "features" / f"test_{room}.py").exists()
    module = importlib.import_module(f"flask_pkce_server.features.{room}")
    mine = [feature for feature in FEATURES if feature.__module__ == module.__name__]
    assert [feature.name for feature in mine] == [room]


def test_every_setting_has_a_meaning_and_at_most_one_room() -> None:
    assert all(setting.metadata["meaning"] for setting in fields(Settings))
    owned = [key for room in FEATURES for key in room.settings]
    assert len(owned) == len(set(owned))
    assert set(owned) <= {"PKCE_" + setting.name.upper() for setting in fields(Settings)}


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    names = {path.stem for path in PACKAGE.rglob("*.py")}
    assert not names & {"utils", "util", "helpers", "helper", "manager", "service", "services"}


@pytest.mark.programs
def test_the_floors_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_test_module_imports_a_test_module() -> None:
    for file in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names]
                names.append(getattr(node, "module", None) or "")
                shared = [part for name in names for part in name.split(".")]
                assert not [part for part in shared if part.startswith("test_")], (
                    f"{file}:{node.lineno}: what tests share belongs in a module of its own"
                )
