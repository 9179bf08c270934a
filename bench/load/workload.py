"""The data of the read model's measures: an account, calendars, and busy times as appointments."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import zip_longest
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import orjson

from bench.load.event_records import Record, RecordTemplate, record
from hoop_events.booking import Appointment, AppointmentCreated, AppointmentDeleted
from hoop_events.calendars import Calendar, CalendarChanged
from hoop_platform.ids import new_id
from hoop_scheduling.busy import Busy
from hoop_scheduling.formatting import format_starts
from hoop_scheduling.listing import free_starts
from hoop_scheduling.rules import SlotRules
from hoop_scheduling.zones import epoch_ms
from local.testing.tenant import Tenant

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
    """Return random busy times of 15 to 60 minutes at any hour, in epoch milliseconds; the same for a seed."""
    rng, found = random.Random(seed), []
    for _ in range(count):
        day, minute = rng.randrange(days), rng.randrange(0, 1440, 5)
        length = rng.choice([15, 30, 45, 60])
        start = epoch_ms(FIRST) + day * DAY + minute * MINUTE
        found.append((start, start + length * MINUTE))
    return found


def past(count: int, now: datetime) -> list[Span]:
    """Return `count` adjacent half hours that ended before `now`, in epoch milliseconds."""
    last = epoch_ms(now.replace(minute=0, second=0, microsecond=0)) - DAY
    return [(last - n * 30 * MINUTE, last - (n - 1) * 30 * MINUTE) for n in range(count)]


@dataclass(frozen=True)
class WorkloadCalendar:
    """A calendar and the times that its hosts' appointments occupy."""

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
        """Return the free slots of `days` days, by day, as the slot engine computes them from the busy times."""
        window = (epoch_ms(FIRST), epoch_ms(FIRST) + days * DAY)
        starts = free_starts(
            SlotRules.from_calendar({**self.settings, "id": self.id}, ZONE),
            busy={h: Busy.of(rows) for h, rows in zip(self.hosts, self.busy, strict=True)},
            window=window,
            now=epoch_ms(now),
        )
        return format_starts(starts, ZONE)


@dataclass(frozen=True)
class Workload:
    """The calendars of one account."""

    calendars: Sequence[WorkloadCalendar]
    tenant: Tenant = field(default_factory=Tenant)

    def records(self) -> Iterator[Record]:
        """Yield all records, in an order in which the services could have announced them."""
        yield from self.calendar_records()
        yield from self.appointment_records()

    def calendar_records(self) -> Iterator[Record]:
        """Yield the account with its users, contacts and key, then the calendars."""
        yield from map(record, self.tenant.events)
        yield from (record(self._calendar(one)) for one in self.calendars)

    def appointment_records(self) -> Iterator[Record]:
        """Yield all appointments, the calendars in turn."""
        templates = [RecordTemplate(self._appointment(one)) for one in self.calendars]
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
            for template, one in zip(templates, booked, strict=True):
                if one is not None:
                    yield template.record(**_occupying(*one))

    def appointment_record(
        self,
        one: WorkloadCalendar,
        host: str,
        span: Span,
        *,
        versions: Mapping[str, int] | None = None,
    ) -> Record:
        """Return one more appointment of the calendar."""
        template = RecordTemplate(self._appointment(one))
        return template.record(**_occupying(host, span), versions=dict(versions or {}))

    def cancellation_record(self, created: Record) -> Record:
        """Return the cancellation of an appointment out of `appointment_records`."""
        body = orjson.loads(created[2])
        state = {
            **body["state"],
            "sequence": 2,
            "occupies": False,
            "appointmentStatus": "cancelled",
        }
        deleted = AppointmentDeleted.model_validate({**body, "state": state})
        return record(deleted)

    def _calendar(self, one: WorkloadCalendar) -> CalendarChanged:
        state = Calendar(
            id=one.id,
            sequence=1,
            version=1,
            location_id=self.tenant.location_id,
            time_zone=ZONE,
            settings=one.settings,
        )
        return CalendarChanged(account_id=self.tenant.account_id, state=state)

    def _appointment(self, one: WorkloadCalendar) -> AppointmentCreated:
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

    def free_slots_query(
        self, one: WorkloadCalendar, *, days: int = DAYS, first: int = epoch_ms(FIRST)
    ) -> tuple[str, dict[str, str]]:
        """Return path and query of a request for the free slots of `days` days."""
        window = {"startDate": str(first), "endDate": str(first + days * DAY)}
        return f"/calendars/{one.id}/free-slots", {**window, "timezone": ZONE}

    def free_slots_request(
        self, one: WorkloadCalendar, *, days: int = DAYS, first: int = epoch_ms(FIRST)
    ) -> str:
        """Return the whole HTTP request for the free slots of `days` days, as text."""
        path, query = self.free_slots_query(one, days=days, first=first)
        return (
            f"GET {path}?{urlencode(query)} HTTP/1.1\r\n"
            "Host: 127.0.0.1\r\nVersion: v3\r\nAccept: application/json\r\n"
            f"Authorization: Bearer {self.tenant.api_key}\r\n\r\n"
        )


def _occupying(host: str, span: Span) -> dict[str, object]:
    return {
        "id": new_id(),
        "session": new_id(),
        "hosts": [host],
        "assignedUserId": host,
        "startTime": format_instant(span[0]),
        "endTime": format_instant(span[1]),
    }


def format_instant(instant: int) -> str:
    """Format epoch milliseconds as events do."""
    return f"{datetime.fromtimestamp(instant // 1000, UTC):%Y-%m-%dT%H:%M:%S}.000Z"
