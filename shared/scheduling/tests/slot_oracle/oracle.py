"""A second implementation of slots: minute by minute, with `zoneinfo` only, sharing no code with the engine.

It reads the same objects as `SlotRules.from_calendar` and counts time in whole minutes since 1970.
Slow and plain on purpose: every rule is one function of one minute or one start.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]


@dataclass
class World:
    """A calendar, occupied times and seats, and the current time. Times are minutes since 1970."""

    calendar: dict
    zone: str
    schedules: list[dict] = field(default_factory=list)
    resources: list[dict] = field(default_factory=list)
    busy: dict[str, list[tuple[int, int, int, int]]] = field(default_factory=dict)
    sessions: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    """(host, start): (end, seats taken); the session is also in `busy` of its host."""
    used: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    """(host, start): the resources of the session, in whose `busy` it is as well."""
    counts: dict[date, int] = field(default_factory=dict)
    now: int = 0


def hosts(world: World) -> list[str]:
    return [m["userId"] for m in world.calendar.get("teamMembers", [])] or [world.calendar["id"]]


def wall(minute: int, zone: str) -> datetime:
    return datetime.fromtimestamp(minute * 60, ZoneInfo(zone))


class Oracle:
    """The free starts of one world; caches the result for each minute."""

    def __init__(self, world: World) -> None:
        self.world = world
        c = world.calendar
        self.length, self.step = minutes(c, "slotDuration", 30), minutes(c, "slotInterval", 30)
        self.before, self.after = minutes(c, "preBuffer", 0), minutes(c, "slotBuffer", 0)
        self.capacity = c.get("appoinmentPerSlot", 1)
        self.collective = c.get("calendarType") == "collective"
        self.known: dict[tuple, int] = {}
        self.open_under = cache(self._open_under)
        self.on_grid = cache(self._on_grid)

    def offered(self, start: int, end: int) -> list[int]:
        return [minute for minute in range(start, end) if self.able_hosts(minute)]

    def able_hosts(self, start: int, requested: str | None = None) -> set[str]:
        """The hosts who can take a booking at that minute; of a collective calendar all or none."""
        if not self.world.calendar.get("isActive", True) or not self.allowed(start):
            return set()
        everybody = hosts(self.world)
        if self.collective:
            together = self.all_of(start, everybody) and requested in {None, *everybody}
            return set(everybody) if together else set()
        candidates = [h for h in everybody if requested in {None, h}]
        return {
            h
            for h in candidates
            if self.on_grid(h, start)
            and self.fits(h, start)
            and (self.can_begin(h, start) or self.has_seat(h, start))
        }

    def all_of(self, start: int, everybody: list[str]) -> bool:
        primary = next(m["userId"] for m in self.world.calendar["teamMembers"] if m["isPrimary"])
        if not self.on_grid(primary, start) or not all(self.fits(h, start) for h in everybody):
            return False
        return all(self.can_begin(h, start) for h in everybody) or all(
            self.has_seat(h, start) for h in everybody
        )

    def can_begin(self, host: str, start: int) -> bool:
        """Whether a new session can begin: the host and the needed resources are free."""
        return self.is_free(host, start) and self.needs(start) is not None

    def needs(self, start: int) -> list[str] | None:
        """The room and the equipment that a new session would take; None: something is missing."""
        active = [r for r in self.world.resources if r.get("isActive", True)]
        rooms = [r["id"] for r in active if r["resourceType"] == "rooms"]
        free = sorted(room for room in rooms if self.is_untouched([room], start))
        equipment = sorted(
            (r for r in active if r["resourceType"] != "rooms"), key=lambda r: r["id"]
        )
        if (rooms and not free) or not all(self.spare(r, start) for r in equipment):
            return None
        return free[:1] + [r["id"] for r in equipment]

    def spare(self, resource: dict, start: int) -> bool:
        """Whether a unit of the equipment is free at every minute."""
        units = resource["quantity"] - resource["outOfService"]
        uses = self.world.busy.get(resource["id"], [])
        return all(
            sum(a <= minute < b for a, b, *_ in uses) < units
            for minute in range(start, start + self.length)
        )

    def allowed(self, start: int) -> bool:
        """Whether minimum notice, horizon and the limit of the day allow the start."""
        return not (self.too_soon(start) or self.too_late(start) or self.day_is_full(start))

    def too_soon(self, start: int) -> bool:
        c, zone = self.world.calendar, self.world.zone
        return start < shifted(self.world.now, c, "allowBookingAfter", zone)

    def too_late(self, start: int) -> bool:
        c, zone = self.world.calendar, self.world.zone
        horizon = bool(c.get("allowBookingFor"))
        return horizon and start > shifted(self.world.now, c, "allowBookingFor", zone)

    def day_is_full(self, start: int) -> bool:
        limit = self.world.calendar.get("appoinmentPerDay")
        return (
            bool(limit) and self.world.counts.get(wall(start, self.world.zone).date(), 0) >= limit
        )

    def is_free(self, host: str, start: int) -> bool:
        begun = (host, start) in self.world.sessions
        return not begun and self.is_untouched([host, self.world.calendar["id"]], start)

    def is_untouched(self, owners: list[str], start: int) -> bool:
        end = start + self.length
        return not any(
            (start - self.before < b and a < end + self.after)
            or (start < b + after and a - before < end)
            for owner in owners
            for a, b, before, after in self.world.busy.get(owner, [])
        )

    def has_seat(self, host: str, start: int) -> bool:
        if (host, start) not in self.world.sessions:
            return False
        last, taken = self.world.sessions[host, start]
        end = start + self.length
        owners = {host, self.world.calendar["id"]}
        others = [(a, b) for owner in owners for a, b, *_ in self.world.busy.get(owner, [])]
        if (start, last) in others:
            others.remove((start, last))
        meets = any(max(a, start) < min(b, end) for a, b in others)
        return taken < self.capacity and end <= last and not meets

    def reason(self, minutes: Iterable[int]) -> str | None:
        """The first rule that leaves none of these minutes; None if one of them is offered."""
        if not self.world.calendar.get("isActive", True):
            return "inactive"
        left = [minute for minute in minutes if self.is_open(minute)]
        if not left:
            return "closed"
        for reason, refuses in [
            ("notice", self.too_soon),
            ("horizon", self.too_late),
            ("day_full", self.day_is_full),
        ]:
            left = [minute for minute in left if not refuses(minute)]
            if not left:
                return reason
        if any(self.able_hosts(minute) for minute in left):
            return None
        return self.reason_for_nobody(left)

    def reason_for_nobody(self, starts: list[int]) -> str:
        resources, self.world.resources = self.world.resources, []
        helped = any(self.able_hosts(start) for start in starts)
        self.world.resources = resources
        if helped:
            return "no_resource"
        begun = [self.world.sessions.get((h, m)) for h in hosts(self.world) for m in starts]
        full = any(session and session[1] >= self.capacity for session in begun)
        return "full" if full else "busy"

    def is_open(self, start: int) -> bool:
        team = hosts(self.world)
        if not self.collective:
            return any(self.on_grid(h, start) and self.fits(h, start) for h in team)
        primary = next(m["userId"] for m in self.world.calendar["teamMembers"] if m["isPrimary"])
        return self.on_grid(primary, start) and all(self.fits(h, start) for h in team)

    def fits(self, host: str, start: int) -> bool:
        return all(self.open_under(host, m) for m in range(start, start + self.length))

    def _on_grid(self, host: str, start: int) -> bool:
        """Some opening's unbroken run began a whole number of intervals ago."""
        return any(
            (start - self.began(host, start, opening)) % self.step == 0
            for opening in self.open_under(host, start)
        )

    def began(self, host: str, minute: int, opening: tuple) -> int:
        """The first minute of the unbroken run of that opening; walks back to a cached one."""
        begin = minute
        while (host, begin, opening) not in self.known and opening in self.open_under(
            host, begin - 1
        ):
            begin -= 1
        begin = self.known.get((host, begin, opening), begin)
        self.known[host, minute, opening] = begin
        return begin

    def _open_under(self, host: str, minute: int) -> set[tuple]:
        """The openings, as (rule, local date), that contain the minute."""
        c, local = self.world.calendar, wall(minute, self.world.zone)
        kind = c.get("availabilityType")
        dated = [
            entry
            for entry in c.get("availabilities", [])
            if entry["date"][:10] == local.date().isoformat() and not entry.get("deleted")
        ]
        if dated and kind != 0:
            return {("date", local.date())} if within(local, *dated) else set()
        if kind == 1:
            return set()
        mine = [
            s for s in self.world.schedules if len(hosts(self.world)) == 1 or s["userId"] == host
        ]
        if mine:
            return {found for s in mine for found in under_schedule(s, minute)}
        weekday = (local.weekday() + 1) % 7
        weekly = [e for e in c.get("openHours", []) if weekday in e["daysOfTheWeek"]]
        return {("week", local.date())} if within(local, *weekly) else set()


