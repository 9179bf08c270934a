"""Instants as text: ISO 8601 in the requested zone, grouped by local date."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from zoneinfo import ZoneInfo

from hoop_scheduling.zones import SECOND, zone_named

_MAX_TEXTS_PER_ZONE = 1 << 13
_date = itemgetter(slice(0, 10))


def format_starts(starts: Iterable[int], zone: str) -> dict[str, list[str]]:
    """`{"2027-03-01": ["2027-03-01T09:00:00-05:00", …], …}`, in the order of the starts.

    Dates and offsets are those of the zone; dates without a start are absent.
    """
    days: dict[str, list[str]] = {}
    for day, texts in groupby(map(_texts(zone).__getitem__, starts), _date):
        days.setdefault(day, []).extend(texts)
    return days


def format_start(start: int, zone: str) -> str:
    """One instant: `2027-03-01T09:00:00-05:00`."""
    return _texts(zone)[start]


class _FormattedStarts(dict[int, str]):
    """The text of each instant in one zone, built on first use."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone

    def __missing__(self, start: int) -> str:
        if len(self) >= _MAX_TEXTS_PER_ZONE:
            self.clear()
        at = datetime.fromtimestamp(start // SECOND, UTC).astimezone(self.zone)
        text = self[start] = at.isoformat()
        return text


@lru_cache(maxsize=32)
def _texts(zone: str) -> _FormattedStarts:
    return _FormattedStarts(zone_named(zone))
