"""The arithmetic of counted statements: what one booking takes, less what goes on at rest meanwhile."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple


class Statement(NamedTuple):
    """A statement of one service, by PostgreSQL's id of its text without constants."""

    service: str
    query: int


Counts = Mapping[Statement, int]


@dataclass(frozen=True)
class Window:
    """How often each statement was run in these seconds."""

    seconds: float
    calls: Counts

    def of(self, services: Iterable[str]) -> int:
        """Count the statements of these services."""
        wanted = set(services)
        return sum(calls for one, calls in self.calls.items() if one.service in wanted)


def window(seconds: float, before: Counts, after: Counts) -> Window:
    """Return what was run between two readings."""
    calls = {one: count - before.get(one, 0) for one, count in after.items()}
    return Window(seconds, {one: count for one, count in calls.items() if count})


def per_second(rest: Sequence[Window], services: Iterable[str]) -> float:
    """Return the statements of these services in a second of these windows."""
    wanted = set(services)
    return sum(one.of(wanted) for one in rest) / sum(one.seconds for one in rest)


def per_booking(
    bookings: Sequence[Window], rest: Sequence[Window], services: Iterable[str]
) -> float:
    """Return the median of what these services ran in a booking's window, less as long a rest."""
    return median(each_booking(bookings, rest, services))


def each_booking(
    bookings: Sequence[Window], rest: Sequence[Window], services: Iterable[str]
) -> list[float]:
    """Return for each booking's window what these services ran in it, less as long a rest."""
    wanted = set(services)
    a_second = per_second(rest, wanted)
    return [one.of(wanted) - a_second * one.seconds for one in bookings]


def frequent(
    bookings: Sequence[Window], rest: Sequence[Window]
) -> list[tuple[Statement, float, float]]:
    """Return each statement with its calls in a booking (mean, less rest) and in a second of rest.

    Those of a booking come first, the most frequent one first.
    """
    total, seconds = _added(bookings), sum(one.seconds for one in bookings)
    at_rest, resting = _added(rest), sum(one.seconds for one in rest)
    found = []
    for one in {**total, **at_rest}:
        a_second = at_rest[one] / resting
        found.append((one, (total[one] - a_second * seconds) / len(bookings), a_second))
    return sorted(found, key=lambda each: (-each[1], -each[2], each[0]))


def _added(windows: Sequence[Window]) -> Counter[Statement]:
    total: Counter[Statement] = Counter()
    for one in windows:
        total.update(one.calls)
    return total
