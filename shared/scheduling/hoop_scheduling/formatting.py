"""Instants as clients read them: ISO 8601 in the zone they asked for, by local date."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from zoneinfo import ZoneInfo

from hoop_scheduling.zones import SECOND, zone_named

_KEPT_PER_ZONE = 1 << 13
_date = itemgetter(slice(0, 10))


def format_starts(starts: Iterable[int], zone: str) -> dict[str, list[str]]:
    """`{"2027-03-01": ["2027-03-01T09:00:00-05:00", …], …}`, in the order of the starts.

    The dates and offsets are those of that zone; days without a start are absent.
    """
    days: dict[str, list[str]] = {}
    for day, texts in groupby(map(_texts(zone).__getitem__, starts), _date):
        days.setdefault(day, []).extend(texts)
    return days


def format_start(start: int, zone: str) -> str:
    """One instant: `2027-03-01T09:00:00-05:00`."""
    return _texts(zone)[start]


class _FormattedStarts(dict[int, str]):
    """The text of each instant, made when first asked for."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone

    def __missing__(self, start: int) -> str:
        if len(self) >= _KEPT_PER_ZONE:
            self.clear()
        at = datetime.fromtimestamp(start // SECOND, UTC).astimezone(self.zone)
        text = self[start] = at.isoformat()
        return text


@lru_cache(maxsize=32)
def _texts(zone: str) -> _FormattedStarts:
    return _FormattedStarts(zone_named(zone))
