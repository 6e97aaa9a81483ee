"""docs/monitoring.md: its recipe for Prometheus works with several workers, as do its names."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from flask_pkce_server.testing import register

from .host import make_app

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "monitoring.md").read_text()
#: The names in the table of the page.
NAMES = re.findall(r"^\| `(pkce\.\S+)` \| `(\S+)` \|", PAGE, re.MULTILINE)
WORKERS = 2
APP = """
from tests.host import make_app

def create_app():
    app = make_app(init=False, **{config!r})
    app.pkce.init_app(app)
    return app
"""


def free_ports(number: int) -> int:
    """Return the first of so many ports in a row that are free."""
    for first in range(20_000 + os.getpid() % 5000, 60_000, number):
        try:
            for port in range(first, first + number):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first
    raise AssertionError("no ports are free")


class Served:
    """gunicorn with the recipe of the page, and what it publishes."""

    def __init__(self, folder: Path, *options: str) -> None:
        #: Where prometheus_client shares its own metrics between processes.
        self.shared = folder / "shared"
        self.shared.mkdir()
        self.first = free_ports(1 + 2 * WORKERS)
        self.url = f"http://127.0.0.1:{self.first}"
        config = {
            "PKCE_ISSUER": self.url,
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{folder}/app.db",
            "PKCE_SQLITE_PRAGMAS": True,
            "PKCE_FEATURES": {"telemetry": True},
        }
        app = make_app(**config)
        self.client_id = register(app).client_id
        with app.app_context():
            app.db.engine.dispose()
        (folder / "app.py").write_text(APP.format(config=config))
        (recipe,) = re.findall(r"^```python\n(# gunicorn_conf\.py\n.*?)^```$", PAGE, re.M | re.S)
        assert f"workers = {WORKERS}\n" in recipe
        recipe = recipe.replace("9464", str(self.first + 1))
        (folder / "gunicorn_conf.py").write_text(recipe)
        (command,) = re.findall(r"^gunicorn (.*)$", PAGE, re.MULTILINE)
        words = command.replace("'", "").split()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *words, *options, "--bind", self.url[7:]],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "HOME": str(folder),
                "PROMETHEUS_MULTIPROC_DIR": str(self.shared),
            },
        )

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def children(self) -> set[int]:
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return set(map(int, found.split()))

    def scrape(self) -> dict[int, str]:
        """Return what is published, by the place of the worker."""
        found = {}
        for place in range(2 * WORKERS):
            try:
                address = f"http://127.0.0.1:{self.first + 1 + place}/metrics"
                found[place] = requests.get(address, timeout=5).text
            except requests.ConnectionError:
                continue
        return found

    def refused(self) -> list[float]:
        """Return how many token requests each worker has refused."""
        line = re.compile(r'^pkce_requests_refused_total\{.*pkce_endpoint="token".*\} (\S+)$', re.M)
        return [sum(map(float, line.findall(page))) for page in self.scrape().values()]

    def ask(self) -> None:
        """Send a token request, on a connection of its own."""
        form = {"grant_type": "refresh_token", "client_id": self.client_id, "refresh_token": "x"}
        answer = requests.post(f"{self.url}/oauth/token", data=form, timeout=10)
        assert answer.json()["error"] == "invalid_grant"


def wait_until(is_so: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture(params=[[], ["--preload"]], ids=["each worker loads the app", "--preload"])
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    with closing(Served(tmp_path, *request.param)) as served:
        wait_until(lambda: len(served.scrape()) == WORKERS)
        yield served


@pytest.mark.programs
@pytest.mark.thorough
def test_each_worker_publishes_what_it_answered(served: Served) -> None:
    asked = 0
    while min(served.refused(), default=0) == 0:
        served.ask()
        asked += 1
        assert asked < 500, "one worker answers everything"
    counted = served.refused()
    # No page alone has the number; all together have.
    assert sum(counted) == asked
    assert max(counted) < asked
    # Nor has the multiprocess mode of prometheus_client.
    assert not [file for file in served.shared.iterdir() if b"pkce" in file.read_bytes()]

    # What is published has the names that the page tells.
    page = served.scrape()[0]
    published = set(re.findall(r"^# TYPE (\S+) ", page, re.MULTILINE))
    assert {"pkce_requests_refused_total", "pkce_prune_lag_seconds"} < published
    assert {name for name in published if name.startswith("pkce_")} <= {n for _, n in NAMES}

    # Another worker takes the place of one that dies, and begins to count anew.
    before = served.children()
    os.kill(min(before), signal.SIGKILL)
    wait_until(lambda: len(served.children() - before) == 1 and len(served.scrape()) == WORKERS)
    assert set(served.scrape()) == {0, 1}
    assert sum(served.refused()) < asked

    # While gunicorn reloads, the new workers have places of their own.
    before = served.children()
    served.process.send_signal(signal.SIGHUP)
    wait_until(lambda: not served.children() & before and len(served.scrape()) == WORKERS)
    served.ask()
    assert sum(served.refused()) == 1


def test_the_page_names_every_metric_as_prometheus_does() -> None:
    from flask_pkce_server.features.telemetry import instruments

    kinds = {"create_counter": "_total", "create_histogram": "", "create_observable_gauge": ""}
    made: Counter[tuple[str, str]] = Counter()
    for file in Path(instruments.__file__).parent.glob("*.py"):
        call = r'meter\.(create_\w+)\(\s*"(\S+)",(?: \[\w+\],)?\s*"(\S+)"'
        for kind, name, unit in re.findall(call, file.read_text()):
            end = ("_seconds" if unit == "s" else "") + kinds[kind]
            made[name, name.replace(".", "_") + end] += 1
    assert made == Counter(NAMES)
    assert len(made) == 7


def test_the_alerts_use_metrics_and_attributes_that_there_are() -> None:
    (alerts,) = re.findall(r"^```yaml\n# alerts\.yml\n(.*?)^```$", PAGE, re.M | re.S)
    used = set(re.findall(r"\bpkce_\w+_(?:total|seconds)\b", alerts))
    assert used <= {name for _, name in NAMES}
    assert len(used) == 4
    attributes = {name.replace(".", "_") for name in re.findall(r"`((?:pkce|error)\.\w+)`", PAGE)}
    assert set(re.findall(r"\b(?:pkce_\w+|error_type)\b", alerts)) - used <= attributes | {
        "pkce_endpoint_duration_seconds_count",
        "pkce_endpoint_duration_seconds_bucket",
    }
