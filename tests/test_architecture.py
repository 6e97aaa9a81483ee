"""The package is laid out as docs/internals.md says: features, layers, settings."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flask_pkce_server import Feature
from flask_pkce_server.features import FEATURES
from flask_pkce_server.settings.load import declared, feature_of

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "flask_pkce_server"
# A feature is a file, or a folder of its name.
FEATURE_NAMES = sorted(
    p.stem for p in (PACKAGE / "features").glob("*") if not p.stem.startswith("__")
)

FILES = sorted(PACKAGE.rglob("*.py"))

#: Hooks that fewer than two features fill, and why they are there all the same.
RARE_HOOKS = {
    "resource_metadata": "one feature has the document (RFC 9728); those that bind tokens to "
    "keys (DPoP, mutual TLS) have to announce it there",
    "find_client": "only Client ID Metadata Documents bring clients that nobody registered",
    "read_token": "only JWT access tokens say themselves what they are",
    "check_token_use": "for tokens that are bound to a key, and for features of hosts, which "
    "docs/extending.md shows",
    "wrap_view": "only telemetry measures the views of others; an audit log of a host is the next",
    "complete_response": "only CORS adds headers to the answers of others; a DPoP nonce is the "
    "next",
}
#: What loops over features besides protocol/hooks.py, and why.
LOOPS = {
    "features/__init__.py": "it chooses them",
}


def test_the_list_names_every_feature() -> None:
    assert sorted(feature.name for feature in FEATURES) == FEATURE_NAMES


@pytest.mark.parametrize("name", FEATURE_NAMES)
def test_a_feature_is_a_module_with_a_file_of_tests(name: str) -> None:
    tests = ROOT / "tests" / "features"
    assert (tests / f"test_{name}.py").exists() or (tests / name / f"test_{name}.py").exists()
    module = importlib.import_module(f"flask_pkce_server.features.{name}")
    mine = [feature for feature in FEATURES if feature.__module__ == module.__name__]
    assert [feature.name for feature in mine] == [name]


def test_no_file_is_longer_than_250_lines() -> None:
    lines = {str(file.relative_to(PACKAGE)): len(file.read_text().splitlines()) for file in FILES}
    assert {file: number for file, number in lines.items() if number > 250} == {}


def test_each_hook_is_filled_by_two_features_or_has_a_reason() -> None:
    hooks = {
        name: default
        for name, default in vars(Feature).items()
        if callable(default) and not name.startswith("_")
    }
    rare = {
        name
        for name, default in hooks.items()
        if sum(getattr(feature, name) is not default for feature in FEATURES) < 2
    }
    assert rare == set(RARE_HOOKS)


def test_only_the_hooks_loop_over_features() -> None:
    found = {
        str(file.relative_to(PACKAGE))
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.For | ast.comprehension)
        and any(name.lower().strip("_") == "features" for name in names_in(node.iter))
    }
    assert found == {"protocol/hooks.py", *LOOPS}


def test_only_the_request_state_uses_flask_g() -> None:
    found = {
        str(file.relative_to(PACKAGE))
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if (isinstance(node, ast.Attribute) and ast.unparse(node) == "flask.g")
        or (
            isinstance(node, ast.ImportFrom)
            and node.module in ("flask", "flask.globals")
            and any(alias.name == "g" for alias in node.names)
        )
    }
    assert found == {"protocol/state.py"}


def names_in(expression: ast.expr) -> set[str]:
    """Return the names of the variables and attributes in an expression."""
    return {
        name
        for node in ast.walk(expression)
        for name in (getattr(node, "id", None), getattr(node, "attr", None))
        if name is not None
    }


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
