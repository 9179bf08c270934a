"""The occupancy without one appointment, which is being moved."""

from collections.abc import Collection
from typing import NamedTuple

from hoop_scheduling.busy import Busy
from hoop_scheduling.rules import SlotRules
from hoop_scheduling.search import Occupancy
from hoop_scheduling.zones import day_of


class ExcludedAppointment(NamedTuple):
    """An appointment that is being moved, as the occupancy contains it.

    An appointment of the same calendar frees its seat, one of the day's count, and, if it is the
    last of its session, the time of its hosts and resources. One of another calendar always frees
    that time: give `hosts` and `resources` only if it is the last of its session.
    """

    calendar: str
    hosts: Collection[str]
    start: int
    end: int
    resources: Collection[str] = ()


def without_excluded(
    rules: SlotRules, occupancy: Occupancy, excluded: ExcludedAppointment | None
) -> Occupancy:
    """The occupancy without the excluded appointment; the same object if there is none."""
    if excluded is None:
        return occupancy
    busy, seats = dict(occupancy.busy), dict(occupancy.seats)
    counts = dict(occupancy.day_counts)
    own = excluded.calendar == rules.calendar
    if own:
        day = day_of(excluded.start, rules.zone)
        counts[day] = counts.get(day, 1) - 1
    last, end = True, excluded.end
    for host in excluded.hosts:
        session = seats.pop((host, excluded.start), None) if own else None
        if session is not None and session.taken > 1:
            seats[host, excluded.start] = session._replace(taken=session.taken - 1)
            last = False
            continue
        end = excluded.end if session is None else session.end
        _remove(busy, host, excluded.start, end)
    for resource in excluded.resources if last else ():
        _remove(busy, resource, excluded.start, end)
    return Occupancy(busy, seats, counts)


def _remove(busy: dict[str, Busy], owner: str, start: int, end: int) -> None:
    if owner in busy:
        busy[owner] = busy[owner].without(start, end)
