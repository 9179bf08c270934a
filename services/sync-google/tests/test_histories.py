"""Random histories with faults: the end state equals that of a simple model (hypothesis)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hoop_events.booking import AppointmentCreated, AppointmentUpdated

HALF_HOUR = timedelta(minutes=30)
SLOTS = st.integers(-40, 24 * 2 * 16)
RELAXED = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

FREE = {
    "transparent": {"transparency": "transparent"},
    "location": {"eventType": "workingLocation"},
    "declined": {
        "attendees": [{"email": "x@example.com", "self": True, "responseStatus": "declined"}]
    },
}
KINDS = ["plain", "tentative", "all-day", "series", *FREE]

FOREIGN = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(KINDS), SLOTS, st.integers(0, 100)),
    st.tuples(st.just("move"), st.integers(0, 9), SLOTS, st.integers(1, 100)),
    st.tuples(st.just("free"), st.integers(0, 9)),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("skip"), st.integers(0, 9), st.integers(0, 4)),
    st.tuples(st.just("shorten"), st.integers(0, 9), st.integers(1, 4)),
    st.tuples(st.just("expire")),
    st.tuples(st.just("pages"), st.integers(1, 3)),
    st.tuples(st.just("pull")),
)


class ForeignHistory:
    """Changes other people's events in Google, and models which time they should block."""

    def __init__(self, world, zone: str) -> None:
        self.world = world
        self.zone = ZoneInfo(zone)
        self.blocked: dict[str, list[tuple[datetime, datetime]]] = {}
        self.kinds: dict[str, str] = {}

    def some(self, number: int, *kinds: str) -> str | None:
        known = [name for name, kind in self.kinds.items() if not kinds or kind in kinds]
        return known[number % len(known)] if known else None

    async def add(self, kind: str, slot: int, length: int) -> None:
        start = self.world.at(slot / 2)
        end = start + length * HALF_HOUR
        fields = {"status": "tentative"} if kind == "tentative" else FREE.get(kind, {})
        edges = {"start": {"dateTime": start.isoformat()}, "end": {"dateTime": end.isoformat()}}
        blocked = [] if kind in FREE else [(start, end)]
        if kind == "all-day":
            first, after = start.date(), start.date() + timedelta(days=1 + length % 9)
            edges = {"start": {"date": first.isoformat()}, "end": {"date": after.isoformat()}}
            blocked = [(self.midnight(first), self.midnight(after))]
        elif kind == "series":
            edges = {
                edge: {"dateTime": moment.isoformat(), "timeZone": "UTC"}
                for edge, moment in (("start", start), ("end", end))
            }
            fields = {"recurrence": ["RRULE:FREQ=DAILY;COUNT=5"]}
            blocked = [(start + timedelta(days=n), end + timedelta(days=n)) for n in range(5)]
        name = await self.world.foreign(slot / 2, **edges, **fields)
        self.blocked[name], self.kinds[name] = blocked, kind

    def midnight(self, day) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(UTC)

    async def move(self, number: int, slot: int, length: int) -> None:
        name = self.some(number, "plain", "tentative")
        if name is None:
            return
        start, end = self.world.at(slot / 2), self.world.at((slot + length) / 2)
        edges = {"start": {"dateTime": start.isoformat()}, "end": {"dateTime": end.isoformat()}}
        await self.world.google(f"PATCH events/{name}", edges)
        if self.blocked[name]:
            self.blocked[name] = [(start, end)]

    async def free(self, number: int) -> None:
        if name := self.some(number, "plain", "tentative", "all-day", "series"):
            await self.world.google(f"PATCH events/{name}", {"transparency": "transparent"})
            if self.kinds[name] != "series":
                self.blocked[name] = []
            else:  # instances that were changed by themselves would keep their fields: there are none
                self.blocked[name] = []

    async def delete(self, number: int) -> None:
        if name := self.some(number):
            await self.world.google(f"DELETE events/{name}")
            del self.blocked[name], self.kinds[name]

    async def skip(self, number: int, instance: int) -> None:
        name = self.some(number, "series")
        if name is None or len(self.blocked[name]) <= instance:
            return
        start, _ = self.blocked[name].pop(instance)
        await self.world.google(f"DELETE events/{name}_{start:%Y%m%dT%H%M%SZ}")

    async def shorten(self, number: int, count: int) -> None:
        name = self.some(number, "series")
        if name is None or not self.blocked[name]:
            return
        first = self.blocked[name][0][0]
        if len(self.blocked[name]) < 5:  # one was skipped: the rule would count it
            return
        rule = {"recurrence": [f"RRULE:FREQ=DAILY;COUNT={count}"]}
        await self.world.google(f"PATCH events/{name}", rule)
        end = first + timedelta(days=count)
        self.blocked[name] = [during for during in self.blocked[name] if during[0] < end]

    async def expire(self) -> None:
        await self.world.google("POST expire-sync-tokens", {})

    async def pages(self, size: int) -> None:
        await self.world.google("POST settings", {"page_size": size})

    async def pull(self) -> None:
        await self.world.pull()

    def half_hours(self) -> set[datetime]:
        return half_hours(during for every in self.blocked.values() for during in every)


