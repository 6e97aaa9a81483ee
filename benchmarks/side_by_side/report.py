"""The table: ratios to the floor, and what the floor itself costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from .jobs import Job
from .run import Cost, Result, ratio


def as_json(results: Mapping[str, Result], jobs: Sequence[Job]) -> dict[str, Any]:
    """Return everything that was found: by target, and for each target by job."""
    return {
        name: {
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


def _figures(cost: Cost, floor: Cost | None) -> dict[str, Any]:
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


def markdown(results: Mapping[str, Result], jobs: Sequence[Job]) -> str:
    """Return the tables as Markdown."""
    figures = as_json(results, jobs)
    parts = []
    if "floor" in results:
        title = "CPU of the application, as a multiple of the floor"
        parts.append(_table(title, figures, jobs, "application_ratio"))
        title = "CPU of the database, as a multiple of the floor"
        parts.append(_table(title, figures, jobs, "database_ratio"))
    else:
        title = "CPU of the application, in seconds for 1,000 jobs"
        parts.append(_table(title, figures, jobs, "application"))
        title = "CPU of the database, in seconds for 1,000 jobs"
        parts.append(_table(title, figures, jobs, "database"))
    parts.append(_table("SQL statements / round trips for a job", figures, jobs, "statements"))
    parts.append(_remarks(results))
    return "\n".join(filter(None, parts))


def _table(title: str, figures: Mapping[str, Any], jobs: Sequence[Job], key: str) -> str:
    names = [name for name, target in figures.items() if target["jobs"]]
    lines = [f"**{title}**", "", f"| job | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    for job in jobs:
        cells = [_cell(figures[name]["jobs"].get(job.name), name, key) for name in names]
        lines.append(f"| {job.title} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _cell(figure: Mapping[str, Any] | None, name: str, key: str) -> str:
    if figure is None:
        return "-"
    if key == "statements":
        return f"{figure['statements']:g} / {figure['round_trips']:g}"
    if name == "floor" and key.endswith("_ratio"):
        seconds = figure[key.removesuffix("_ratio")]
        return "-" if seconds is None else f"{seconds:.3f} s"
    return "-" if figure[key] is None else f"{figure[key]:.2f}"


def _remarks(results: Mapping[str, Result]) -> str:
    lines = []
    for name, result in results.items():
        if result.left_out:
            lines.append(f"- {name}: left out, because {result.left_out}")
        elif result.failures:
            lines.append(f"- {name} accepts what it should refuse: {', '.join(result.failures)}")
        else:
            lines.append(f"- {name}: passed the check of behaviour")
    return "\n".join([*lines, ""])
