"""`make bench` runs, measures every job, and tells who does not behave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.side_by_side.behaviour import CHECKS
from benchmarks.side_by_side.flame import MAX_BYTES, svg, tree_of
from benchmarks.side_by_side.jobs import JOBS
from benchmarks.side_by_side.proxy import Counts, Frontend
from benchmarks.side_by_side.report import markdown, text
from benchmarks.side_by_side.run import Cost, Result

from .services import own_database

ROOT = Path(__file__).parent.parent
JOB = JOBS[0]


@pytest.mark.thorough
@pytest.mark.programs
@pytest.mark.services
def test_the_floor_and_the_example_app_do_every_job(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = ["--targets", "floor,ours", "--rounds", "1", "--n", "20", "--json", str(figures)]
    with own_database("postgresql") as url:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.side_by_side", *command],
            cwd=ROOT,
            env={**os.environ, "PKCE_BENCH_POSTGRESQL_URL": url.replace("+psycopg", "")},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert all(job.title in done.stdout for job in JOBS)
    found = json.loads(figures.read_text())
    assert [found[name]["accepts"] for name in ("floor", "ours")] == [[], []]
    ours = found["ours"]["jobs"]
    assert list(ours) == [job.name for job in JOBS]
    assert all(cost["application"] > 0 for cost in ours.values())
    # What the floor sends is known: in a transaction, one statement consumes and one stores.
    code = found["floor"]["jobs"]["code"]
    assert (code["statements"], code["round_trips"]) == (2, 4)


def results(**floor: object) -> dict[str, Result]:
    twice = Cost(2, 4, application=[3.0, 2.0, 9.0], database=[1.0, 1.0, 1.0])
    once = Cost(1, 1, application=[1.0, 1.0, 2.0], database=[0.5, 0.5, 0.5])
    return {
        "floor": Result(costs={JOB.name: once}),
        "slow": Result(version="slow 1", costs={JOB.name: twice}, **floor),
        "absent": Result(left_out="it is not here"),
    }


def test_a_figure_is_the_median_of_the_ratios_of_each_round() -> None:
    assert f"| {JOB.title} | 1.000 s | 3.00 | - |" in markdown(results(), [JOB])


def test_a_target_that_accepts_what_it_should_refuse_is_shown() -> None:
    name = next(iter(CHECKS))
    assert f"| {name}: refused | yes | yes | - |" in markdown(results(), [JOB])
    assert f"| {name}: refused | yes | no | - |" in markdown(results(failures=[name]), [JOB])


def test_a_target_that_is_left_out_is_named_with_the_reason() -> None:
    assert "absent: left out, because it is not here" in text(results(), [JOB])


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def test_round_trips_and_statements_are_counted_from_what_a_client_sends() -> None:
    started = (8).to_bytes(4, "big") + (196608).to_bytes(4, "big")
    sent = b"".join(
        [
            started,
            message(b"Q", b"BEGIN\0"),
            message(b"P", b"name\0UPDATE code SET used = $1\0\0\0"),
            message(b"S", b""),
            message(b"B", b"\0name\0\0\0\0\0\0\0"),
            message(b"E", b"\0\0\0\0\0"),
            message(b"S", b""),
            message(b"Q", b"COMMIT\0"),
        ]
    )
    counts = Counts()
    frontend = Frontend(counts)
    # However the network cuts it into pieces.
    for place in range(0, len(sent), 3):
        frontend.feed(sent[place : place + 3])
    assert (counts.round_trips, counts.statements) == (4, 1)


def test_a_flame_graph_is_small_and_leaves_out_what_is_below_one_percent() -> None:
    deep = [f"call_{number} (flask_pkce_server/a.py)" for number in range(30)]
    lines = [f"main (run.py);{';'.join(deep[:depth])} 40" for depth in range(1, 31)]
    lines += [f"main (run.py);other_{number} (flask/app.py) 20" for number in range(400)]
    lines.append("main (run.py);rare <once> (flask/app.py) 3")
    drawn = svg(tree_of("\n".join(lines)), "guarded & fast")
    assert len(drawn.encode()) <= MAX_BYTES
    assert "call_29" not in drawn
    assert "call_1 " in drawn
    assert "rare" not in drawn
    ElementTree.fromstring(drawn)  # noqa: S314 - we drew it
