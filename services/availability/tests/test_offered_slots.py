"""For any history of events, the offered slots are those that the engine computes from the last states."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from availability import handlers
from availability.store.cache import ViewCache
from hoop_events.booking import Appointment, AppointmentUpdated
from hoop_events.calendars import Calendar, CalendarChanged
from hoop_events.effects import BusyInterval, BusyWeek, ExternalBusyChanged
from hoop_platform.ids import new_id
from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.formatting import format_starts
from hoop_scheduling.listing import free_starts
from hoop_scheduling.rules import SlotRules
from hoop_scheduling.zones import day_of, epoch_ms

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)  # 09:00 in New York
ZONE = "America/New_York"
NOW = datetime(2027, 2, 25, tzinfo=UTC)
WINDOW = (MONDAY - timedelta(hours=9), MONDAY + timedelta(hours=15))

SEATS = st.fixed_dictionaries(
    {
        "calendar": st.integers(0, 1),
        "host": st.integers(0, 1),
        "half_hours": st.integers(0, 5),
        "minutes": st.sampled_from([30, 60]),
        "buffer_before": st.sampled_from([0, 15]),
        "occupies": st.booleans(),
    }
)
STEPS = st.one_of(
    st.tuples(st.just("seat"), st.integers(0, 3), SEATS),
    st.tuples(st.just("busy"), st.integers(0, 1), st.sets(st.integers(0, 5), max_size=3)),
    st.tuples(
        st.just("calendar"),
        st.integers(0, 1),
        st.fixed_dictionaries(
            {
                "slotDuration": st.sampled_from([30, 60]),
                "appoinmentPerSlot": st.sampled_from([1, 2]),
                "appoinmentPerDay": st.sampled_from([None, 1, 3]),
                "preBuffer": st.sampled_from([0, 10]),
            }
        ),
    ),
)


@dataclass
class World:
    """Announced events, and the last state of each aggregate."""

    calendar: Callable[..., Calendar]
    appointment: Callable[..., Appointment]
    account_id: str = field(default_factory=new_id)
    calendars: list[str] = field(default_factory=lambda: [new_id(), new_id()])
    users: list[str] = field(default_factory=lambda: [new_id(), new_id()])
    seats: list[str] = field(default_factory=lambda: [new_id() for _ in range(4)])
    connections: list[str] = field(default_factory=lambda: [new_id(), new_id()])
    sessions: dict = field(default_factory=lambda: defaultdict(new_id))
    last: dict = field(default_factory=dict)

    def event(self, kind, number, drawn):
        build = {"seat": self._seat, "busy": self._busy, "calendar": self._calendar}[kind]
        event = build(number, drawn)
        self.last[kind, number] = event.state
        return event

    def _seat(self, number, drawn):
        session = (drawn["calendar"], drawn["host"], drawn["half_hours"])
        start = MONDAY + timedelta(minutes=30 * drawn["half_hours"])
        state = self.appointment(
            self.seats[number],
            self.calendars[drawn["calendar"]],
            self.users[drawn["host"]],
            session=self.sessions[session],
            start=start,
            minutes=drawn["minutes"],
            occupies=drawn["occupies"],
            buffer_before=drawn["buffer_before"],
        )
        return AppointmentUpdated(account_id=self.account_id, state=state)

    def _busy(self, number, half_hours):
        starts = [MONDAY + timedelta(minutes=30 * n) for n in sorted(half_hours)]
        state = BusyWeek(
            id=f"{self.connections[number]}:2027-W09",
            sequence=1,
            connection_id=self.connections[number],
            week="2027-W09",
            calendar_id=self.calendars[0],
            user_id=self.users[number],
            intervals=[BusyInterval(start=s, end=s + timedelta(minutes=30)) for s in starts],
        )
        return ExternalBusyChanged(account_id=self.account_id, state=state)

    def _calendar(self, number, drawn):
        state = self.calendar(self.calendars[number], self.users, **drawn)
        return CalendarChanged(account_id=self.account_id, state=state)

    def expected(self, number):
        """Free starts of one calendar, computed by the engine from the last states alone."""
        state = self.last["calendar", number]
        rules = SlotRules.from_calendar({**state.settings, "id": state.id}, ZONE)
        seated = [s for (kind, _), s in self.last.items() if kind == "seat" and s.occupies]
        weeks = [s for (kind, _), s in self.last.items() if kind == "busy"]
        busy = defaultdict(list)
        for s in seated:
            span = (epoch_ms(s.start_time), epoch_ms(s.end_time), s.buffer_before * 60_000, 0)
            busy[s.hosts[0]].append(span)
        for week in weeks:
            busy[week.user_id] += [
                (epoch_ms(i.start), epoch_ms(i.end), 0, 0) for i in week.intervals
            ]
        starts = free_starts(
            rules,
            busy={host: Busy.of(spans) for host, spans in busy.items()},
            window=tuple(map(epoch_ms, WINDOW)),
            now=epoch_ms(NOW),
            seats=_seats([s for s in seated if s.calendar_id == state.id]),
            day_counts=_days([s for s in seated if s.calendar_id == state.id]),
            hosts=None,
        )
        return format_starts(starts, ZONE)


def _seats(seated):
    found = {}
    for s in seated:
        key = (s.hosts[0], epoch_ms(s.start_time))
        ends, taken = found.get(key, (0, 0))
        found[key] = (max(ends, epoch_ms(s.end_time)), taken + 1)
    return {key: Seats(*seats) for key, seats in found.items()}


def _days(seated):
    days = defaultdict(int)
    for s in seated:
        days[day_of(epoch_ms(s.start_time), ZONE)] += 1
    return days


HANDLERS = {
    "seat": handlers.on_appointment_changed,
    "busy": handlers.on_external_busy_changed,
    "calendar": handlers.on_calendar_changed,
}


async def offered(cache, world, number):
    """Free starts as the route computes them."""
    window = tuple(map(epoch_ms, WINDOW))
    now = epoch_ms(NOW)
    view = await cache.view(world.account_id, world.calendars[number], *window, now=now)
    starts = free_starts(
        view.rules,
        busy=view.busy,
        window=window,
        now=now,
        seats=view.seats,
        day_counts=view.day_counts,
    )
    return format_starts(starts, ZONE)


@given(history=st.lists(STEPS, max_size=14))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_the_read_model_offers_what_the_last_states_do(
    read_model, calendar, appointment, history
):
    """For any history, each calendar offers what the engine computes from the last states."""
    world = World(calendar, appointment)
    beginning = [("calendar", number, {"slotDuration": 30}) for number in (0, 1)]
    for kind, number, drawn in beginning + history:
        event = world.event(kind, number, drawn)
        async with read_model.transaction() as db:
            await HANDLERS[kind](db, event, NOW)
    for number in (0, 1):
        cache = ViewCache(read_model, intervals=1000)
        assert await offered(cache, world, number) == world.expected(number)
