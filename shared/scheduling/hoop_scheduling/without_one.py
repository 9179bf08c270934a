"""An appointment that is being moved: what is taken, as if it were gone."""

from collections.abc import Collection
from typing import NamedTuple

from hoop_scheduling.busy import Busy
from hoop_scheduling.rules import SlotRules
from hoop_scheduling.search import Occupancy
from hoop_scheduling.zones import day_of


class ExcludedAppointment(NamedTuple):
    """An appointment that is being moved, as it stands in what is taken.

    Of the asked calendar: it frees its seat, its place in the day, and, the last of its session,
    the time of its hosts and resources. Of another calendar: that time, so name it only if it is
    the last there.
    """

    calendar: str
    hosts: Collection[str]
    start: int
    end: int
    resources: Collection[str] = ()


def without_excluded(
    rules: SlotRules, taken: Occupancy, leaving: ExcludedAppointment | None
) -> Occupancy:
    """What is taken once the appointment has left."""
    if leaving is None:
        return taken
    busy, seats, counts = dict(taken.busy), dict(taken.seats), dict(taken.day_counts)
    own = leaving.calendar == rules.calendar
    if own:
        day = day_of(leaving.start, rules.zone)
        counts[day] = counts.get(day, 1) - 1
    last, end = True, leaving.end
    for host in leaving.hosts:
        session = seats.pop((host, leaving.start), None) if own else None
        if session is not None and session.taken > 1:
            seats[host, leaving.start] = session._replace(taken=session.taken - 1)
            last = False
            continue
        end = leaving.end if session is None else session.end
        _leave(busy, host, leaving.start, end)
    for resource in leaving.resources if last else ():
        _leave(busy, resource, leaving.start, end)
    return Occupancy(busy, seats, counts)


def _leave(busy: dict[str, Busy], who: str, start: int, end: int) -> None:
    if who in busy:
        busy[who] = busy[who].without(start, end)