def half_hours(intervals) -> set[datetime]:
    """The starts of all half hours in the intervals."""
    return {
        start + n * HALF_HOUR for start, end in intervals for n in range((end - start) // HALF_HOUR)
    }


@given(
    history=st.lists(FOREIGN, max_size=14),
    zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati"]),
)
@RELAXED
async def test_announced_weeks_equal_the_foreign_events(world, history, zone) -> None:
    """Polled at any time, with any sync tokens expired, the announced weeks cover what Google has."""
    fresh = await world.fresh()
    await fresh.google("POST settings", {"time_zone": zone})
    await fresh.connect(await fresh.calendar())
    foreign = ForeignHistory(fresh, zone)
    for action, *arguments in history:
        await getattr(foreign, action)(*arguments)
    await fresh.pull()

    busy = await fresh.busy()
    assert half_hours(busy) == foreign.half_hours()
    for week in {w["id"]: w for w in await fresh.announced("ExternalBusyChanged")}.values():
        edges = [datetime.fromisoformat(i[e]) for i in week["intervals"] for e in ("start", "end")]
        assert edges == sorted(set(edges))  # merged, in order, none of them empty
        monday = datetime.strptime(week["week"] + "-1", "%G-W%V-%u").replace(tzinfo=UTC)
        assert all(monday <= edge <= monday + timedelta(days=7) for edge in edges)


OURS = st.one_of(
    st.tuples(st.just("book"), st.integers(0, 40)),
    st.tuples(st.just("move"), st.integers(0, 9), st.integers(0, 40)),
    st.tuples(st.just("retitle"), st.integers(0, 9), st.sampled_from(["A", "B"])),
    st.tuples(st.just("change_calendar"), st.integers(0, 9)),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("confirm"), st.integers(0, 9)),
    st.tuples(st.just("repeat"), st.integers(0, 9)),
    st.tuples(
        st.just("fault"),
        st.sampled_from(["POST", "PATCH", "DELETE"]),
        st.sampled_from(["drop", "drop-after-commit", "commit-then-500", "status:503", "garbage"]),
    ),
    st.tuples(st.just("somebody_deletes"), st.integers(0, 9)),
    st.tuples(st.just("somebody_moves"), st.integers(0, 9)),
    st.tuples(st.just("reconnect"), st.integers(0, 1)),
    st.tuples(st.just("push")),
    st.tuples(st.just("pull")),
)


