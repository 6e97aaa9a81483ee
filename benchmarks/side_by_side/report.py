"""The tables: ratios to the floor, and what the floor itself costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from .behaviour import CHECKS
from .jobs import Job
from .run import Cost, Result, ratio


@dataclass(frozen=True)
class Table:
    """A table with a title; the first row is the head."""

    title: str
    rows: list[list[str]]

    def markdown(self) -> str:
        """Return it as Markdown."""
        head, *rows = [f"| {' | '.join(row)} |" for row in self.rows]
        rule = "|---|" + "---:|" * (len(self.rows[0]) - 1)
        return "\n".join([f"**{self.title}**", "", head, rule, *rows, ""])

    def text(self) -> str:
        """Return it in columns."""
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in self.rows
        ]
        return "\n".join([self.title, "", *lines, ""])


def as_json(results: Mapping[str, Result], jobs: Sequence[Job]) -> dict[str, Any]:
    """Return everything that was found: by target, and for each target by job."""
    return {
        name: {
            "version": result.version,
            "left_out": result.left_out,
            "accepts": result.failures,
            "jobs": {
                job.name: _figures(result.costs[job.name], _floor(results, job))
                for job in jobs
                if job.name in result.costs
            },
        }
        for name, result in results.items()
    }


def markdown(results: Mapping[str, Result], jobs: Sequence[Job]) -> str:
    """Return the tables as Markdown."""
    parts = [table.markdown() for table in _tables(results, jobs)]
    return "\n".join([*parts, *(f"- {remark}" for remark in _remarks(results))])


def text(results: Mapping[str, Result], jobs: Sequence[Job]) -> str:
    """Return the tables as text."""
    return "\n".join([*(table.text() for table in _tables(results, jobs)), *_remarks(results)])


def _figures(cost: Cost, floor: Cost | None) -> dict[str, Any]:
    """Return the figures of a job; seconds are of CPU time, for 1,000 jobs."""
    return {
        "application": median(cost.application),
        "database": median(cost.database) if cost.database else None,
        "application_ratio": ratio(cost.application, floor.application) if floor else None,
        "database_ratio": ratio(cost.database, floor.database) if floor else None,
        "statements": cost.statements,
        "round_trips": cost.round_trips,
        "rounds": {"application": cost.application, "database": cost.database},
    }


def _floor(results: Mapping[str, Result], job: Job) -> Cost | None:
    floor = results.get("floor")
    return floor.costs.get(job.floor or job.name) if floor else None


def _tables(results: Mapping[str, Result], jobs: Sequence[Job]) -> list[Table]:
    figures = as_json(results, jobs)
    checks = [["check", *results]]
    for check in CHECKS:
        cells = [_outcome(result, check) for result in results.values()]
        checks.append([f"{check}: refused", *cells])
    if "floor" in results:
        unit, suffix = "as a multiple of the floor, which is in seconds for 1,000 jobs", "_ratio"
    else:
        unit, suffix = "in seconds for 1,000 jobs", ""
    return [
        _table(f"CPU of the application, {unit}", figures, jobs, f"application{suffix}"),
        _table(f"CPU of the database, {unit}", figures, jobs, f"database{suffix}"),
        _table("SQL statements / round trips for a job", figures, jobs, "statements"),
        Table("Behaviour", checks),
    ]


def _table(title: str, figures: Mapping[str, Any], jobs: Sequence[Job], key: str) -> Table:
    rows = [["job", *figures]]
    for job in jobs:
        cells = [_cell(target["jobs"].get(job.name), name, key) for name, target in figures.items()]
        rows.append([job.title, *cells])
    return Table(title, rows)


def _cell(figure: Mapping[str, Any] | None, name: str, key: str) -> str:
    if figure is None:
        return "-"
    if key == "statements":
        return f"{figure['statements']:.3g} / {figure['round_trips']:.3g}"
    if name == "floor" and key.endswith("_ratio"):
        seconds = figure[key.removesuffix("_ratio")]
        return "-" if seconds is None else f"{seconds:.3f} s"
    return "-" if figure[key] is None else f"{figure[key]:.2f}"


def _outcome(result: Result, check: str) -> str:
    if result.left_out:
        return "-"
    return "no" if check in result.failures else "yes"


def _remarks(results: Mapping[str, Result]) -> list[str]:
    """Return a line about each target: what was measured, or why it was not."""
    return [
        f"{name}: left out, because {result.left_out}"
        if result.left_out
        else f"{name}: {result.version}"
        for name, result in results.items()
    ]
