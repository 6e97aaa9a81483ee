"""Database servers that a test starts itself: on loopback, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ..services import missing

#: Seconds for a server to start, to stop, or to come back with what it missed.
TIMEOUT = 60


def needed(*names: str, folders: str = "") -> list[str]:
    """Return the paths of these programs; skip the test, or fail it, where one is missing.

    `folders` is a pattern of folders in which Debian has those that are not for everybody.
    """
    found = sorted(Path("/").glob(folders.lstrip("/"))) if folders else []
    path = os.pathsep.join([*map(str, reversed(found)), os.environ["PATH"], "/usr/sbin"])
    paths = {name: shutil.which(name, path=path) for name in names}
    for name, where in paths.items():
        if where is None:
            missing(f"no {name} here")
    return [where for where in paths.values() if where is not None]


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


class Account:
    """Whom the servers run as: they refuse root, who has the account of their package."""

    def __init__(self, name: str) -> None:
        self.is_other = os.getuid() == 0
        self.options: dict[str, Any] = {}
        if self.is_other:
            self.options = {"user": name, "group": name, "extra_groups": []}

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Make a folder that belongs to the account, and delete it afterwards."""
        # pytest keeps its own folders from everybody else.
        with tempfile.TemporaryDirectory(prefix="pkce-", ignore_cleanup_errors=True) as name:
            if self.is_other:
                shutil.chown(name, self.options["user"], self.options["group"])
            yield Path(name)

    def run(self, *command: object) -> str:
        """Run a command to its end; return what it printed, which the error shows too."""
        done = subprocess.run(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            **self.options,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def start(self, *command: object, log: Path) -> subprocess.Popen[bytes]:
        """Start a server that stays in the foreground; what it prints is added to `log`."""
        with log.open("ab") as printed:
            return subprocess.Popen(
                [str(word) for word in command],
                stdout=printed,
                stderr=printed,
                cwd="/",
                **self.options,
            )


def stop(process: subprocess.Popen[bytes], how: int = signal.SIGTERM) -> None:
    """End a server, by its own process id, and wait until it has ended."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def await_that(is_so: Callable[[], bool], log: Path) -> None:
    """Wait until something is so; if it is not in time, show the end of `log`."""
    end = time.monotonic() + TIMEOUT
    while not is_so():
        assert time.monotonic() < end, log.read_text(errors="replace")[-3000:]
        time.sleep(0.05)


def ask(url: str, question: str) -> list[Any] | None:
    """Return the first row of an answer of the server at `url`; None if it gives none."""
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            row = connection.execute(text(question)).first()
        return None if row is None else list(row)
    except DBAPIError:
        return None


def tell(url: str, *commands: str) -> None:
    """Have the server at `url` run some commands."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for command in commands:
            connection.execute(text(command))
