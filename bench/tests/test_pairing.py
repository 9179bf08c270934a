"""A comparison of two commits: figures are paired by their keys, ratios pair by pair, verdicts by the median."""

import sys
from pathlib import Path

import pytest
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.against.output import show_comparison
from bench.against.pairing import Comparison, Key, figures_of_rows

MS, RATE = Key("post", "p50", "ms"), Key("post", "booked", "/s")
ABOUT = {
    "against": {"ref": "v1", "revision": "f672cb1" * 6},
    "machine": {"cores": 2, "cpu": "any", "python": "3.11"},
    "load": {"load_before": 1, "load_after": 1, "idle_share": 0.5, "steal_share": 0},
    "git": {"revision": "36e3de7" * 6, "changed": False},
    "date": "2026-11-29",
    "seconds": 9,
}


def _comparison(key: Key, *pairs: tuple[float, float]) -> Comparison:
    comparison = Comparison()
    for ours, theirs in pairs:
        comparison.add({key: ours}, {key: theirs})
    return comparison


def test_the_ratio_is_the_median_of_the_ratios_of_pairs() -> None:
    """A slow minute doubles both figures of its pair, and leaves its ratio as it is."""
    (one,) = _comparison(MS, (10, 10), (22, 20), (9, 10)).compared()
    assert (one.ours, one.theirs) == (10, 10)
    assert (one.ratio, one.ratios, one.pairs) == (1.0, (1.0, 1.1, 0.9), 3)


@pytest.mark.parametrize(
    ("key", "ours", "verdict"),
    [
        (MS, 104.9, "yes"),
        (MS, 105.1, "no"),
        (MS, 50, "yes"),
        (RATE, 95.3, "yes"),
        (RATE, 95.2, "no"),
        (RATE, 200, "yes"),
        (RATE, 0, "no"),
        (Key("post", "p99", "ms", tail=True), 300, ""),
        (Key("post", "load generator", "%"), 300, ""),
    ],
)
def test_the_verdict_knows_what_is_better(key: Key, ours: float, verdict: str) -> None:
    """Five percent more milliseconds, or as much fewer a second; tails and shares have no verdict."""
    comparison = _comparison(key, (ours, 100))
    (one,) = comparison.compared()
    assert one.verdict(5) == verdict
    assert comparison.worse(5) == ([one] if verdict == "no" else [])


@pytest.mark.parametrize(
    ("key", "pairs"), [(MS, [(12, 10), (11, 10), (10, 10)]), (RATE, [(8, 10), (8, 10), (11, 10)])]
)
def test_pairs_that_contradict_each_other_are_unclear(
    key: Key, pairs: list[tuple[float, float]]
) -> None:
    """Worse in the median, as good in one pair: a busy machine can do that, so it does not fail a run."""
    comparison = _comparison(key, *pairs)
    (one,) = comparison.compared()
    assert one.verdict(5) == "unclear"
    assert comparison.worse(5) == []


def test_a_figure_without_theirs_has_no_ratio() -> None:
    """Nothing can be divided by zero; such pairs are shown all the same."""
    (one,) = _comparison(MS, (3, 0)).compared()
    assert (one.ours, one.theirs, one.ratio, one.verdict(5)) == (3, 0, None, "")


def test_figures_are_paired_by_key() -> None:
    """Measure, name and unit are the key; a figure of one side alone is named, not compared."""
    comparison = Comparison()
    comparison.add({MS: 1, RATE: 2}, {MS: 1, Key("post", "p50", "/s"): 3})
    assert [one.key for one in comparison.compared()] == [MS]
    assert comparison.sorted() == [(RATE, "ours"), (Key("post", "p50", "/s"), "theirs")]


def test_rows_of_a_result_file_become_figures() -> None:
    """The row's own figure with its percentiles; a median in milliseconds is not given twice."""
    rows = [
        {"measure": "growth", "name": "  7 days", "unit": "CPU µs", "ours": 5, "p50": 1, "p99": 2},
        {"measure": "slots", "name": "1 host", "unit": "CPU µs", "ours": 14, "p50": None},
        {"measure": "effects", "name": "mail", "unit": "ms", "ours": 8, "p50": 8, "p99": 9},
    ]
    assert figures_of_rows(rows) == {
        Key("growth", "7 days", "CPU µs"): 5,
        Key("growth", "7 days, p50", "ms"): 1,
        Key("growth", "7 days, p99", "ms", tail=True): 2,
        Key("slots", "1 host", "CPU µs"): 14,
        Key("effects", "mail", "ms"): 8,
        Key("effects", "mail, p99", "ms", tail=True): 9,
    }


def test_everything_is_in_the_json() -> None:
    """Single pairs, the verdict and what broke, for programs."""
    comparison = _comparison(MS, (11, 10))
    comparison.problems.append("it broke")
    result = comparison.to_json(ABOUT, percent=5)
    assert (result["ok"], result["problems"]) == (False, ["it broke"])
    (figure,) = result["figures"]
    assert (figure["measure"], figure["name"], figure["unit"]) == ("post", "p50", "ms")
    assert (figure["ratio"], figure["verdict"], figure["values"]) == (1.1, "no", [(11, 10)])


def test_the_table_has_ratio_spread_and_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    """One row for each figure; what one side alone has, and problems, stand below."""
    comparison = _comparison(MS, (10, 10), (12, 10))
    comparison.add({RATE: 1}, {})
    show_comparison(comparison, ABOUT, Console(width=160), percent=5)
    shown = capsys.readouterr().out
    assert "not worse than 5 %" in shown
    assert "1.100" in shown
    assert "1.00 to 1.20" in shown
    assert "only ours has: post booked" in shown
