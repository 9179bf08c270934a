"""The table of a comparison."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.against.pairing import Compared, Comparison
from bench.report.output import legend, number, show_problems

STYLES = {"no": "[bold red]no[/]"}


def show_comparison(
    comparison: Comparison, about: Mapping[str, Any], console: Console, *, percent: float
) -> None:
    """Print a row for each figure; below it what was compared and where, then the problems."""
    theirs = f"{about['against']['revision'][:10]}"
    table = Table(
        *("measure", "figure", "", "ours", theirs, "ratio", "min to max", "pairs"),
        f"not worse than {percent:g} %",
        title=f"This tree against {about['against']['ref']}, in turns in one run",
    )
    for column in table.columns[3:8]:
        column.justify = "right"
    for one in comparison.compared():
        verdict = one.verdict(percent)
        table.add_row(*_cells(one), STYLES.get(verdict, verdict))
    console.print(table)
    for key, side in comparison.sorted():
        name = theirs if side == "theirs" else "ours"
        console.print(f"only {name} has: {key.measure} {key.name}", highlight=False, markup=False)
    console.print(
        "ratio: ours to the commit's, the median of the pairs; for /s more is better, else less;"
        " unclear: worse in the median, but not in every pair: measure more rounds",
        highlight=False,
    )
    console.print(legend(about), highlight=False, markup=False, soft_wrap=True)
    show_problems(comparison.problems, console)


def _cells(one: Compared) -> list[str]:
    spread = f"{min(one.ratios):.2f} to {max(one.ratios):.2f}" if one.ratios else ""
    ratio = "" if one.ratio is None else f"{one.ratio:.3f}"
    key = one.key
    figures = (number(one.ours), number(one.theirs))
    return [key.measure, key.name, key.unit, *figures, ratio, spread, str(one.pairs)]
