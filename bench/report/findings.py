"""What a run found: rows of the table, single bursts, and problems."""

from dataclasses import dataclass, field
from typing import Any


class Broken(Exception):
    """The measured work was wrong, so that a figure of it would mean nothing; the text says what."""


@dataclass(frozen=True)
class Row:
    """One line of the table. `ours` and `floor` are medians of the bursts, in `unit`.

    Less is better, unless the unit is `/s`. Percentiles are in milliseconds, of all responses of all
    rounds. `measure` and `name` together identify a figure from commit to commit: `--against` pairs
    rows by them, so a new text is a new figure.
    """

    measure: str
    name: str
    unit: str
    ours: float
    floor: float | None = None
    ratio: float | None = None
    kept: int | None = None
    p50: float | None = None
    p99: float | None = None
    floor_p50: float | None = None
    floor_p99: float | None = None
    ratio_p99: float | None = None


@dataclass
class Findings:
    """The findings of a run, in the order in which they were found."""

    rows: list[Row] = field(default_factory=list)
    bursts: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    listings: list[str] = field(default_factory=list)
    """Lines below the table that were asked for."""