class AppointmentHistory:
    """Books, changes and cancels appointments in two calendars of one person."""

    def __init__(self, world, calendars: list[str]) -> None:
        self.world, self.calendars = world, calendars
        self.cancelled: list[tuple[str, object]] = []
        self.connections: dict[str, str] = {}

    def some(self, number: int) -> str | None:
        known = list(self.world.states)
        return known[number % len(known)] if known else None

    async def book(self, hour: int) -> None:
        await self.world.book(self.calendars[0], hour)

    async def move(self, number: int, hour: int) -> None:
        if name := self.some(number):
            await self.world.move(name, hour)

    async def retitle(self, number: int, title: str) -> None:
        if name := self.some(number):
            personal = self.world.states[name].personal.model_copy(update={"title": title})
            await self.world.change(name, personal=personal)

    async def change_calendar(self, number: int) -> None:
        if name := self.some(number):
            here = self.calendars.index(self.world.states[name].calendar_id)
            await self.world.change(name, calendar_id=self.calendars[1 - here])

    async def cancel(self, number: int) -> None:
        if name := self.some(number):
            self.cancelled.append((name, self.world.states[name]))
            await self.world.cancel(name)

    async def confirm(self, number: int) -> None:
        if name := self.some(number):
            self.world.alter(name, occupies=True, appointment_status="confirmed")
            await self.world.handle(AppointmentCreated, name)

    async def repeat(self, number: int) -> None:
        """Handle the newest event once more, or an older one."""
        if name := self.some(number):
            await self.world.handle(AppointmentUpdated, name)
        if self.cancelled:
            name, old = self.cancelled[number % len(self.cancelled)]
            newest, self.world.states[name] = self.world.states[name], old
            await self.world.handle(AppointmentUpdated, name)
            self.world.states[name] = newest

    async def fault(self, method: str, do: str) -> None:
        await self.world.fault(do, method=method, path="/events", times=1)

    async def somebody_deletes(self, number: int) -> None:
        if events := await self.world.events():
            event = events[number % len(events)]
            await self.world.google(f"DELETE events/{event['id']}")

    async def somebody_moves(self, number: int) -> None:
        if events := await self.world.events():
            event = events[number % len(events)]
            edges = {
                "start": {"dateTime": "2027-04-01T08:00:00Z"},
                "end": {"dateTime": "2027-04-01T09:00:00Z"},
            }
            await self.world.google(f"PATCH events/{event['id']}", edges)

    async def push(self) -> None:
        await self.world.push()

    async def pull(self) -> None:
        await self.world.pull()

    async def reconnect(self, number: int) -> None:
        """End a connection when nothing is left to be written, and connect the calendar again.

        What is still to be deleted when a connection ends stays in Google, since it is not called again.
        """
        await self.finish()
        calendar_id = self.calendars[number]
        await self.world.disconnect(self.connections[calendar_id])
        self.connections[calendar_id] = await self.world.connect(calendar_id)

    async def connect(self) -> None:
        for calendar_id in self.calendars:
            self.connections[calendar_id] = await self.world.connect(calendar_id)

    async def settle(self) -> None:
        """Lift all faults, change each appointment once more, and run all postponed attempts."""
        for name, state in list(self.world.states.items()):
            if state.occupies:
                personal = state.personal.model_copy(update={"title": "Last"})
                await self.world.change(name, personal=personal)
        await self.finish()

    async def finish(self) -> None:
        """Lift all faults and run all postponed attempts."""
        await self.world.google("POST reset", {"faults": True})
        for _ in range(8):
            await self.world.settle_calls()
            await self.world.end_waits()
            await self.world.push()


@given(history=st.lists(OURS, max_size=16))
@RELAXED
async def test_google_shows_all_appointments(world, history) -> None:
    """One event for each appointment that occupies time, with its present fields; no other event."""
    fresh = await world.fresh()
    calendars = [await fresh.calendar(), await fresh.calendar()]
    ours = AppointmentHistory(fresh, calendars)
    await ours.connect()
    for action, *arguments in history:
        await getattr(ours, action)(*arguments)
    await ours.settle()

    shown = sorted(
        (e["id"][:26], e["summary"], e["start"]["dateTime"]) for e in await fresh.events()
    )
    assert shown == sorted(
        (name, state.personal.title, f"{state.start_time:%Y-%m-%dT%H:%M:%SZ}")
        for name, state in fresh.states.items()
        if state.occupies
    )
    assert {row["status"] for row in await fresh.desired_states()} <= {"done"}
    await fresh.pull()
    assert await fresh.busy() == []
