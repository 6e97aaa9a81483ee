"""What README.md and docs/ say is true: their code runs, their links lead somewhere.

The conventions of a page:
- Its ```python blocks run one after the other in one namespace.
- A comment `<!-- test: ... -->` is Python as well, in the same namespace: set-up that a
  reader need not see, and what must hold afterwards.
- A block that begins with `# app.py` is that file. A page with a `# test_....py` block is
  a test suite, and pytest runs it.
- In a ```console block `$ flask --app app` and `$ curl` are run against the `app` of the
  page. Each line below must come in the output, in this order; `...` stands for anything.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
import types
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from blinker import NamedSignal
from flask import Flask
from flask.testing import FlaskClient

from flask_pkce_server.testing import hidden_fields, parameters_of

from .error_kinds import ERROR_KINDS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PYPROJECT = ROOT / "pyproject.toml"
PAGES = [README, *sorted(DOCS.glob("*.md"))]
PIECE = re.compile(
    r"^```(python|console)\n(.*?)^```$|^<!-- test:(.*?)-->$", re.DOTALL | re.MULTILINE
)

#: Of the behaviours that docs/behaviours.md tells, all and in this order.
LABELS = """
    MO1 MO2 MO3 MO4 MO5 MO6 MO7 MO8 MO9 MO10 MO11 MO12 MO13 MO14
    RF1 RF2 RF3 RF4 RF5 RF6 RF7 RF8 RF9 RF10 RF11 RF12 RF13 RF14
    CE1 CE2 CE3 CE4 CE5 CE6 CE7 CE8 CE9 CE10 CE11 CE12
    A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12
    U1 U2 U3 U4 U5 U6 U7 U8 U9 U10 U11 U12 U13 U14 U15
    S1 S2 S3 S4 S5 S6 S7 S8 S9 S10 S11 S12 S13 S14
    K1 K2 K3 K4 K5 K6 K7
    NA1 NA2 NA3 NA4 NA5
    T1 T2 T3 T4 T5 T6
