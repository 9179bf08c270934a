"""The table on the terminal, and the JSON file for programs and for comparing one day with another."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.report.findings import Findings, Row

_NUMBERS = ("p50", "p99", "floor", "p50", "p99", "ratio", "at p99", "pairs")


def show(findings: Findings, about: Mapping[str, Any], console: Console) -> None:
    """Print the table of rows; below it machine, load and revision, then the problems."""
    table = Table("measure", "", "ours", *_NUMBERS, title="Scorecard: ours beside the floor")
    for column in table.columns[2:]:
        column.justify = "right"
    table.columns[0].no_wrap = True
    for row in findings.rows:
        table.add_row(*_cells(row, rounds=about["plan"]["rounds"]))
    console.print(table)
    for line in findings.listings:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(legend(about), highlight=False, markup=False, soft_wrap=True)
    show_problems(findings.problems, console)


def show_problems(problems: list[str], console: Console) -> None:
    for problem in problems:
        console.print(f"BROKEN: {problem}", style="bold red", markup=False, soft_wrap=True)


def _cells(row: Row, *, rounds: int) -> list[str]:
    values = (row.ours, row.p50, row.p99, row.floor, row.floor_p50, row.floor_p99)
    ratios = (row.ratio, row.ratio_p99)
    pairs = "" if row.kept is None else f"{row.kept}/{rounds}"
    cells = [*map(number, values), *(f"{number(r)}x" if r else "" for r in ratios), pairs]
    return [row.name, row.unit, *cells]


def number(value: float | None) -> str:
    """Format with three significant digits; None as an empty text."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{max(value, 0.0):.3g}"  # below 0: noise at rest


def legend(about: Mapping[str, Any]) -> str:
    """Return one line: machine, Python, load, revision, date, and seconds of the run."""
    machine, load, git = about["machine"], about["load"], about["git"]
    changed = " + changes" if git["changed"] else ""
    return (
        f"{machine['cores']} cores ({machine['cpu']}), Python {machine['python']}; load"
        f" {load['load_before']} to {load['load_after']}, idle {load['idle_share']:.0%}, stolen"
        f" {load['steal_share']:.0%}; revision {str(git['revision'])[:10]}{changed};"
        f" {about['date']}, {about['seconds']:.0f} s"
    )


def to_json(findings: Findings, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that was found, bursts included, for the JSON file."""
    return {
        "schema": 1,
        "ok": not findings.problems,
        **about,
        "problems": findings.problems,
        "rows": [asdict(row) for row in findings.rows],
        "bursts": findings.bursts,
    }


def write(path: Path, contents: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(contents, indent=2) + "\n")
