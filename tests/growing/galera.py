"""A Galera cluster: three MariaDB servers, of which any can be killed and brought back."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from ..services import missing
from .page import options_of
from .programs import Account, ask, await_that, free_port, needed, stop

#: Where Debian and others put the library.
PROVIDERS = ("/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera/libgalera_smm.so")
# A node that comes back joins the others, and does not try to bring back what it last saw.
GROUP = "pc.recovery=FALSE"


class Node:
    """One server of the cluster."""

    def __init__(self, folder: Path, account: Account, programs: list[str]) -> None:
        self.folder, self.account = folder, account
        self.server, self.provider = programs
        self.log = folder.with_suffix(".log")
        self.port, self.group, self.changes, self.state = (free_port() for _ in range(4))
        self.peers: list[Node] = []
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "") -> str:
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{database}"

    def command(self, log: Path) -> list[str]:
        peers = ",".join(f"127.0.0.1:{node.group}" for node in self.peers)
        return [
            self.server,
            "--no-defaults",
            f"--datadir={self.folder}",
            f"--socket={self.folder}.sock",
            f"--pid-file={self.folder}.pid",
            f"--log-error={log}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--max-connections=300",
            "--innodb-log-file-size=16M",
            "--innodb-flush-log-at-trx-commit=0",
            # The users of the tests count from one, whichever node counts.
            "--wsrep-auto-increment-control=OFF",
            *(f"--{name}={value}" for name, value in options_of("Galera").items()),
            f"--wsrep-provider={self.provider}",
            f"--wsrep-node-name={self.folder.name}",
            f"--wsrep-node-address=127.0.0.1:{self.group}",
            f"--wsrep-cluster-address=gcomm://{peers}",
            f"--wsrep-sst-receive-address=127.0.0.1:{self.state}",
            f"--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{self.group};"
            f"ist.recv_addr=127.0.0.1:{self.changes};{GROUP};gcache.size=64M",
        ]

    def start(self) -> None:
        """Start the server, and wait until it has all that the others have."""
        command = self.command(self.log)
        if (self.folder / "grastate.dat").exists():
            command.append(f"--wsrep-start-position={self.position()}")
        self.process = self.account.start(*command, log=self.folder.with_suffix(".printed"))
        await_that(self.is_synced, self.log)

    def position(self) -> str:
        """Return up to where this node has the changes, as Debian's galera_recovery does."""
        log = self.folder.with_suffix(".recovery")
        self.account.run(*self.command(log), "--wsrep-recover", "--skip-networking")
        return re.findall(r"Recovered position: *(\S+)", log.read_text())[-1]

    def status(self, name: str) -> str | None:
        row = ask(self.url(), f"SHOW STATUS LIKE '{name}'")
        return None if row is None else str(row[1])

    def is_synced(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        return self.status("wsrep_local_state_comment") == "Synced"

    def kill(self) -> None:
        """Have the server end at once, as a power cut does."""
        assert self.process is not None
        stop(self.process, signal.SIGKILL)


@contextmanager
def cluster() -> Iterator[list[Node]]:
    """Start a cluster, and stop it afterwards."""
    install, server, _ = needed("mariadb-install-db", "mariadbd", "rsync")
    provider = next((path for path in PROVIDERS if Path(path).exists()), None)
    if provider is None:
        missing("no libgalera_smm.so here: Debian's package is galera-4")
    account = Account("mysql")
    with account.folder() as folder:
        nodes = [Node(folder / name, account, [server, str(provider)]) for name in "abc"]
        account.run(
            install,
            "--no-defaults",
            f"--datadir={nodes[0].folder}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--innodb-log-file-size=16M",
        )
        try:
            for node in nodes:
                # The first has no peers yet: it is the cluster.
                account.run("mkdir", "-p", node.folder)
                node.start()
                for each in nodes:
                    each.peers = [other for other in nodes if other.process is not None]
            yield nodes
        finally:
            for node in reversed(nodes):
                if node.process is not None:
                    stop(node.process)


@contextmanager
def held_up(node: Node) -> Iterator[Callable[[], None]]:
    """Have a node apply nothing that others commit; give what lets it go on."""
    with connected(node) as operator:
        operator.execute(text("FLUSH TABLES WITH READ LOCK"))
        yield lambda: operator.execute(text("UNLOCK TABLES"))


@contextmanager
def connected(node: Node) -> Iterator[Connection]:
    """Connect to a node as its operator."""
    engine = create_engine(node.url(), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