"""

#: What a newcomer reads is run each time.
QUICK = ("README", "quickstart", "testing")
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield
    for name in {"app", "conftest", "page"} & (set(sys.modules) - before):
        del sys.modules[name]


def pieces(page: Path) -> Iterator[tuple[str, str]]:
    for found in PIECE.finditer(page.read_text()):
        yield (found[1], found[2]) if found[1] else ("python", found[3].strip() + "\n")


def run_python(page: Path, code: str, names: dict[str, Any]) -> None:
    file = re.match(r"# (\w+\.py)\n", code)
    if file:
        Path(file[1]).write_text(code)
    if file and file[1] == "app.py":
        names.update(vars(load_app()))
    elif not file:
        exec(compile(code, str(page), "exec"), names)  # noqa: S102 - it is our own page


def load_app() -> Any:
    """Import app.py of this directory as Flask does."""
    spec = importlib.util.spec_from_file_location("app", Path("app.py").resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["app"] = module
    spec.loader.exec_module(module)
    return module


def commands(block: str) -> Iterator[tuple[list[str], list[str]]]:
    """Give each command of a console block with the lines that it is to print."""
    for part in re.split(r"^\$ ", block.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield shlex.split(command), output.splitlines()


def output_of(app: Flask, command: list[str]) -> str:
    if command[:3] == ["flask", "--app", "app"]:
        done = app.test_cli_runner().invoke(args=command[3:])
        assert done.exit_code == 0, done.output
        return done.output
    assert command[0] == "curl", command
    return curl(app, command)


def curl(app: Flask, command: list[str]) -> str:
    """Do what a line of curl says, with the app in the place of the network."""
    url, headers, form = "", {}, []
    words = iter(command[1:])
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "--data-urlencode":
            name, _, value = next(words).partition("=")
            form.append((name, value))
        elif word == "-u":
            headers["Authorization"] = "Basic " + b64encode(next(words).encode()).decode()
        elif word != "-i":
            url = word
    program = app.test_client(use_cookies=False)
    data = dict(form)
    response = program.open(url, method="POST" if data else "GET", data=data, headers=headers)
    head = f"HTTP/1.1 {response.status}\n{response.headers}" if "-i" in command else ""
    return head.replace("\r\n", "\n") + response.text


def assert_in_order(lines: list[str], output: str) -> None:
    rest = output.splitlines()
    for line in filter(None, lines):
        wanted = re.compile(".*".join(map(re.escape, line.strip().split("..."))))
        while rest and not wanted.fullmatch(rest[0].strip()):
            rest.pop(0)
        assert rest, f"{line!r} did not come, or not in its place, in:\n{output}"
        rest.pop(0)


@pytest.mark.parametrize(
    "page",
    [
        # The others take their time.
        pytest.param(page, marks=() if page.stem in QUICK else pytest.mark.thorough)
        for page in PAGES
    ],
    ids=lambda page: page.stem,
)
def test_what_a_page_shows_runs(page: Path, tmp_path: Path) -> None:
    # A module, so that SQLAlchemy finds the names in the annotations of a model.
    names = vars(sys.modules.setdefault("page", types.ModuleType("page")))
    for kind, code in pieces(page):
        if kind == "python":
            run_python(page, code, names)
            continue
        for command, lines in commands(code):
            assert_in_order(lines, output_of(names["app"], command))
    if list(tmp_path.glob("test_*.py")):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert " passed" in done.stdout


@pytest.mark.parametrize(
    "page", [*PAGES, CONTRIBUTING, ROOT / "SECURITY.md"], ids=lambda page: page.stem
)
def test_every_link_and_image_is_there(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            made = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in made, target


def test_the_index_names_every_page() -> None:
    index = (DOCS / "index.md").read_text()
    assert [page.name for page in PAGES[1:] if f"({page.name})" not in index] == ["index.md"]


def test_the_readme_is_short() -> None:
    lines = README.read_text().splitlines()
    # Each feature has a row in the table of standards.
    assert len([line for line in lines if not line.startswith("|")]) <= 135


def test_each_standard_has_its_feature_and_its_tests() -> None:
    from flask_pkce_server.features import FEATURES

    rows = re.findall(
        r"^\|.*\| `(\S+)` \| \[[^\]]+\]\((\S+)\) \|$", README.read_text(), re.MULTILINE
    )
    assert {feature.name for feature in FEATURES} <= {name for name, _ in rows}
    for _, file in rows:
        assert "def test_" in (ROOT / file).read_text(), file


def test_each_mistake_has_the_test_that_keeps_it_out() -> None:
    text = (DOCS / "mistakes.md").read_text()
    rows = re.findall(r"\| \[[\w.]+\]\(\.\./(\S+)\) `(\w+)` \|$", text, re.MULTILINE)
    mistakes = [line for line in text.splitlines() if re.match(r"\| (?!\*\*|What went)", line)]
    assert len(rows) == len(mistakes) > 40
    for file, name in rows:
        assert f"def {name}(" in (ROOT / file).read_text(), name


def test_each_guarantee_has_tests_that_hold_it() -> None:
    text = (DOCS / "security.md").read_text()
    rows = re.findall(r"^\| (?!Guarantee)[^|-][^|]* \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE)
    assert len(rows) == len(re.findall(r"^\| (?!Guarantee)[^|-]", text, re.MULTILINE)) > 25
    for cell in rows:
        assert "`test_" in cell
        file = ""
        for path, name in re.findall(r"\[[\w.]+\]\(\.\./(\S+)\)|`(\w+)`", cell):
            file = path or file
            assert not name or f"def {name}(" in (ROOT / file).read_text(), name


def test_each_behaviour_that_products_describe_has_its_tests() -> None:
    text = (DOCS / "behaviours.md").read_text()
    rows = re.findall(r"^\| [^|]+ \| ([A-Z]+\d+) \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE)
    assert [label for label, _ in rows] == LABELS.split()
    named = set()
    for label, cell in rows:
        file = ""
        for path, name in re.findall(r"\[[\w.]+\]\(\.\./(\S+)\)|`(\w+)`", cell):
            file = path or file
            if not name:
                continue
            assert f"def {name}(" in (ROOT / file).read_text(), name
            assert label.startswith("S") or label in name.split("_"), (label, name)
            named.add(name)
    # And no behaviour is tested that the page does not tell.
    for file in ("tests/test_behaviours.py", "tests/clients/test_spring_facts.py"):
        tests = re.findall(r"^def (test_\w+)", (ROOT / file).read_text(), re.MULTILINE)
        assert [name for name in tests if name not in named] == []


def test_the_images_are_shown_and_small() -> None:
    # To take them again: make screenshots
    images = list((DOCS / "images").glob("*.png"))
    maker = (DOCS / "make_screenshots.py").read_text()
    text = "".join(page.read_text() for page in PAGES)
    for image in images:
        assert f'"{image.stem}"' in maker or f'"{image.name}"' in maker, image.name
        assert f"images/{image.name})" in text, image.name
        assert image.read_bytes().startswith(b"\x89PNG")
        assert image.stat().st_size < 175_000
    assert len(images) == 9


def test_the_configuration_reference_is_fresh() -> None:
    spec = importlib.util.spec_from_file_location("maker", DOCS / "make_configuration.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    fresh = "run: python docs/make_configuration.py"
    assert (DOCS / "configuration.md").read_text() == maker.page(), fresh


def test_every_error_and_every_signal_has_a_line() -> None:
    import flask_pkce_server

    page = (DOCS / "errors.md").read_text()
    codes = {kind.error for kind in ERROR_KINDS if kind.error}
    assert {"authorization_pending", "invalid_target", "request_not_supported"} < codes
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []
    page = (DOCS / "signals.md").read_text()
    signals = [
        name
        for name in flask_pkce_server.__all__
        if type(getattr(flask_pkce_server, name)) is NamedSignal
    ]
    assert [name for name in signals if f"`{name}`" not in page] == []


def quickstart_is_the_readme() -> None:
    """Assert that the parts of the quickstart are the one file of the README."""
    (app,) = [code for _, code in pieces(README) if code.startswith("# app.py\n")]
    shown = re.findall(r"^```python\n(.*?)^```$", (DOCS / "quickstart.md").read_text(), re.S | re.M)
    lines = [line for part in shown for line in part.splitlines() if line]
    assert lines == [line for line in app.splitlines()[1:] if line]


def readme_app() -> tuple[Flask, list[str]]:
    """Return the app of the README, and the line of it that registers a client."""
    blocks = list(pieces(README))
    (code,) = [code for _, code in blocks if code.startswith("# app.py\n")]
    Path("app.py").write_text(code)
    (create,) = [
        command
        for kind, code in blocks
        if kind == "console"
        for command, _ in commands(code)
        if "create" in command
    ]
    return load_app().app, create


def sign_in(browser: FlaskClient, path: str) -> str:
    """Follow `path` to the login page, sign in there, and return where that leads."""
    page = browser.get(path, follow_redirects=True)
    assert page.request.path == "/login"
    form = {**csrf_of(page.text), "username": "demo", "password": "demo"}
    done = browser.post(page.request.full_path, data=form)
    assert done.status_code == 303
    return done.headers["Location"]


def csrf_of(page: str) -> dict[str, str]:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found, page
    return {"csrf_token": found[1]}


def test_the_readme_leads_to_the_first_token() -> None:
    app, create = readme_app()
    # The command as a newcomer runs it, in a process of its own.
    done = subprocess.run(
        [sys.executable, "-m", *create],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (url,) = re.findall(r"^  (http://127\.0\.0\.1:5000/oauth/authorize\?\S+)$", done.stdout, re.M)
    (line,) = re.findall(r"^  (curl .*)$", done.stdout, re.M)
    browser = app.test_client()
    page = browser.get(sign_in(browser, url.removeprefix("http://127.0.0.1:5000")))
    assert "Notebook" in page.text
    assert "Read your notes" in page.text
    decision = {**hidden_fields(page.text), "decision": "allow"}
    back = browser.post(page.request.full_path, data=decision)
    assert back.headers["Location"].startswith("http://127.0.0.1:8000/callback?code=")
    answer = parameters_of(back)
    assert answer["state"] == parse_qs(urlsplit(url).query)["state"][0]
    token = app.json.loads(curl(app, shlex.split(line.replace("CODE", answer["code"]))))
    api = ["curl", "-i", "http://127.0.0.1:5000/api/notes"]
    guarded = curl(app, [*api, "-H", f"Authorization: Bearer {token['access_token']}"])
    assert guarded.startswith("HTTP/1.1 200 OK")
    assert "A note of demo" in guarded


def test_the_login_page_of_the_readme_sends_nobody_elsewhere() -> None:
    app, _ = readme_app()
    for elsewhere in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        browser = app.test_client()
        path = f"/login?next={elsewhere}"
        form = {**csrf_of(browser.get(path).text), "username": "demo", "password": "demo"}
        assert browser.post(path, data=form).headers["Location"] == "/"


def test_every_attribute_and_every_hook_is_documented_with_its_arguments() -> None:
    from flask_pkce_server import Feature

    documented = first_cells(DOCS / "extending.md")
    hooks = {call_of(name, one) for name, one in vars(Feature).items() if inspect.isfunction(one)}
    assert {text for text in documented if re.fullmatch(r"\w+\(.*\)", text)} == hooks
    assert [name for name in Feature.__annotations__ if name not in documented] == []


def test_everything_that_a_feature_may_ask_of_the_server_is_documented() -> None:
    from flask_pkce_server import Server

    members = {f"server.{name}" for name in Server.__annotations__}
    for name, one in vars(Server).items():
        if isinstance(one, property):
            members.add(f"server.{name}")
        elif inspect.isfunction(one) and not name.startswith("_"):
            members.add(f"server.{call_of(name, one)}")
    assert len(members) > 30
    documented = first_cells(DOCS / "extending.md")
    assert {text for text in documented if text.startswith("server.")} == members


def test_what_a_feature_needs_is_imported_from_the_package_itself() -> None:
    import flask_pkce_server

    for page in (DOCS / "extending.md", DOCS / "signals.md"):
        imported = re.findall(r"^from (flask_pkce_server\S*) import ", page.read_text(), re.M)
        assert {name for name in imported if ".testing" not in name} == {"flask_pkce_server"}
    hints = {
        name
        for one in vars(flask_pkce_server.Feature).values()
        if inspect.isfunction(one)
        for hint in one.__annotations__.values()
        for name in re.findall(r"[A-Z]\w+", hint)
    }
    elsewhere = {
        "Any",
        "Callable",
        "Iterable",
        "Listener",
        "Mapping",
        "None",
        "Response",
        "Session",
    }
    assert hints - elsewhere <= set(flask_pkce_server.__all__)


def first_cells(page: Path) -> set[str]:
    """Return what stands in backquotes in the first cells of the tables of a page."""
    cells = re.findall(r"^\| (.+?) \|", page.read_text(), re.MULTILINE)
    return {text for cell in cells for text in re.findall(r"`([^`]+)`", cell)}


def call_of(name: str, method: Any) -> str:
    """Return how a method is called, by the names of its arguments."""
    arguments = [one for one in inspect.signature(method).parameters if one != "self"]
    return f"{name}({', '.join(arguments)})"


def test_internals_names_every_part_of_the_package_and_its_layers() -> None:
    text = (DOCS / "internals.md").read_text()
    package = ROOT / "flask_pkce_server"
    parts = [f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").exists()]
    parts += [path.name for path in package.glob("*.py")]
    assert [part for part in parts if f"\n| `{part}` |" not in text] == []
    # The first list of layers is that of the packages.
    layers = re.findall(r"^layers = \[\n(.*?)\n\]", PYPROJECT.read_text(), re.S | re.M)[0]
    (drawn,) = re.findall(r"^```mermaid\n(.*?)^```$", text, re.S | re.M)
    assert re.findall(r'\["(.+?)"\]', drawn) == re.findall(r'"(.+?)"', layers)


def test_each_place_that_internals_names_is_there() -> None:
    places = re.findall(r"`([\w/]+\.py):([\w.]+)`", (DOCS / "internals.md").read_text())
    assert len(places) > 60
    for file, name in places:
        text = (ROOT / "flask_pkce_server" / file).read_text()
        for part in name.split("."):
            assert re.search(rf"^ *(def|class) {part}\b", text, re.MULTILINE), (file, name)


@pytest.mark.programs
def test_the_feature_of_the_contributing_guide_works(tmp_path: Path) -> None:
    for name in ("flask_pkce_server", "tests"):
        left_out = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=left_out)
    shutil.copy(PYPROJECT, tmp_path)
    files = r"^```python\n# (\S+)\n(.*?)^```$"
    blocks = dict(re.findall(files, CONTRIBUTING.read_text(), re.S | re.M))
    for file, code in blocks.items():
        path = tmp_path / file
        if not path.exists():
            path.write_text(code)
    entry = blocks["flask_pkce_server/features/__init__.py"].splitlines(keepends=True)
    insert(tmp_path / "flask_pkce_server/features/__init__.py", "from .introspection", entry[0])
    insert(tmp_path / "flask_pkce_server/features/__init__.py", "    ParFeature,", entry[1])
    setting = "flask_pkce_server/settings/__init__.py"
    insert(tmp_path / setting, "    key_secret: ", blocks[setting])
    pytest_of = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    tests = ["tests/features/test_foo.py", "tests/test_architecture.py", "-k", "foo or setting"]
    done = subprocess.run(
        [*pytest_of, *tests],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ruff = Path(sys.executable).with_name("ruff")
    for command in (["check", "--no-cache"], ["format", "--no-cache", "--check"]):
        done = subprocess.run(
            [ruff, *command, *blocks], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def insert(path: Path, before: str, lines: str) -> None:
    """Insert `lines` into a file, before the line that begins with `before`."""
    text = path.read_text()
    assert text.count(f"\n{before}") == 1
    path.write_text(text.replace(f"\n{before}", f"\n{lines}{before}"))
