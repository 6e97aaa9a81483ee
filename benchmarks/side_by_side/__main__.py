"""Compare what the same work costs on several authorization servers.

make bench ARGS="--targets floor,ours --jobs guarded,code --rounds 3 --n 500"
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .flame import record, svg, tree_of
from .jobs import JOBS
from .report import as_json, markdown, text
from .run import run
from .targets import TARGETS


def main() -> None:
    """Measure, and print the tables; or draw a flame graph."""
    if sys.platform != "linux":
        raise SystemExit("make bench reads CPU times as Linux gives them, and runs there only.")
    targets = {target.name: target for target in TARGETS}
    jobs = {job.name: job for job in JOBS}
    options = _options(list(targets), list(jobs))
    if options.flame:
        job = jobs[options.flame]
        # Enough for a few thousand samples.
        tree = tree_of(record(job, options.n * 10))
        file = options.svg or Path(f"{job.name}.svg")
        file.write_text(svg(tree, job.title))
        print(f"{file}: {tree.samples} samples")
        return
    chosen = [jobs[name] for name in options.jobs]
    results = run(
        [targets[name]() for name in options.targets],
        chosen,
        options.rounds,
        options.n,
        options.seconds,
        lambda line: print(line, file=sys.stderr, flush=True),
    )
    if options.json:
        options.json.write_text(json.dumps(as_json(results, chosen), indent=2) + "\n")
    print((markdown if options.markdown else text)(results, chosen))


def _options(targets: list[str], jobs: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "make bench",
        description="Compare what the same work costs on several authorization servers.",
        epilog='For example: make bench ARGS="--targets floor,ours --jobs guarded,code"',
    )

    def some_of(names: list[str]) -> dict[str, object]:
        def chosen(value: str) -> list[str]:
            unknown = set(value.split(",")) - set(names)
            if unknown:
                raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is not one of them")
            return value.split(",")

        return {"type": chosen, "default": names, "help": ",".join(names)}

    parser.add_argument("--targets", **some_of(targets))  # type: ignore[arg-type]
    parser.add_argument("--jobs", **some_of(jobs))  # type: ignore[arg-type]
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument(
        "--n", type=int, default=150, help="requests of a job in a round; default: %(default)s"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=3,
        help="at most that long for a job in a round; default: %(default)s",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    parser.add_argument(
        "--flame", choices=jobs, help="draw a flame graph of this package's worker instead"
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="default: the job's name .svg")
    return parser.parse_args()


if __name__ == "__main__":
    main()