def within(local: datetime, *entries: dict) -> bool:
    at = local.hour * 60 + local.minute
    return any(
        h["openHour"] * 60 + h["openMinute"] <= at < h["closeHour"] * 60 + h["closeMinute"]
        for entry in entries
        for h in entry["hours"]
    )


def under_schedule(schedule: dict, minute: int) -> set[tuple]:
    local = wall(minute, schedule["timezone"])
    dated = [r for r in schedule["rules"] if r.get("date") == local.date().isoformat()]
    today = DAYS[(local.weekday() + 1) % 7]
    rules = dated or [r for r in schedule["rules"] if r.get("day") == today]
    spans = [span for rule in rules for span in rule["intervals"]]
    if any(span["from"] <= f"{local:%H:%M}" < span["to"] for span in spans):
        return {(schedule["name"], local.date())}
    return set()


def minutes(calendar: dict, name: str, default: int) -> int:
    scale = 60 if calendar.get(f"{name}Unit") == "hours" else 1
    return round(calendar.get(name, default) * scale)


def shifted(now: int, calendar: dict, name: str, zone: str) -> int:
    """`now` plus the calendar's span: hours in elapsed time, longer units in local time."""
    count, unit = calendar.get(name, 0), calendar.get(f"{name}Unit", "hours")
    if unit in {"mins", "hours"} or not count:
        return now + count * (60 if unit == "hours" else 1)
    local = wall(now, zone)
    if unit == "months":
        month = local.month - 1 + count
        first = local.replace(day=1, year=local.year + month // 12, month=month % 12 + 1)
        following = (first.date() + timedelta(days=31)).replace(day=1)
        last_day = (following - timedelta(days=1)).day
        target = first.replace(day=min(local.day, last_day))
    else:
        target = local + timedelta(days=count * (7 if unit == "weeks" else 1))
    return round(target.astimezone(UTC).timestamp()) // 60
