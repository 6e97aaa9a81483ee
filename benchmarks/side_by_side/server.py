"""A server under test: a program on a free port, and the worker processes that it starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from .cpu import children_of
from .load import get, send

ROOT = Path(__file__).parent.parent.parent
WORKERS = 2


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    pid: int

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        return children_of(self.pid)

    def processes(self) -> list[int]:
        """Return the process ids of the workers, and of the process that started them."""
        return [self.pid, *self.workers()]


def gunicorn(app: str, port: int) -> list[str]:
    """Return the command that serves a WSGI app with two sync workers."""
    options = ["--workers", str(WORKERS), "--bind", f"127.0.0.1:{port}", "--log-level", "warning"]
    if "--no-control-socket" in _gunicorn_help():
        options.append("--no-control-socket")
    return [sys.executable, "-m", "gunicorn", *options, app]


def _gunicorn_help() -> str:
    command = [sys.executable, "-m", "gunicorn", "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - own program


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a server: this one's, the checkout on the path, and `variables`.

    Nothing in this shell configures Flask.
    """
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("FLASK_")}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", **variables}


def free_port() -> int:
    """Return a port of this machine on which nothing listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running(
    command: list[str], port: int, variables: Mapping[str, str], ready: str
) -> Iterator[Server]:
    """Run a server until the end of the block; enter it when the path `ready` is answered."""
    with TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - own program
            command, env=dict(variables), cwd=ROOT, stdout=log, stderr=log
        )
        try:
            _wait(process, port, ready)
            yield Server(port, process.pid)
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace"))
            raise
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, ready: str) -> None:
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        try:
            if len(children_of(process.pid)) == WORKERS and send(port, get(ready)).status < 500:
                return
        except (OSError, ValueError):
            pass
        time.sleep(0.05)
    raise SystemExit(f"{' '.join(map(str, process.args))} did not start.")  # type: ignore[arg-type]
