"""Whether a slot may be booked: a search whose window holds only the requested start.

Because offers come from the same search, every offered slot may be booked, and every slot that may
be booked is offered.
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
    "no_host",
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
    """The hosts who can take the booking, in the order to be tried; or the reason why none can.

    Of a collective calendar: all hosts, the primary first; they are booked together.
    `resources`: a room and a unit of each equipment for the new session that the first of the
    hosts (or all together) would begin; empty where the booking joins a session, which has its own.
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
    any_length: bool = False,
) -> Verdict:
    """Whether [start, end) may be booked with that host, or with any host if None.

    `loads`: occupying appointments of each host in the month of the start, for equal distribution.
    `ignore_range` skips minimum notice and horizon; `ignore_rules` skips these, the hours, the
    grid, the length, the daily limit and all buffers, but never core times (of hosts, rooms and
    equipment), seats or `inactive`. `any_length` skips the length alone: all of it must be open
    and free. Look-busy never refuses a booking.
    """
    occupancy = without_excluded(rules, Occupancy(busy, seats or {}, day_counts or {}), leave_out)
    hosts = candidate_hosts(rules, None if host is None else (host,))
    request = SearchRequest(
        rules, hosts, end - start, strict=not ignore_rules, any_length=any_length
    )
    range_applies = not (ignore_range or ignore_rules)
    window = (start, start + 1)
    bookable = bookable_range(rules, window, now) if range_applies else window
    if request.has_valid_length:
        found = search(request, occupancy, window, bookable)
        if found.bits:
            return _accepted(request, occupancy, found, loads or {})
    return Verdict(reason=_reason(request, occupancy, start, now=now if range_applies else None))


def candidate_hosts(rules: SlotRules, requested: Collection[str] | None) -> tuple[Host, ...]:
    """The requested members, all if None; all as well of a collective calendar with one of them."""
    if requested is None:
        return rules.hosts
    members = tuple(host for host in rules.hosts if host.id in requested)
    return rules.hosts if rules.all_of and members else members


def bookable_range(rules: SlotRules, window: Window, now: int) -> Window:
    """The part of the window that minimum notice and horizon allow."""
    latest = rules.latest(now)
    end = window[1] if latest is None else min(window[1], latest + 1)
    return max(window[0], rules.earliest(now)), end


def _accepted(
    request: SearchRequest, occupancy: Occupancy, found: FreeStarts, loads: Mapping[str, int]
) -> Verdict:
    joins = dict(zip(request.host_ids, found.joinable or [0] * len(request.hosts), strict=True))
    hosts = _in_order(request, found, joins, loads)
    resources: tuple[str, ...] = ()
    if not joins[hosts[0]]:
        rooms = compress(request.rules.rooms, free_rooms(request, occupancy, found.candidates))
        resources = (*list(rooms)[:1], *(resource for resource, _ in request.rules.equipment))
    return Verdict(hosts, resources=resources)


def _in_order(
    request: SearchRequest, found: FreeStarts, joins: Mapping[str, int], loads: Mapping[str, int]
) -> tuple[str, ...]:
    """Hosts of an open class first; then the least loaded, or those of the highest priority."""
    if request.rules.all_of:
        return request.host_ids

    def key(host: Host) -> tuple[bool, float, str]:
        open_class = bool(joins[host.id]) and request.rules.kind == "class_booking"
        load = loads.get(host.id, 0) / (1 + 2 * host.priority)
        rank = load if request.rules.equal_distribution else -host.priority
        return (not open_class, rank, host.id)

    return tuple(host.id for host in sorted(compress(request.hosts, found.eligible), key=key))


def _reason(request: SearchRequest, occupancy: Occupancy, start: int, *, now: int | None) -> Reason:
    """The first rule that refuses a start that is known not to be free."""
    rules = request.rules
    latest = None if now is None else rules.latest(now)
    checks: tuple[tuple[Reason, Callable[[], bool]], ...] = (
        ("inactive", lambda: not rules.active),
        ("no_host", lambda: not rules.hosts),
        ("not_a_member", lambda: not request.hosts),
        ("wrong_length", lambda: not request.has_valid_length),
        ("notice", lambda: now is not None and start < rules.earliest(now)),
        ("horizon", lambda: latest is not None and start > latest),
        ("closed", lambda: request.strict and not _is_open(request, start)),
        ("not_on_grid", lambda: not grid_of(request, (start, start + 1)).candidates.all_bits),
        ("day_full", lambda: request.strict and occupancy.day_is_full(rules, start)),
        ("full", lambda: occupancy.is_full(request, start)),
        ("no_resource", lambda: _lacks_only_resources(request, occupancy, start)),
    )
    return next((reason for reason, applies in checks if applies()), "busy")


def _is_open(request: SearchRequest, start: int) -> bool:
    every = all if request.rules.all_of else any
    return every(fits(host.plan, [start], request.length) for host in request.hosts)


def _lacks_only_resources(request: SearchRequest, occupancy: Occupancy, start: int) -> bool:
    window = (start, start + 1)
    return bool(search(without_resources(request), occupancy, window, window).bits)


def without_resources(request: SearchRequest) -> SearchRequest:
    """The same request on a calendar that needs no rooms and no equipment."""
    if not (request.rules.rooms or request.rules.equipment):
        return request
    return request._replace(rules=replace(request.rules, rooms=(), equipment=()))
