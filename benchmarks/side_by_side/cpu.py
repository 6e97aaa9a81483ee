"""The CPU time of other processes, read from Linux without their help.

A process's CPU clock has the resolution of nanoseconds, whereas utime and stime in /proc have
that of 10 ms. The clock counts all threads of the process, those that have ended too.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path


def seconds_of(pids: Iterable[int]) -> dict[int, float]:
    """Return how many seconds of CPU time each process has used; leave out what has ended."""
    used = {}
    for pid in pids:
        try:
            # The id of another process's clock: see clock_getcpuclockid(3).
            used[pid] = time.clock_gettime(~pid << 3 | 2)
        except OSError:
            continue
    return used


def spent(before: dict[int, float], after: dict[int, float]) -> float:
    """Return the seconds between two readings; a new process counts from its start."""
    return sum(seconds - before.get(pid, 0) for pid, seconds in after.items())


def children_of(pid: int) -> list[int]:
    """Return the process ids of the children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_named(pid: int, name: str) -> bool:
    """Say whether the process is on this machine, and a program of that name."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == name
    except OSError:
        return False
