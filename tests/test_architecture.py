"""The package is laid out as docs/internals.md says: features, layers, settings."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flask_pkce_server.features import FEATURES
from flask_pkce_server.settings.load import declared, feature_of

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "flask_pkce_server"
# A feature is a file, or a folder of its name.
FEATURE_NAMES = sorted(
    p.stem for p in (PACKAGE / "features").glob("*") if not p.stem.startswith("__")
)


def test_the_list_names_every_feature() -> None:
    assert sorted(feature.name for feature in FEATURES) == FEATURE_NAMES


@pytest.mark.parametrize("name", FEATURE_NAMES)
def test_a_feature_is_of_short_files_with_one_of_tests(name: str) -> None:
    folder = PACKAGE / "features"
    for file in (*folder.glob(f"{name}.py"), *folder.glob(f"{name}/*.py")):
        assert len(file.read_text().splitlines()) <= 250, file
    tests = ROOT / "tests" / "features"
    assert (tests / f"test_{name}.py").exists() or (tests / name / f"test_{name}.py").exists()
    module = importlib.import_module(f"flask_pkce_server.features.{name}")
    mine = [feature for feature in FEATURES if feature.__module__ == module.__name__]
    assert [feature.name for feature in mine] == [name]


def test_every_setting_has_a_meaning_and_its_feature_reads_no_other() -> None:
    assert all(setting.meaning for setting in declared().values())
    owned = {feature_of(key, FEATURE_NAMES) for key in declared()} - {None}
    assert owned <= set(FEATURE_NAMES)


def test_no_module_is_for_odds_and_ends() -> None:
    names = {path.stem for path in PACKAGE.rglob("*.py")}
    assert not names & {"utils", "util", "helpers", "helper", "manager", "service", "services"}


@pytest.mark.programs
def test_the_layers_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_test_module_imports_a_test_module() -> None:
    for file in sorted((ROOT / "tests").rglob("*.py")):
        found = re.findall(r"^\s*(?:from|import) [\w.]*\btest_.*", file.read_text(), re.MULTILINE)
        assert found == [], f"{file}: what tests share belongs in a module of its own"
