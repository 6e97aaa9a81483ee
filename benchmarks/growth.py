"""Growth: what requests cost when the tables are large, and beside `flask pkce prune`.

    python benchmarks/growth.py
    python benchmarks/growth.py --prune
    python benchmarks/growth.py --url mysql+pymysql://root@127.0.0.1:3306/ --sizes 0,100000

The first fills a database of its own for each size, up to 2 million grants, each with a code and
two tokens. Then the app answers five kinds of requests in each of them in turns, in this process
and without a socket. The second fills a database with expired rows and lets two processes send
requests, in turns with and without a prune beside them. The databases are dropped at the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from flask import Flask
from sqlalchemy import create_engine, event, make_url, text

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
POSTGRESQL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
#: Jobs of each kind in one turn of a database, and turns.
JOBS, TURNS = 40, 8
#: Seconds of one measurement beside a prune, how many there are, and the grants that expired.
SECONDS, WINDOWS, EXPIRED = 10, 3, 150_000
#: Processes that send requests.
SENDERS = 2
#: The kinds of jobs, and how many rows each stores.
ROWS_OF = {"silent authorize": 2, "code exchange": 2, "guarded call": 0, "introspection": 0}
ROWS_OF["refresh"] = 2
#: A column of each kind, from the number `n` of the grant.
SHA = {"postgresql": "sha256(('{}' || n)::bytea)", "mysql": "unhex(sha2(concat('{}', n), 256))"}
SERIES = {
    "postgresql": "generate_series(1, {}) AS s(n)",
    "mysql": "(SELECT seq AS n FROM seq_1_to_{}) AS s",
}
NAME = {"postgresql": "'{}' || {}", "mysql": "concat('{}', {})"}
DAY = 86400


@contextmanager
def database(server: str, size: str) -> Iterator[str]:
    """Create a database; give its URL and drop it afterwards."""
    url, name = make_url(server), f"pkce_growth_{size}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    force = " WITH (FORCE)" if engine.dialect.name == "postgresql" else ""
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield url.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(text(f"DROP DATABASE {name}{force}"))
    engine.dispose()


def make(url: str, *, is_new: bool = True) -> Flask:
    """Return a host app on the database `url`, with its tables and users if it `is_new`."""
    from tests import host

    if not is_new:
        host.fill = lambda: None
    return host.make_app(SQLALCHEMY_DATABASE_URI=url, SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 5})


def fill(app: Flask, size: int, expires_at: str) -> None:
    """Store `size` grants, each with a used code and two tokens; `expires_at` is SQL."""
    with app.app_context():
        engine = app.db.engine  # type: ignore[attr-defined]
    kind = engine.dialect.name
    grant, client, user = (
        NAME[kind].format(*parts)
        for parts in (("g", "n"), ("c", "n % 1000"), ("u", "floor(n / 10)"))
    )
    rows = [
        (
            "pkce_grant (grant_id, client_id, subject, sid, scope, resources, bindings, issued_at,"
            " expires_at)",
            f"{grant}, {client}, {user}, {NAME[kind].format('s', 'n')}, 'profile', '[]', '{{}}', 1",
        ),
        (
            "pkce_authorization_code (digest, grant_id, redirect_uri, code_challenge, issued_at,"
            " consumed_at, expires_at)",
            f"{SHA[kind].format('code')}, {grant}, 'https://app.example/cb', {grant}, 1, 2",
        ),
    ]
    for name in ("access", "refresh"):
        columns = "digest, kind, grant_id, scope, audience, issued_at, expires_at"
        values = f"{SHA[kind].format(name)}, '{name}', {grant}, 'profile', '[]', 1"
        rows.append((f"pkce_token ({columns})", values))
    analyze = "ANALYZE TABLE" if kind == "mysql" else "VACUUM ANALYZE"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for target, values in rows if size else ():
            source = SERIES[kind].format(size)
            statement = f"INSERT INTO {target} SELECT {values}, {expires_at} FROM {source}"  # noqa: S608 - own text
            connection.execute(text(statement))
        for target, _ in rows[:3]:
            connection.execute(text(f"{analyze} {target.partition(' ')[0]}"))


class Load:
    """One client and one user, whose requests the app answers without a socket."""

    def __init__(self, app: Flask) -> None:
        from flask_pkce_server.testing import Flow, register
        from tests.host import sign_in

        self.app = app
        client = register(app, auth_method="client_secret_post")
        self.flow = Flow(sign_in(app), client)
        self.program = app.test_client(use_cookies=False)
        self.tokens = self.flow.tokens()
        #: CPU and wall time of each job (seconds).
        self.cpu: dict[str, list[float]] = defaultdict(list)
        self.wall: dict[str, list[float]] = defaultdict(list)
        self._answer, app.wsgi_app = app.wsgi_app, self._timed  # type: ignore[method-assign]

    def _timed(self, environ: Any, start_response: Any) -> Any:
        cpu, wall = time.process_time(), time.perf_counter()
        answer = list(self._answer(environ, start_response))
        self.spent = time.process_time() - cpu, time.perf_counter() - wall
        return answer

    def jobs(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        """Give each job with what does it."""
        from flask_pkce_server.testing import parameters_of

        flow = self.flow
        found: list[Any] = []
        yield "silent authorize", lambda: found.append(parameters_of(flow.authorize()))
        yield "code exchange", lambda: found.append(flow.redeem(found[0]["code"]).get_json())
        tokens = found[1]
        header = {"Authorization": f"Bearer {tokens['access_token']}"}
        yield "guarded call", lambda: self.program.get("/api/me", headers=header)
        yield "introspection", lambda: flow.post("introspect", {"token": tokens["access_token"]})
        yield "refresh", lambda: flow.refresh(tokens["refresh_token"])

    def run(self) -> None:
        """Do each job once and note its times."""
        for name, job in self.jobs():
            job()
            cpu, wall = self.spent
            self.cpu[name].append(cpu)
            self.wall[name].append(wall)

    def statements(self) -> dict[str, int]:
        """Return how many statements each job takes, BEGIN and COMMIT apart."""
        counts: dict[str, int] = defaultdict(int)
        current = ""

        def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
            counts[current] += statement not in ("BEGIN", "COMMIT")

        with self.app.app_context():
            engine = self.app.db.engine  # type: ignore[attr-defined]
        event.listen(engine, "before_cursor_execute", note)
        for name, job in self.jobs():
            current = name
            job()
        event.remove(engine, "before_cursor_execute", note)
        return counts


def grow(server: str, sizes: list[int]) -> None:
    """Measure the jobs at each of `sizes`, and print them beside those at the first one."""
    loads: dict[int, Load] = {}
    with ExitStack() as stack:
        for size in sizes:
            app = make(stack.enter_context(database(server, str(size))))
            started = time.perf_counter()
            fill(app, size, f"{int(time.time()) + DAY} + n % {30 * DAY}")
            print(f"{size:>9} grants stored in {time.perf_counter() - started:.0f} s", flush=True)
            loads[size] = Load(app)
        for turn in range(TURNS + 1):
            for load in loads.values():
                if turn == 1:  # The first one was to warm up.
                    load.cpu.clear()
                    load.wall.clear()
                for _ in range(JOBS):
                    load.run()
        statements = {size: load.statements() for size, load in loads.items()}
        print(f"{'':18}{'grants':>9}  statements  CPU ms  ratio  wall ms  ratio")
        first = loads[sizes[0]]
        for name in ROWS_OF:
            for size, load in loads.items():
                cpu, wall = median(load.cpu[name]), median(load.wall[name])
                ratios = cpu / median(first.cpu[name]), wall / median(first.wall[name])
                print(
                    f"{name:18}{size:>9}{statements[size][name]:>12}{cpu * 1e3:>8.2f}"
                    f"{ratios[0]:>7.2f}{wall * 1e3:>9.2f}{ratios[1]:>7.2f}"
                )
        for load in loads.values():
            with load.app.app_context():
                load.app.db.engine.dispose()  # type: ignore[attr-defined]


def send(url: str, seconds: float) -> None:
    """Send requests for some seconds and print the wall time of each job, as JSON."""
    load = Load(make(url, is_new=False))
    for _ in range(20):
        load.run()
    load.wall.clear()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        load.run()
    print(json.dumps(load.wall))


def prune(url: str, seconds: float) -> None:
    """Prune for some seconds, and print how many rows were deleted in a second, as JSON."""
    app, started, deleted = make(url, is_new=False), time.monotonic(), 0
    while (spent := time.monotonic() - started) < seconds:
        arguments = ["pkce", "prune", "--json", "--limit", "20000"]
        done = json.loads(app.test_cli_runner().invoke(args=arguments).stdout)
        deleted += sum(done["deleted"].values())
        if done["complete"]:
            raise AssertionError("there were too few expired rows")
    print(json.dumps(deleted / spent))


def start(*arguments: Any) -> subprocess.Popen[str]:
    """Start this program as another process."""
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - own code


def result(process: subprocess.Popen[str]) -> Any:
    """Return what a process prints."""
    return json.loads(process.communicate()[0])


def beside_a_prune(server: str) -> None:
    """Compare requests with and without a prune beside them, and what is stored and deleted."""
    waits: dict[bool, dict[str, list[float]]] = {False: defaultdict(list), True: defaultdict(list)}
    deleted: list[float] = []
    with database(server, "prune") as url:
        app = make(url)
        fill(app, EXPIRED, "1000 + n")
        for window in range(2 * WINDOWS):
            is_beside = bool(window % 2)
            pruning = [start("--pruning", url)] if is_beside else []
            for process in [start("--sending", url) for _ in range(SENDERS)]:
                for name, times in result(process).items():
                    waits[is_beside][name] += times
            deleted += map(result, pruning)
        with app.app_context():
            app.db.engine.dispose()  # type: ignore[attr-defined]
    print(f"{'':18}  alone ms  beside ms  ratio")
    for name in ROWS_OF:
        alone, beside = (median(waits[is_beside][name]) * 1e3 for is_beside in (False, True))
        print(f"{name:18}{alone:>10.2f}{beside:>11.2f}{beside / alone:>7.2f}")
    stored = sum(rows * len(waits[False][name]) for name, rows in ROWS_OF.items())
    print(f"rows stored in a second:  {stored / SECONDS / WINDOWS:.0f}, without a prune")
    print(f"rows deleted in a second: {median(deleted):.0f}")


def main() -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default=POSTGRESQL, help="a server that has room for databases")
    parser.add_argument("--sizes", default="0,100000,2000000", help="how many grants")
    parser.add_argument("--prune", action="store_true", help="measure beside a prune")
    parser.add_argument("--sending", help=argparse.SUPPRESS)
    parser.add_argument("--pruning", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.sending:
        send(given.sending, SECONDS)
    elif given.pruning:
        prune(given.pruning, SECONDS)
    elif given.prune:
        beside_a_prune(given.url)
    else:
        grow(given.url, [int(size) for size in given.sizes.split(",")])


if __name__ == "__main__":
    main()
