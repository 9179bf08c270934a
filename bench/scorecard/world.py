"""What the read model is filled with: an account, calendars, and the workload's busy times as appointments."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import zip_longest
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import orjson

from hoop_events.booking import Appointment, AppointmentCreated, AppointmentDeleted
from hoop_events.calendars import Calendar, CalendarChanged
from hoop_platform.ids import new_id
from hoop_scheduling.busy import Busy
from hoop_scheduling.formatting import format_starts
from hoop_scheduling.listing import free_starts
from hoop_scheduling.rules import SlotRules
from hoop_scheduling.zones import epoch_ms
from local.testing.tenant import Tenant

from .told import Mould, Record, record

ZONE = "America/New_York"
FIRST = datetime(2032, 3, 1, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
"""A Monday in the future; its weekdays and its change of the clocks are those of March 2027."""
DAYS, BUSY = 30, 100
MINUTE, DAY = 60_000, 86_400_000
OPEN = [
    {
        "daysOfTheWeek": [1, 2, 3, 4, 5],
        "hours": [{"openHour": 9, "openMinute": 0, "closeHour": 17, "closeMinute": 0}],
    }
]
Span = tuple[int, int]


def busy(count: int, seed: int, days: int = DAYS) -> list[Span]:
    """The workload of the slot benchmarks: 15 to 60 minutes at any hour, epoch milliseconds."""
    dice, found = random.Random(seed), []
    for _ in range(count):
        day, minute = dice.randrange(days), dice.randrange(0, 1440, 5)
        length = dice.choice([15, 30, 45, 60])
        start = epoch_ms(FIRST) + day * DAY + minute * MINUTE
        found.append((start, start + length * MINUTE))
    return found


def past(count: int, now: datetime) -> list[Span]:
    """So many half hours that ended before now, one after the other."""
    last = epoch_ms(now.replace(minute=0, second=0, microsecond=0)) - DAY
    return [(last - n * 30 * MINUTE, last - (n - 1) * 30 * MINUTE) for n in range(count)]


@dataclass(frozen=True)
class Kept:
    """A calendar of the read model, and what its hosts' appointments take."""

    busy: Sequence[Sequence[Span]]
    """By host."""
    id: str = field(default_factory=new_id)

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        return tuple(new_id() for _ in self.busy)

    @property
    def settings(self) -> dict[str, object]:
        return {
            "calendarType": "round_robin" if len(self.busy) > 1 else "personal",
            "isActive": True,
            "openHours": OPEN,
            "slotDuration": 30,
            "slotInterval": 30,
            "teamMembers": [{"userId": host} for host in self.hosts],
        }

    def free(self, days: int, now: datetime) -> dict[str, list[str]]:
        """What the answer must say: the engine asked with these busy times, no read model between."""
        window = (epoch_ms(FIRST), epoch_ms(FIRST) + days * DAY)
        starts = free_starts(
            SlotRules.from_calendar({**self.settings, "id": self.id}, ZONE),
            busy={h: Busy.of(rows) for h, rows in zip(self.hosts, self.busy, strict=True)},
            window=window,
            now=epoch_ms(now),
        )
        return format_starts(starts, ZONE)


@dataclass(frozen=True)
class World:
    """One account's calendars."""

    calendars: Sequence[Kept]
    tenant: Tenant = field(default_factory=Tenant)

    def records(self) -> Iterator[Record]:
        """Everything, in an order that its owners could have announced it in."""
        yield from self.offers()
        yield from self.bookings()

    def offers(self) -> Iterator[Record]:
        """The account with its people and key, then the calendars."""
        yield from map(record, self.tenant.events)
        yield from (record(self._calendar(one)) for one in self.calendars)

    def bookings(self) -> Iterator[Record]:
        """All appointments, the calendars in turn."""
        moulds = [Mould(self._appointment(one)) for one in self.calendars]
        left = [
            iter(
                [
                    (host, span)
                    for host, spans in zip(one.hosts, one.busy, strict=True)
                    for span in spans
                ]
            )
            for one in self.calendars
        ]
        for booked in zip_longest(*left):
            for mould, one in zip(moulds, booked, strict=True):
                if one is not None:
                    yield mould.record(**_changed(*one))

    def booked(
        self, one: Kept, host: str, span: Span, *, versions: Mapping[str, int] | None = None
    ) -> Record:
        """One more appointment of the calendar."""
        mould = Mould(self._appointment(one))
        return mould.record(**_changed(host, span), versions=dict(versions or {}))

    def cancelled(self, created: Record) -> Record:
        """The cancellation of an appointment that `bookings` gave."""
        said = orjson.loads(created[2])
        state = {
            **said["state"],
            "sequence": 2,
            "occupies": False,
            "appointmentStatus": "cancelled",
        }
        gone = AppointmentDeleted.model_validate({**said, "state": state})
        return record(gone)

    def _calendar(self, one: Kept) -> CalendarChanged:
        state = Calendar(
            id=one.id,
            sequence=1,
            version=1,
            location_id=self.tenant.location_id,
            time_zone=ZONE,
            settings=one.settings,
        )
        return CalendarChanged(account_id=self.tenant.account_id, state=state)

    def _appointment(self, one: Kept) -> AppointmentCreated:
        state = Appointment(
            id=new_id(),
            sequence=1,
            version=1,
            calendar_id=one.id,
            location_id=self.tenant.location_id,
            contact_id=self.tenant.contact_ids[0],
            start_time=FIRST,
            end_time=FIRST + timedelta(minutes=30),
            time_zone=ZONE,
            appointment_status="confirmed",
            occupies=True,
            confirmed=True,
            session=new_id(),
            hosts=(one.hosts[0],),
            date_added=FIRST,
            date_updated=FIRST,
        )
        return AppointmentCreated(account_id=self.tenant.account_id, state=state)

    def question(
        self, one: Kept, *, days: int = DAYS, first: int = epoch_ms(FIRST)
    ) -> tuple[str, dict[str, str]]:
        """Path and query of asking for free slots of so many days."""
        window = {"startDate": str(first), "endDate": str(first + days * DAY)}
        return f"/calendars/{one.id}/free-slots", {**window, "timezone": ZONE}

    def request(self, one: Kept, *, days: int = DAYS, first: int = epoch_ms(FIRST)) -> str:
        """The whole request for free slots of so many days, as it goes over the wire."""
        path, query = self.question(one, days=days, first=first)
        return (
            f"GET {path}?{urlencode(query)} HTTP/1.1\r\n"
            "Host: 127.0.0.1\r\nVersion: v3\r\nAccept: application/json\r\n"
            f"Authorization: Bearer {self.tenant.api_key}\r\n\r\n"
        )


def _changed(host: str, span: Span) -> dict[str, object]:
    return {
        "id": new_id(),
        "session": new_id(),
        "hosts": [host],
        "assignedUserId": host,
        "startTime": text(span[0]),
        "endTime": text(span[1]),
    }


def text(instant: int) -> str:
    """Epoch milliseconds as events spell them."""
    return f"{datetime.fromtimestamp(instant // 1000, UTC):%Y-%m-%dT%H:%M:%S}.000Z"
