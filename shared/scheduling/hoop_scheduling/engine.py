"""May this be booked? Asked of the free starts of a window that holds only the wanted one.

So what is offered is bookable, and what is bookable is offered.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import compress
from typing import Literal

from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.hours import fits
from hoop_scheduling.rules import Host, SlotRules
from hoop_scheduling.search import (
    FreeStarts,
    Occupancy,
    SearchRequest,
    Window,
    free_rooms,
    grid_of,
    search,
)
from hoop_scheduling.without_one import ExcludedAppointment, without_excluded

Reason = Literal[
    "inactive",
    "not_a_member",
    "wrong_length",
    "notice",
    "horizon",
    "closed",
    "not_on_grid",
    "day_full",
    "full",
    "busy",
    "no_resource",
]


@dataclass(frozen=True)
class Verdict:
    """The hosts who can take the booking, in the order to be tried, or the reason why nobody can.

    Of a collective calendar: all hosts, the primary first; they are booked together.
    `resources`: a room and a unit of each equipment for the new session that the first of the
    hosts (or all together) would begin; none where it joins a session, which has its own.
    """

    hosts: tuple[str, ...] = ()
    reason: Reason | None = None
    resources: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.reason is None


def may_book(
    rules: SlotRules,
    start: int,
    end: int,
    *,
    busy: Mapping[str, Busy],
    now: int,
    host: str | None = None,
    seats: Mapping[tuple[str, int], Seats] | None = None,
    day_counts: Mapping[date, int] | None = None,
    loads: Mapping[str, int] | None = None,
    leave_out: ExcludedAppointment | None = None,
    ignore_range: bool = False,
    ignore_rules: bool = False,
) -> Verdict:
    """Whether [start, end) may be booked, by that host or by anyone.

    `loads`: occupying appointments of each host in the month of the start, for equal distribution.
    `ignore_range` skips minimum notice and horizon; `ignore_rules` skips these, the hours, the
    grid, the length, the daily limit and all buffers, but never core times (of hosts, rooms and
    equipment), seats or `inactive`. Look-busy never refuses anything.
    """
    taken = without_excluded(rules, Occupancy(busy, seats or {}, day_counts or {}), leave_out)
    hosts = candidates(rules, None if host is None else (host,))
    ask = SearchRequest(rules, hosts, end - start, strict=not ignore_rules)
    range_applies = not (ignore_range or ignore_rules)
    window = (start, start + 1)
    within = bookable_range(rules, window, now) if range_applies else window
    if ask.possible:
        found = search(ask, taken, window, within)
        if found.bits:
            return _yes(ask, taken, found, loads or {})
    return Verdict(reason=_reason(ask, taken, start, now=now if range_applies else None))


def candidates(rules: SlotRules, asked: Collection[str] | None) -> tuple[Host, ...]:
    """The members among those asked; of a collective calendar then all."""
    if asked is None:
        return rules.hosts
    members = tuple(host for host in rules.hosts if host.id in asked)
    return rules.hosts if rules.all_of and members else members


def bookable_range(rules: SlotRules, window: Window, now: int) -> Window:
    """What minimum notice and horizon leave of the window."""
    latest = rules.latest(now)
    end = window[1] if latest is None else min(window[1], latest + 1)
    return max(window[0], rules.earliest(now)), end


def _yes(
    ask: SearchRequest, taken: Occupancy, found: FreeStarts, loads: Mapping[str, int]
) -> Verdict:
    joins = dict(zip(ask.host_ids, found.joins or [0] * len(ask.hosts), strict=True))
    hosts = _in_order(ask, found, joins, loads)
    resources: tuple[str, ...] = ()
    if not joins[hosts[0]]:
        rooms = compress(ask.rules.rooms, free_rooms(ask, taken, found.points))
        resources = (*list(rooms)[:1], *(resource for resource, _ in ask.rules.equipment))
    return Verdict(hosts, resources=resources)


def _in_order(
    ask: SearchRequest, found: FreeStarts, joins: Mapping[str, int], loads: Mapping[str, int]
) -> tuple[str, ...]:
    """A class fills its open session first; then the least loaded, or the highest priority."""
    if ask.rules.all_of:
        return ask.host_ids

    def key(host: Host) -> tuple[bool, float, str]:
        open_class = bool(joins[host.id]) and ask.rules.kind == "class_booking"
        load = loads.get(host.id, 0) / (1 + 2 * host.priority)
        return (not open_class, load if ask.rules.equal_distribution else -host.priority, host.id)

    return tuple(host.id for host in sorted(compress(ask.hosts, found.eligible), key=key))


def _reason(ask: SearchRequest, taken: Occupancy, start: int, *, now: int | None) -> Reason:
    """The first rule that says no to a start that is known not to be free."""
    rules = ask.rules
    latest = None if now is None else rules.latest(now)
    checks: tuple[tuple[Reason, Callable[[], bool]], ...] = (
        ("inactive", lambda: not rules.active),
        ("not_a_member", lambda: not ask.hosts),
        ("wrong_length", lambda: not ask.possible),
        ("notice", lambda: now is not None and start < rules.earliest(now)),
        ("horizon", lambda: latest is not None and start > latest),
        ("closed", lambda: ask.strict and not _open(ask, start)),
        ("not_on_grid", lambda: not grid_of(ask, (start, start + 1)).points.every),
        ("day_full", lambda: ask.strict and taken.day_is_full(rules, start)),
        ("full", lambda: taken.is_full(ask, start)),
        ("no_resource", lambda: _lacks_only_resources(ask, taken, start)),
    )
    return next((reason for reason, holds in checks if holds()), "busy")


def _open(ask: SearchRequest, start: int) -> bool:
    every = all if ask.rules.all_of else any
    return every(fits(host.plan, [start], ask.length) for host in ask.hosts)


def _lacks_only_resources(ask: SearchRequest, taken: Occupancy, start: int) -> bool:
    window = (start, start + 1)
    return bool(search(without_resources(ask), taken, window, window).bits)


def without_resources(ask: SearchRequest) -> SearchRequest:
    """The same question on a calendar that needs no rooms and no equipment."""
    if not (ask.rules.rooms or ask.rules.equipment):
        return ask
    return ask._replace(rules=replace(ask.rules, rooms=(), equipment=()))
