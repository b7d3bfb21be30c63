"""The figures of a benchmark as Markdown: when, how and where they were measured, and tables."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.load import Figures, Results


def heading(command: str, peers: str) -> str:
    """What has to be known to believe the tables below it, and to measure them again."""
    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line),
        platform.machine(),
    )
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"## Measured {now}\n\n"
        f"`{command}`\n\n"
        f"* {os.cpu_count()} cores of {cpu}; Linux {platform.release()}; "
        f"Python {platform.python_version()}; load of the machine before: {load}.\n"
        f"* {peers}\n"
        "* Cells: milliseconds of the server's processor time a request "
        "(requests a second; p50 / p99 in ms of wall time); the median of all rounds.\n"
    )


def table(title: str, figures: Results, names: list[str]) -> str:
    """A row for each work, a column for each server, and how many times ours each other costs."""
    heads = ["work", *names, *(f"{name} / {names[0]}" for name in names[1:])]
    rows = [heads, ["---"] * len(heads), *_rows(figures, names)]
    return f"### {title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _rows(figures: Results, names: list[str]) -> Iterator[list[str]]:
    for work in dict.fromkeys(work for _, work in figures):
        found = [figures.get((name, work), []) for name in names]
        yield [work, *map(_cell, found), *(_ratio(theirs, found[0]) for theirs in found[1:])]


def _cell(found: list[Figures]) -> str:
    if not found:
        return "-"
    cpu, rate, p50, p99 = (
        statistics.median(getattr(one, part) for one in found)
        for part in ("cpu", "rate", "p50", "p99")
    )
    wrong = sum(one.errors for one in found)
    return f"{cpu:.3f} ({rate:.0f}/s; {p50:.1f} / {p99:.1f})" + (
        f", {wrong} errors" if wrong else ""
    )


def _ratio(theirs: list[Figures], ours: list[Figures]) -> str:
    if not theirs or not ours:
        return "-"
    cost = statistics.median(one.cpu for one in ours)
    return f"{statistics.median(one.cpu for one in theirs) / cost:.1f}" if cost else "-"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
