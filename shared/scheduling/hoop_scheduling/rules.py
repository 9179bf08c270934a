"""A calendar's booking rules as plain values, read from the API's fields."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

from hoop_scheduling.grid import GridSpec, shared_spec
from hoop_scheduling.hours import OpeningPlan
from hoop_scheduling.opening_hours import JsonObject, calendar_plan, milliseconds, schedule_hours
from hoop_scheduling.zones import DAY, FIXED_UNITS, MINUTE, later, zone_named

_UNIT_MS = FIXED_UNITS | {"days": DAY, "weeks": 7 * DAY, "months": 31 * DAY}
"""The longest duration of each unit."""
_CENTURY = 36_525 * DAY


class BrokenRule(ValueError):
    """Settings that contradict a rule, with a sentence for whoever sent them."""


@dataclass(frozen=True)
class Host:
    """A member of a calendar, whose time is booked; of a calendar without members, the calendar."""

    id: str
    plan: OpeningPlan
    priority: float = 0.5
    primary: bool = False


@dataclass(frozen=True)
class SlotRules:
    """The rules of a calendar. Durations are milliseconds; 0 means that there is no such rule.

    `hosts` are in the order of the team, the primary member first; empty on a calendar all of whose
    members were deleted. Busy times under the calendar's id block all its hosts.
    """

    calendar: str
    zone: str
    hosts: tuple[Host, ...]
    kind: str = "event"
    active: bool = True
    length: int = milliseconds(30, "mins")
    step: int = milliseconds(30, "mins")
    before: int = 0
    after: int = 0
    capacity: int = 1
    per_day: int = 0
    """Occupying appointments that may start on one local day, of all hosts together."""
    notice: tuple[float, str] = (0, "hours")
    horizon: tuple[float, str] = (0, "days")
    equal_distribution: bool = False
    rooms: tuple[str, ...] = ()
    """A new session needs one of these rooms, buffers included; sorted. Each holds `capacity` people."""
    equipment: tuple[tuple[str, int], ...] = ()
    """A new session needs a unit of each equipment: (id, units that may be in use at once)."""
    look_busy: int = 0
    """Percentage of the free starts that are not offered; they may be booked nevertheless."""

    def __post_init__(self) -> None:
        zone_named(self.zone)
        if min(self.length, self.step) < MINUTE:
            raise BrokenRule("a duration or an interval is shorter than a minute")
        if self.capacity < 1 or min(self.before, self.after, self.per_day) < 0:
            raise BrokenRule("a seat count, a buffer or a daily limit is negative")
        if not 0 <= self.look_busy <= 100:
            raise BrokenRule("a percentage is not between 0 and 100")
        for count, unit in (self.notice, self.horizon):
            if not 0 <= count * _UNIT_MS[unit] <= _CENTURY:
                raise BrokenRule("notice and horizon lie between now and a hundred years ahead")

    @classmethod
    def from_calendar(
        cls,
        calendar: JsonObject,
        zone: str,
        schedules: Iterable[JsonObject] = (),
        resources: Iterable[JsonObject] = (),
    ) -> "SlotRules":
        """The rules of a calendar object of the API in its location's zone.

        Schedules and resources whose `calendarIds` do not name the calendar, deleted schedules and
        inactive resources are ignored.

        A schedule replaces the open hours of its user; unless there are several members, those of
        the calendar. Of several schedules of one user the union counts. Dates of the calendar's
        `availabilities` take precedence over both. Raises ValueError or KeyError for values that
        booking refuses: an unknown zone or unit, a duration under a minute.
        """
        members = calendar.get("teamMembers") or _own_host(calendar)
        applied = [s for s in schedules if not s.get("deleted") and _applies_to(s, calendar)]
        plans = _plans(calendar, zone, applied, [member["userId"] for member in members])
        hosts = [_host(member, plans[member["userId"]]) for member in members]
        return cls(
            calendar=calendar["id"],
            zone=zone,
            hosts=tuple(sorted(hosts, key=lambda host: not host.primary)),
            **_settings(calendar),
            **_resources(
                [r for r in resources if _applies_to(r, calendar)],
                seats=int(calendar.get("appoinmentPerSlot") or 1),
            ),
        )

    @property
    def all_of(self) -> bool:
        """Whether every host must be free; then the grid is the first host's."""
        return self.kind == "collective"

    @cached_property
    def host_ids(self) -> tuple[str, ...]:
        return tuple(host.id for host in self.hosts)

    @cached_property
    def grid_spec(self) -> GridSpec:
        plans = tuple(host.plan for host in self.hosts)
        return shared_spec(plans, self.all_of, self.length, self.step)

    def earliest(self, now: int) -> int:
        """The first instant that may be booked."""
        return later(now, *self.notice, self.zone)

    def latest(self, now: int) -> int | None:
        """The last instant that may be booked; None without a horizon."""
        return later(now, *self.horizon, self.zone) if self.horizon[0] else None


