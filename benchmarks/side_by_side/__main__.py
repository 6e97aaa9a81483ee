"""Compare what the same work costs on several authorization servers.

make bench ARGS="--targets floor,ours --jobs guarded,code --rounds 3 --n 500"
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .jobs import JOBS
from .report import as_json, markdown
from .run import job_named, run
from .targets import TARGETS


def main() -> None:
    """Measure, and print the tables."""
    targets = {target.name: target for target in TARGETS}
    parser = argparse.ArgumentParser("benchmarks.side_by_side", description=__doc__)
    parser.add_argument("--targets", default=",".join(targets), help="default: %(default)s")
    parser.add_argument("--jobs", default=",".join(job.name for job in JOBS), help="default: all")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--n", type=int, default=200, help="requests a round; default: %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=5, help="at most, a round; default: %(default)s"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    options = parser.parse_args()
    jobs = [job_named(name) for name in options.jobs.split(",")]
    chosen = [targets[name]() for name in options.targets.split(",")]
    results = run(
        chosen,
        jobs,
        options.rounds,
        options.n,
        options.seconds,
        lambda line: print(line, file=sys.stderr, flush=True),
    )
    if options.json:
        options.json.write_text(json.dumps(as_json(results, jobs), indent=2))
    print(markdown(results, jobs))


if __name__ == "__main__":
    main()
