"""The run: targets are checked, counted, and then measured in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from .behaviour import failures_of
from .browser import Browser
from .cpu import is_named, seconds_of, spent
from .database import Database, own_database
from .jobs import Job, Work
from .load import drive
from .proxy import counting
from .server import Server
from .targets.target import Target

#: Requests of each job before anything is measured, if a round has as many: statements get
#: prepared, caches filled, Node's functions compiled.
WARM_UP = 120
#: And before statements are counted.
WARM_UP_TO_COUNT = 30
#: Requests whose statements are counted.
COUNTED = 20


@dataclass
class Cost:
    """What a job cost at a target."""

    round_trips: float = 0
    statements: float = 0
    #: CPU seconds for 1,000 jobs in each round: of the application, and of the database.
    application: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)


@dataclass
class Result:
    """What is known of a target after the run."""

    version: str = ""
    left_out: str = ""
    failures: list[str] = field(default_factory=list)
    costs: dict[str, Cost] = field(default_factory=dict)


@dataclass
class Bench:
    """A target that is set up, with those of its servers that run."""

    target: Target
    database: Database
    works: dict[str, Work] = field(default_factory=dict)
    servers: dict[str, Server] = field(default_factory=dict)

    def start(self, stack: ExitStack, names: Sequence[str], database: Database) -> None:
        """Start servers until the stack is closed; sign in where there is a sign-in."""
        for name in names:
            server = stack.enter_context(self.target.running(database, name))
            self.servers[name] = server
        for name in names:
            port = self.servers[name].port
            # All but the app with one view have the same database, secret and users.
            browser = Browser(port) if name == "host" else self.target.signed_in(port)
            self.works[name] = Work(self.target, port, browser)

    def jobs(self, chosen: Sequence[Job]) -> list[Job]:
        """Return those of the chosen jobs that the target does."""
        return [job for job in chosen if job.possible(self.target)]


def run(
    targets: Sequence[Target],
    jobs: Sequence[Job],
    rounds: int,
    n: int,
    seconds: float,
    tell: Callable[[str], None],
) -> dict[str, Result]:
    """Measure the jobs at the targets; return the results by the names of the targets.

    Each round sends `n` requests of each job to each target, or as many as it answers in that
    many seconds. `tell` gets one line whenever there is something to tell.
    """
    results = {target.name: Result() for target in targets}
    with ExitStack() as stack:
        benches = []
        for target in targets:
            result = results[target.name]
            result.left_out = target.left_out()
            if result.left_out:
                tell(f"{target.name}: left out, because {result.left_out}")
                continue
            result.version = target.version()
            tell(f"{target.name}: checking and counting")
            label = target.name.replace("-", "_")
            bench = Bench(target, stack.enter_context(own_database(label)))
            target.prepare(bench.database)
            _check_and_count(bench, jobs, seconds, result)
            benches.append(bench)
        for bench in benches:
            needed = {job.server: None for job in bench.jobs(jobs)}
            bench.start(stack, list(needed), bench.database)
            for job in bench.jobs(jobs):
                _do(bench, job, min(WARM_UP, n), seconds)
        for number in range(rounds):
            tell(f"round {number + 1} of {rounds}")
            for job in jobs:
                for bench in benches[number % len(benches) :] + benches[: number % len(benches)]:
                    if job.possible(bench.target):
                        _measure(bench, job, n, seconds, results[bench.target.name].costs[job.name])
    return results


def _check_and_count(bench: Bench, jobs: Sequence[Job], seconds: float, result: Result) -> None:
    database = bench.database
    with counting(database.host, database.port) as (port, counts), ExitStack() as stack:
        needed = {"main": None, **{job.server: None for job in bench.jobs(jobs)}}
        bench.start(stack, list(needed), database.at(port))
        result.failures = failures_of(bench.works["main"])
        for job in bench.jobs(jobs):
            _do(bench, job, WARM_UP_TO_COUNT, seconds)
            requests = job.requests(bench.works[job.server], COUNTED)
            trips, statements = counts.round_trips, counts.statements
            answers = drive(bench.works[job.server].port, requests)
            cost = result.costs[job.name] = Cost()
            cost.round_trips = (counts.round_trips - trips) / len(answers)
            cost.statements = (counts.statements - statements) / len(answers)
            for answer in answers:
                job.take(bench.works[job.server], answer)


def _do(bench: Bench, job: Job, n: int, seconds: float) -> None:
    work = bench.works[job.server]
    answers = drive(work.port, job.requests(work, n), seconds)
    for answer in answers:
        job.take(work, answer)


def _measure(bench: Bench, job: Job, n: int, seconds: float, cost: Cost) -> None:
    work, server = bench.works[job.server], bench.servers[job.server]
    requests = job.requests(work, n)
    pids = [pid for pid in bench.database.backends() if is_named(pid, "postgres")]
    processes, backends = seconds_of(server.processes()), seconds_of(pids)
    answers = drive(work.port, requests, seconds)
    processes_after = seconds_of(server.processes())
    pids_after = [pid for pid in bench.database.backends() if is_named(pid, "postgres")]
    backends_after = seconds_of(pids_after)
    cost.application.append(spent(processes, processes_after) / len(answers) * 1000)
    if pids or pids_after:
        cost.database.append(spent(backends, backends_after) / len(answers) * 1000)
    for answer in answers:
        job.take(work, answer)


def ratio(cost: Sequence[float], floor: Sequence[float]) -> float | None:
    """Return the median of the ratios of each round; None if there is nothing to compare."""
    pairs = [(a, b) for a, b in zip(cost, floor, strict=False) if b > 0]
    return median(a / b for a, b in pairs) if pairs else None
