"""pgbouncer, in front of the PostgreSQL of the tests, on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import make_url

from ..services import own_database
from .page import options_of
from .programs import Account, ask, await_that, free_port, needed, stop

SETTINGS = """
[databases]
* = host={host} port={server} user={user} {password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
{more}
pidfile = {folder}/pgbouncer.pid
"""


@contextmanager
def pgbouncer(**changes: object) -> Iterator[tuple[str, str]]:
    """Start pgbouncer before a database of its own; give the URLs with and without it.

    Its settings are those of docs/growing.md, but for `changes`.
    """
    more = {**options_of("pgbouncer"), **changes}
    (program,) = needed("pgbouncer")
    account, port = Account("postgres"), free_port()
    with own_database("postgresql") as direct, account.folder() as folder:
        url = make_url(direct)
        settings = SETTINGS.format(
            host=url.host,
            server=url.port or 5432,
            user=url.username,
            password=f"password={url.password}" if url.password else "",
            port=port,
            more="\n".join(f"{name} = {value}" for name, value in more.items()),
            folder=folder,
        )
        (folder / "pgbouncer.ini").write_text(settings)
        log = folder / "printed.log"
        process = account.start(program, folder / "pgbouncer.ini", log=log)
        pooled = url.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        try:
            await_that(lambda: ask(pooled, "SELECT 1") is not None, log)
            yield pooled, direct
        finally:
            stop(process)
