"""The arithmetic of a comparison: pairs of figures, the ratio of each pair, and the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

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


Figures = Mapping[Key, float]
"""The figures of one burst, or of one run."""


@dataclass(frozen=True)
class Compared:
    """One figure of two commits: medians of both, and the ratios ours / theirs of the pairs."""

    key: Key
    ours: float
    theirs: float
    ratio: float | None
    lowest: float | None
    highest: float | None
    pairs: int

    def not_worse(self, percent: float) -> bool | None:
        """Say whether the median ratio is at most so much worse than 1; None for no verdict."""
        if self.ratio is None or self.key.tail or self.key.unit not in RATED_UNITS:
            return None
        more_is_better = self.key.unit == "/s"
        if more_is_better and not self.ratio:
            return False
        cost = 1 / self.ratio if more_is_better else self.ratio
        return cost <= 1 + percent / 100


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
        """Return the figures that are worse by more than so much."""
        return [one for one in self.compared() if one.not_worse(percent) is False]

    def to_json(self, about: Mapping[str, Any], *, percent: float) -> dict[str, Any]:
        """Return everything, single pairs included, for the JSON file."""
        figures = [
            {
                **asdict(one.key),
                **{name: value for name, value in asdict(one).items() if name != "key"},
                "not_worse": one.not_worse(percent),
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
    ratios = [ours / theirs for ours, theirs in pairs if theirs > 0]
    return Compared(
        key,
        ours=median(ours for ours, _ in pairs),
        theirs=median(theirs for _, theirs in pairs),
        ratio=median(ratios) if ratios else None,
        lowest=min(ratios, default=None),
        highest=max(ratios, default=None),
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
