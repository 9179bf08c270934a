"""The arithmetic of a comparison: pairs of figures, the ratio of each pair, and the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf
from statistics import median
from typing import Any, Literal

USUAL_PERCENT = 5.0
"""A figure may be so much worse before its verdict is no, unless another percentage is given."""
RATED_UNITS = ("/s", "ms", "CPU ms", "CPU µs")
"""Figures of other units (shares, counts) get no verdict."""


@dataclass(frozen=True)
class Key:
    """What a figure is of. Figures of two commits belong together if their keys are equal.

    A `tail` (p99, the longest) is shown and gets no verdict: one disturbance decides about it.
    """

    measure: str
    name: str
    unit: str
    tail: bool = False


Verdict = Literal["yes", "no", "unclear", ""]
Figures = Mapping[Key, float]
"""The figures of one burst, or of one run."""


@dataclass(frozen=True)
class Compared:
    """One figure of two commits: medians of both, and the ratios ours / theirs of the pairs."""

    key: Key
    ours: float
    theirs: float
    ratios: tuple[float, ...]
    pairs: int

    @property
    def ratio(self) -> float | None:
        """The median of the ratios; None if no pair has one."""
        return median(self.ratios) if self.ratios else None

    def verdict(self, percent: float) -> Verdict:
        """Say whether ours is not worse by more than this percentage: yes, no, unclear, or no verdict.

        The median of the ratios decides. If it is worse, but ours was as good in at least one pair,
        the pairs contradict each other: unclear.
        """
        if not self.ratios or self.key.tail or self.key.unit not in RATED_UNITS:
            return ""
        if self._cost(self.ratio or 0.0) <= 1 + percent / 100:
            return "yes"
        best = min(map(self._cost, self.ratios))
        return "no" if best > 1 else "unclear"

    def _cost(self, ratio: float) -> float:
        """Return the ratio as one of which less is better."""
        if self.key.unit != "/s":
            return ratio
        return 1 / ratio if ratio else inf


@dataclass
class Comparison:
    """The pairs of all figures, in the order in which the figures were first seen."""

    pairs: dict[Key, list[tuple[float, float]]] = field(default_factory=dict)
    unpaired: set[tuple[Key, str]] = field(default_factory=set)
    """Figures that one side alone has, with the name of this side."""
    problems: list[str] = field(default_factory=list)

    def add(self, ours: Figures, theirs: Figures) -> None:
        """Pair the figures that have the same key."""
        for key, value in ours.items():
            if key in theirs:
                self.pairs.setdefault(key, []).append((value, theirs[key]))
        self.unpaired |= {(key, "ours") for key in ours.keys() - theirs.keys()}
        self.unpaired |= {(key, "theirs") for key in theirs.keys() - ours.keys()}

    def compared(self) -> list[Compared]:
        return [_compared(key, pairs) for key, pairs in self.pairs.items()]

    def worse(self, percent: float) -> list[Compared]:
        """Return the figures whose verdict is no."""
        return [one for one in self.compared() if one.verdict(percent) == "no"]

    def to_json(self, about: Mapping[str, Any], *, percent: float) -> dict[str, Any]:
        """Return everything, single pairs included, for the JSON file."""
        figures = [
            {
                **asdict(one.key),
                "ours": one.ours,
                "theirs": one.theirs,
                "ratio": one.ratio,
                "ratios": one.ratios,
                "verdict": one.verdict(percent),
                "values": self.pairs[one.key],
            }
            for one in self.compared()
        ]
        return {
            "schema": 1,
            "ok": not self.problems,
            **about,
            "percent": percent,
            "problems": self.problems,
            "unpaired": [f"{side}: {key.measure} {key.name}" for key, side in self.sorted()],
            "figures": figures,
        }

    def sorted(self) -> list[tuple[Key, str]]:
        """Return the unpaired figures in a fixed order."""
        return sorted(self.unpaired, key=lambda one: (one[1], one[0].measure, one[0].name))


def _compared(key: Key, pairs: Sequence[tuple[float, float]]) -> Compared:
    """Compare pair by pair; a pair without theirs has no ratio."""
    return Compared(
        key,
        ours=median(ours for ours, _ in pairs),
        theirs=median(theirs for _, theirs in pairs),
        ratios=tuple(ours / theirs for ours, theirs in pairs if theirs > 0),
        pairs=len(pairs),
    )


def figures_of_rows(rows: Sequence[Mapping[str, Any]]) -> dict[Key, float]:
    """Return the figures in the `rows` of a result file of `./hoop bench`."""
    figures: dict[Key, float] = {}
    for row in rows:
        measure, name = row["measure"], row["name"].strip()
        figures[Key(measure, name, row["unit"])] = row["ours"]
        if row.get("p50") is not None and row["unit"] != "ms":
            figures[Key(measure, f"{name}, p50", "ms")] = row["p50"]
        if row.get("p99") is not None:
            figures[Key(measure, f"{name}, p99", "ms", tail=True)] = row["p99"]
    return figures
