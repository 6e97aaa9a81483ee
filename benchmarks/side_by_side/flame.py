"""A flame graph of a worker of this package's server, as a small SVG.

py-spy samples the stacks while a job is done, and writes one line for each different stack.
Only CPU time counts: it leaves out samples in which the worker waits.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from .database import own_database
from .jobs import Job
from .load import drive
from .run import WARM_UP, Bench
from .targets.ours import Ours

#: Samples per second.
RATE = 250
WIDTH, ROW = 1000, 15
#: Frames below this share of the samples are merged into their caller.
SMALLEST = 0.01
MAX_BYTES = 60_000
#: Colours by the beginning of the path.
COLOURS = {
    "flask_pkce_server/": "#e8743b",
    "example_app/": "#f2b134",
    "authlib/": "#b565a7",
    "sqlalchemy/": "#4a90c2",
    "psycopg": "#3c6e9f",
    "flask_sqlalchemy/": "#4a90c2",
    "flask": "#6aa84f",
    "werkzeug/": "#93c47d",
}
OTHER = "#b7b7b7"


@dataclass
class Frame:
    """A function, called from where its parent is."""

    name: str
    samples: int = 0
    called: dict[str, Frame] = field(default_factory=dict)

    def add(self, stack: list[str], samples: int) -> None:
        """Count samples with this stack below the frame."""
        self.samples += samples
        if stack:
            self.called.setdefault(stack[0], Frame(stack[0])).add(stack[1:], samples)


def record(job: Job, n: int) -> str:
    """Do a job `n` times, and return the stacks that py-spy saw."""
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None:
        raise SystemExit("py-spy was not found; make bench installs it.")
    with own_database("flame") as database, ExitStack() as stack:
        target = Ours()
        target.prepare(database)
        bench = Bench(target, database)
        bench.start(stack, list({"main": None, job.server: None}), database)
        work, server = bench.works[job.server], bench.servers[job.server]
        for answer in drive(work.port, job.requests(work, WARM_UP)):
            job.take(work, answer)
        requests = job.requests(work, n)
        with tempfile.NamedTemporaryFile(mode="r") as output:
            command = [spy, "record", "--format", "raw", "--function", "--rate", str(RATE)]
            command += ["--pid", str(server.workers()[0]), "--output", output.name]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - found above
            # Until it has read the worker's symbols.
            time.sleep(2)
            answers = drive(work.port, requests)
            process.send_signal(signal.SIGINT)
            process.wait(30)
            for answer in answers:
                job.take(work, answer)
            return output.read()


def tree_of(stacks: str) -> Frame:
    """Return the frames of py-spy's lines, without those that all stacks begin with."""
    lines = [line.rpartition(" ") for line in stacks.splitlines()]
    parsed = [(stack.split(";"), int(samples)) for stack, _, samples in lines]
    root = Frame("all")
    for stack, samples in parsed:
        root.add(stack, samples)
    while len(root.called) == 1:
        (root,) = root.called.values()
    return root


def svg(root: Frame, title: str) -> str:
    """Return the flame graph; what is small is merged until it is below 60 kB."""
    share = SMALLEST
    while len((text := _svg(root, title, share)).encode()) > MAX_BYTES:
        share *= 1.25
    return text


def _svg(root: Frame, title: str, share: float) -> str:
    boxes: list[tuple[int, float, float, Frame]] = []

    def place(frame: Frame, depth: int, left: float) -> None:
        boxes.append((depth, left, frame.samples / root.samples * WIDTH, frame))
        for called in sorted(frame.called.values(), key=lambda called: called.name):
            if called.samples >= share * root.samples:
                place(called, depth + 1, left)
                left += called.samples / root.samples * WIDTH

    place(root, 0, 0)
    height = (max(depth for depth, *_ in boxes) + 1) * ROW + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="monospace" font-size="10">',
        f'<text x="4" y="12" font-size="12">{escape(title)}, {root.samples} samples</text>',
    ]
    for depth, left, width, frame in boxes:
        top = height - (depth + 1) * ROW
        percent = frame.samples / root.samples
        parts += [
            f"<g><title>{escape(frame.name)}, {percent:.1%}</title>",
            f'<rect x="{left:.1f}" y="{top}" width="{max(width - 0.5, 0.5):.1f}" '
            f'height="{ROW - 1}" fill="{_colour(frame.name)}"/>',
            f"{_label(frame, left, top, width)}</g>",
        ]
    return "\n".join([*parts, "</svg>", ""])


def _label(frame: Frame, left: float, top: int, width: float) -> str:
    characters = int((width - 4) / 6)
    if characters < 4:
        return ""
    function = frame.name.partition(" (")[0]
    if len(function) > characters:
        function = f"{function[: characters - 1]}…"
    return f'<text x="{left + 2:.1f}" y="{top + 10}">{escape(function)}</text>'


def _colour(name: str) -> str:
    path = name.partition(" (")[2]
    return next((fill for start, fill in COLOURS.items() if path.startswith(start)), OTHER)