def _settings(calendar: JsonObject) -> dict[str, Any]:
    return {
        "kind": calendar.get("calendarType") or "event",
        "active": calendar.get("isActive") is not False,
        "length": _duration(calendar, "slotDuration", default=30),
        "step": _duration(calendar, "slotInterval", default=30),
        "before": _duration(calendar, "preBuffer"),
        "after": _duration(calendar, "slotBuffer"),
        "per_day": int(calendar.get("appoinmentPerDay") or 0),
        "notice": _count(calendar, "allowBookingAfter", "hours"),
        "horizon": _count(calendar, "allowBookingFor", "days"),
        "equal_distribution": calendar.get("eventType")
        == "RoundRobin_OptimizeForEqualDistribution",
        "look_busy": _look_busy(calendar.get("lookBusyConfig") or {}),
    }


def _own_host(calendar: JsonObject) -> list[JsonObject]:
    """A calendar without members is its own host, unless it lost them: then it has none."""
    return [] if calendar.get("needsHost") else [{"userId": calendar["id"]}]


def _look_busy(config: JsonObject) -> int:
    return round(config.get("LookBusyPercentage") or 0) if config.get("enabled") else 0


def _applies_to(found: JsonObject, calendar: JsonObject) -> bool:
    """Whether a schedule or resource names the calendar; without `calendarIds` it does."""
    return calendar["id"] in found.get("calendarIds", (calendar["id"],))


def _resources(resources: Iterable[JsonObject], *, seats: int) -> dict[str, Any]:
    """The seats of a session, as far as its largest room holds so many people; the rooms for so many."""
    active = sorted(
        (resource for resource in resources if resource.get("isActive") is not False),
        key=itemgetter("id"),
    )
    rooms = {
        one["id"]: max(one.get("capacity", seats), 1)
        for one in active
        if one["resourceType"] == "rooms"
    }
    capacity = min(seats, max(rooms.values(), default=seats))
    return {
        "capacity": capacity,
        "rooms": tuple(room for room, people in rooms.items() if people >= capacity),
        "equipment": tuple(
            (one["id"], one.get("quantity", 1) - one.get("outOfService", 0))
            for one in active
            if one["resourceType"] == "equipments"
        ),
    }


def _duration(calendar: JsonObject, name: str, *, default: float = 0) -> int:
    count, unit = _count(calendar, name, "mins", default=default)
    return milliseconds(count, unit)


def _count(calendar: JsonObject, name: str, unit: str, *, default: float = 0) -> tuple[float, str]:
    count = calendar.get(name)
    return (default if count is None else count), calendar.get(f"{name}Unit") or unit


def _host(member: JsonObject, plan: OpeningPlan) -> Host:
    priority = member.get("priority")
    return Host(
        id=member["userId"],
        plan=plan,
        priority=0.5 if priority is None else priority,
        primary=bool(member.get("isPrimary")),
    )


def _plans(
    calendar: JsonObject, zone: str, applied: Sequence[JsonObject], hosts: list[str]
) -> Mapping[str, OpeningPlan]:
    own = calendar_plan(calendar, zone)
    plans = {}
    for host in hosts:
        mine = [s for s in applied if len(hosts) == 1 or s.get("userId") == host]
        hours = tuple(schedule_hours(schedule) for schedule in mine)
        plans[host] = OpeningPlan(hours, own.dated) if hours and own.hours else own
    return plans
