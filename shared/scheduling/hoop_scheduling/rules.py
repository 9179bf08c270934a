"""A calendar's booking rules as plain values, read from the fields that clients see."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

from hoop_scheduling.grid import Shape, shaped
from hoop_scheduling.hours import Plan
from hoop_scheduling.opening_hours import Document, calendar_plan, milliseconds, schedule_hours
from hoop_scheduling.zones import DAY, ELAPSING, MINUTE, later, zone_named

_LONGEST = ELAPSING | {"days": DAY, "weeks": 7 * DAY, "months": 31 * DAY}
_CENTURY = 36_525 * DAY


@dataclass(frozen=True)
class Host:
    """Somebody (or, on a calendar without members, the calendar) whose time is booked."""

    id: str
    plan: Plan
    priority: float = 0.5
    primary: bool = False


@dataclass(frozen=True)
class SlotRules:
    """What may be booked on a calendar. Lengths are milliseconds; 0 means "no such rule".

    `hosts` are in the order of the team, on a collective calendar the primary member first.
    Busy times under the calendar's own id block all its hosts.
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
    """A new session needs any one of them, buffers included; sorted."""
    equipment: tuple[tuple[str, int], ...] = ()
    """A new session needs a unit of each: (id, units that may be in use at the same time)."""
    look_busy: int = 0
    """Percent of the free starts that are not shown; they may be booked all the same."""

    def __post_init__(self) -> None:
        zone_named(self.zone)
        if min(self.length, self.step) < MINUTE:
            raise ValueError("a duration or an interval is shorter than a minute")
        if self.capacity < 1 or min(self.before, self.after, self.per_day) < 0:
            raise ValueError("a seat count, a buffer or a daily limit is negative")
        if not 0 <= self.look_busy <= 100:
            raise ValueError("a percentage is not between 0 and 100")
        for count, unit in (self.notice, self.horizon):
            if not 0 <= count * _LONGEST[unit] <= _CENTURY:
                raise ValueError("notice and horizon lie between now and a hundred years ahead")

    @classmethod
    def from_calendar(
        cls,
        calendar: Document,
        zone: str,
        schedules: Iterable[Document] = (),
        resources: Iterable[Document] = (),
    ) -> "SlotRules":
        """Read the calendar object of the API, its location's zone, its schedules and resources.

        Documents whose `calendarIds` do not name the calendar, deleted schedules and resources
        that are not active count for nothing.

        A schedule replaces the open hours of its own user; where there are not several members,
        those of the calendar. Several schedules of one user: their union. Dates of the calendar's
        `availabilities` decide over both. ValueError or KeyError for what booking refuses: an
        unknown zone or unit, a duration under a minute.
        """
        members = calendar.get("teamMembers") or [{"userId": calendar["id"]}]
        applied = [s for s in schedules if not s.get("deleted") and _concerns(s, calendar)]
        plans = _plans(calendar, zone, applied, [member["userId"] for member in members])
        hosts = [_host(member, plans[member["userId"]]) for member in members]
        return cls(
            calendar=calendar["id"],
            zone=zone,
            hosts=tuple(sorted(hosts, key=lambda host: not host.primary)),
            **_settings(calendar),
            **_needs([r for r in resources if _concerns(r, calendar)]),
        )

    @property
    def all_of(self) -> bool:
        """Every host must be free, and the grid is the first host's."""
        return self.kind == "collective"

    @cached_property
    def host_ids(self) -> tuple[str, ...]:
        return tuple(host.id for host in self.hosts)

    @cached_property
    def shape(self) -> Shape:
        plans = tuple(host.plan for host in self.hosts)
        return shaped(plans, self.all_of, self.length, self.step)

    def earliest(self, now: int) -> int:
        """The first instant that may be booked."""
        return later(now, *self.notice, self.zone)

    def latest(self, now: int) -> int | None:
        """The last instant that may be booked; None without a horizon."""
        return later(now, *self.horizon, self.zone) if self.horizon[0] else None


def _settings(calendar: Document) -> dict[str, Any]:
    return {
        "kind": calendar.get("calendarType") or "event",
        "active": calendar.get("isActive") is not False,
        "length": _duration(calendar, "slotDuration", default=30),
        "step": _duration(calendar, "slotInterval", default=30),
        "before": _duration(calendar, "preBuffer"),
        "after": _duration(calendar, "slotBuffer"),
        "capacity": int(calendar.get("appoinmentPerSlot") or 1),
        "per_day": int(calendar.get("appoinmentPerDay") or 0),
        "notice": _count(calendar, "allowBookingAfter", "hours"),
        "horizon": _count(calendar, "allowBookingFor", "days"),
        "equal_distribution": calendar.get("eventType")
        == "RoundRobin_OptimizeForEqualDistribution",
        "look_busy": _look_busy(calendar.get("lookBusyConfig") or {}),
    }


def _look_busy(config: Document) -> int:
    return round(config.get("LookBusyPercentage") or 0) if config.get("enabled") else 0


def _concerns(document: Document, calendar: Document) -> bool:
    """Documents that do not say whom they concern were picked by the caller."""
    return calendar["id"] in document.get("calendarIds", (calendar["id"],))


def _needs(resources: Iterable[Document]) -> dict[str, Any]:
    active = sorted(
        (resource for resource in resources if resource.get("isActive") is not False),
        key=itemgetter("id"),
    )
    return {
        "rooms": tuple(one["id"] for one in active if one["resourceType"] == "rooms"),
        "equipment": tuple(
            (one["id"], one.get("quantity", 1) - one.get("outOfService", 0))
            for one in active
            if one["resourceType"] == "equipments"
        ),
    }


def _duration(calendar: Document, name: str, *, default: float = 0) -> int:
    count, unit = _count(calendar, name, "mins", default=default)
    return milliseconds(count, unit)


def _count(calendar: Document, name: str, unit: str, *, default: float = 0) -> tuple[float, str]:
    count = calendar.get(name)
    return (default if count is None else count), calendar.get(f"{name}Unit") or unit


def _host(member: Document, plan: Plan) -> Host:
    priority = member.get("priority")
    return Host(
        id=member["userId"],
        plan=plan,
        priority=0.5 if priority is None else priority,
        primary=bool(member.get("isPrimary")),
    )


def _plans(
    calendar: Document, zone: str, applied: Sequence[Document], hosts: list[str]
) -> Mapping[str, Plan]:
    own = calendar_plan(calendar, zone)
    plans = {}
    for host in hosts:
        mine = [s for s in applied if len(hosts) == 1 or s.get("userId") == host]
        hours = tuple(schedule_hours(schedule) for schedule in mine)
        plans[host] = Plan(hours, own.dated) if hours and own.hours else own
    return plans
