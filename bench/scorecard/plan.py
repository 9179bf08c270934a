"""What a run is asked to measure, and what it found."""

from dataclasses import dataclass, field
from typing import Any


class Broken(Exception):
    """Something came out wrong: a figure measured on it would be a lie."""


@dataclass(frozen=True)
class Plan:
    """How long and how hard. A burst lasts `seconds`; each round has one of ours and one floor."""

    rounds: int = 5
    seconds: float = 4.0
    rates: tuple[int, ...] = (20, 50)
    """Bookings offered each second while effects are timed."""
    clients: tuple[int, ...] = (1, 16)
    """How many ask at the same time while bookings are counted."""
    hosts: int = 20
    calendars: int = 1000
    """In the read model whose answers are measured, each with 100 busy times in 30 days; and as many
    to book on, when booking is measured alone."""
    events: int = 200_000
    """In the topics from which the read model is made again."""
    history: tuple[int, ...] = (100, 10_000, 100_000)
    """Past appointments of a calendar, when it is measured what they cost."""
    floors: str | None = None
    """A file with floors for the slot engine."""


@dataclass(frozen=True)
class Row:
    """One line of the scorecard. `ours`, `floor`: medians of the bursts, in `unit`; less is better
    unless the unit is `/s`. Percentiles are of all answers of all rounds, in milliseconds.
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
    """What a run found, in the order it was found."""

    rows: list[Row] = field(default_factory=list)
    bursts: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
