"""PostgreSQL with a streaming replica: two servers of a test's own, on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .programs import Account, ask, await_that, free_port, needed, stop, tell

DEBIAN = "/usr/lib/postgresql/*/bin"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "shared_buffers": "32MB",
    "hot_standby": "on",
}


class Server:
    """One of the two servers."""

    def __init__(self, folder: Path, account: Account, program: str) -> None:
        self.folder, self.account, self.program = folder, account, program
        self.port = free_port()
        self.log = folder.with_suffix(".log")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = [f"--{name}={value}" for name, value in SETTINGS.items()]
        self.process = self.account.start(
            self.program, "-D", self.folder, "-p", self.port, *options, log=self.log
        )
        await_that(self.answers, self.log)

    def answers(self) -> bool:
        return ask(self.url, "SELECT 1") is not None

    def stop(self) -> None:
        if self.process is not None:
            # Without waiting for those who are connected.
            stop(self.process, signal.SIGINT)
            self.process = None

    def send(self, how: int) -> None:
        """Send a signal to all processes of the server."""
        assert self.process is not None
        own = self.process.pid
        for each in Path(f"/proc/{own}/task/{own}/children").read_text().split():
            os.kill(int(each), how)
        os.kill(own, how)

    def pause(self) -> None:
        """Have the replica stay behind."""
        tell(self.url, "SELECT pg_wal_replay_pause()")
        await_that(
            lambda: ask(self.url, "SELECT pg_get_wal_replay_pause_state()") == ["paused"], self.log
        )

    def resume(self) -> None:
        tell(self.url, "SELECT pg_wal_replay_resume()")


@contextmanager
def primary_and_replica() -> Iterator[tuple[Server, Server]]:
    """Start a primary and its replica, and stop them afterwards."""
    initdb, copy, program = needed("initdb", "pg_basebackup", "postgres", folders=DEBIAN)
    account = Account("postgres")
    with account.folder() as folder:
        primary = Server(folder / "primary", account, program)
        replica = Server(folder / "replica", account, program)
        account.run(initdb, "-D", primary.folder, "-U", "postgres", "-A", "trust", "-N")
        try:
            primary.start()
            account.run(
                *(copy, "-D", replica.folder, "-d", f"host=127.0.0.1 port={primary.port}"),
                *("-U", "postgres", "-R", "-c", "fast", "-X", "stream", "-N"),
            )
            replica.start()
            yield primary, replica
        finally:
            replica.stop()
            primary.stop()
