"""Database servers of a test's own, which it may stop, crash and bring back."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ..growing.postgresql import DEBIAN
from ..growing.postgresql import Server as Postgres
from ..growing.programs import Account, ask, await_that, free_port, needed, stop, tell


class Database(Protocol):
    """A server with an empty database at `url`."""

    @property
    def url(self) -> str: ...

    def start(self) -> None:
        """Start the server, and wait until it answers."""

    def stop(self) -> None:
        """Stop the server without waiting for those who are connected."""

    def crash(self) -> None:
        """Have the server end at once, with what is in its memory."""

    def freeze(self) -> None:
        """Have the server answer nothing, and refuse nothing."""

    def thaw(self) -> None:
        """Let it go on."""

    def become(self, *, read_only: bool) -> None:
        """Have it accept no writes on new connections, as a standby, or accept them again."""


class PostgreSQL(Postgres):
    """PostgreSQL, in the folder that initdb filled."""

    def send(self, how: int) -> None:
        # Stopped first, it neither starts processes nor sees how they end.
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        super().send(how)

    def crash(self) -> None:
        assert self.process is not None
        self.send(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def freeze(self) -> None:
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def become(self, *, read_only: bool) -> None:
        tell(
            self.url,
            "SET default_transaction_read_only = off",
            f"ALTER DATABASE postgres SET default_transaction_read_only = {read_only}",
        )


class MariaDB:
    """MariaDB, in the folder that mariadb-install-db filled."""

    def __init__(self, folder: Path, account: Account, program: str) -> None:
        self.folder, self.account, self.program = folder, account, program
        self.port, self.log = free_port(), folder.with_suffix(".log")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mysql+pymysql://app@127.0.0.1:{self.port}/pkce"

    def start(self) -> None:
        self.process = self.account.start(
            self.program,
            "--no-defaults",
            f"--datadir={self.folder}",
            f"--socket={self.folder}.sock",
            f"--pid-file={self.folder}.pid",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-log-file-size=16M",
            log=self.log,
        )
        await_that(lambda: ask(self._as_root, "SELECT 1") is not None, self.log)
        tell(
            self._as_root,
            "CREATE DATABASE IF NOT EXISTS pkce",
            # Root may write even where the server is read-only.
            "CREATE USER IF NOT EXISTS app@127.0.0.1",
            "GRANT ALL ON pkce.* TO app@127.0.0.1",
        )

    @property
    def _as_root(self) -> str:
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/"

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process)
            self.process = None

    def crash(self) -> None:
        assert self.process is not None
        stop(self.process, signal.SIGKILL)
        self.process = None

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def become(self, *, read_only: bool) -> None:
        tell(self._as_root, f"SET GLOBAL read_only = {read_only}")


@contextmanager
def own_server(service: str) -> Iterator[Database]:
    """Start a server of this kind, and stop it afterwards."""
    account: Account
    if service == "postgresql":
        install, program = needed("initdb", "postgres", folders=DEBIAN)
        account, options = Account("postgres"), ["-U", "postgres", "-A", "trust", "-N", "-D"]
    else:
        install, program = needed("mariadb-install-db", "mariadbd")
        account, options = Account("mysql"), ["--no-defaults", "--skip-test-db"]
        options += ["--auth-root-authentication-method=normal", "--innodb-log-file-size=16M"]
    with account.folder() as folder:
        place, server = folder / service, None
        if service == "postgresql":
            account.run(install, *options, place)
            server = PostgreSQL(place, account, program)
        else:
            account.run(install, *options, f"--datadir={place}")
            server = MariaDB(place, account, program)
        try:
            server.start()
            yield server
        finally:
            server.stop()
