"""The arithmetic of the figures: percentiles, ratios of paired bursts, and which pairs count."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

DISTURBED = 1.5
"""A pair whose floor cost this many times the median floor was disturbed: it does not count."""


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of the values do not exceed."""
    ranked = sorted(values)
    return ranked[max(math.ceil(share * len(ranked)) - 1, 0)]


@dataclass(frozen=True)
class Pair:
    """The cost of one unit of work in two adjacent bursts, ours and the floor's; less is better."""

    ours: float
    floor: float


@dataclass(frozen=True)
class Score:
    """Medians over the pairs that count. `ratio` is the median of the ratios, not of the medians."""

    ours: float
    floor: float
    ratio: float
    kept: int
    of: int


def score(pairs: Sequence[Pair]) -> Score:
    """Compare pair by pair; leave out disturbed pairs."""
    usual = median(pair.floor for pair in pairs)
    kept = [pair for pair in pairs if pair.floor <= DISTURBED * usual]
    return Score(
        ours=median(pair.ours for pair in kept),
        floor=median(pair.floor for pair in kept),
        ratio=median(pair.ours / pair.floor for pair in kept),
        kept=len(kept),
        of=len(pairs),
    )
