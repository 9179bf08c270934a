"""What the tests of notifications share: an appointment with its events, and handlers with a real mail sink."""

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession

from hoop_events.accounts import (
    Contact,
    ContactChanged,
    ContactDetails,
    Location,
    LocationChanged,
    User,
    UserChanged,
)
from hoop_events.base import Change, Event, Personal
from hoop_events.booking import (
    Appointment,
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentEvent,
    AppointmentRescheduled,
    AppointmentUpdated,
    Meeting,
    Series,
)
from hoop_events.calendars import Calendar, CalendarChanged
from hoop_platform.clock import Clock
from hoop_platform.db.database import Database
from hoop_platform.ids import new_id
from hoop_platform.reconcile.worker import Worker
from hoop_platform.runtime import Runtime
from notifications.__main__ import service
from notifications.config import NotificationsSettings
from notifications.jobs.background import MailWorker, mail_server
from notifications.providers.smtp import MailServer
from simulators.mail import simulator as mail

NOW = datetime(2027, 3, 1, 8, tzinfo=UTC)
START = datetime(2097, 6, 3, 13, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)


def ready(number: int = 1) -> Meeting:
    return Meeting(
        provider="zoom", state="ready", join_url=f"https://zoom.example/j/{number}?pwd=a&x=b"
    )


PENDING = Meeting(provider="zoom", state="pending")


@dataclass
class AppointmentEvents:
    """An appointment as booking announces it: each method changes the state and returns the event."""

    account_id: str = field(default_factory=new_id)
    contact_id: str = field(default_factory=new_id)
    host: str | None = field(default_factory=new_id)
    state: Appointment = field(init=False)

    def __post_init__(self) -> None:
        self.state = Appointment(
            id=new_id(),
            sequence=0,
            version=1,
            calendar_id=new_id(),
            location_id=new_id(),
            contact_id=self.contact_id,
            start_time=START,
            end_time=START + HALF_HOUR,
            time_zone="America/New_York",
            appointment_status="confirmed",
            assigned_user_id=self.host,
            occupies=True,
            confirmed=True,
            session=new_id(),
            hosts=(self.host,) if self.host else (new_id(),),
            personal=Personal(title="First talk", description="Bring tea.\nAnd biscuits."),
            date_added=NOW,
            date_updated=NOW,
        )

    def _announce(
        self, kind: type[AppointmentEvent], *, notify: bool = True, **changed: Any
    ) -> AppointmentEvent:
        sequence = self.state.sequence + 1
        self.state = self.state.model_copy(update={"sequence": sequence, **changed})
        return kind(account_id=self.account_id, state=self.state, change=Change(notify=notify))

    def booked(self, meeting: Meeting | None = None, **how: Any) -> AppointmentEvent:
        """Created, for the first time or again; then in a session of its own unless `session` is given."""
        session = how.pop("session", self.state.session if not self.state.sequence else new_id())
        changed = {"occupies": True, "session": session, "meeting": meeting or Meeting()}
        return self._announce(AppointmentCreated, appointment_status="confirmed", **changed, **how)

    def moved(self, to: datetime, meeting: Meeting | None = None, **how: Any) -> AppointmentEvent:
        changed = {"start_time": to, "end_time": to + HALF_HOUR, "session": new_id()}
        changed["time_revision"] = self.state.time_revision + 1
        return self._announce(
            AppointmentRescheduled, meeting=meeting or Meeting(), **changed, **how
        )

    def handed_to(self, host: str, **how: Any) -> AppointmentEvent:
        revision = self.state.time_revision + 1
        changed = {"assigned_user_id": host, "hosts": (host,), "session": new_id()}
        changed["time_revision"] = revision
        return self._announce(AppointmentRescheduled, **changed, **how)

    def updated(self, **changed: Any) -> AppointmentEvent:
        return self._announce(AppointmentUpdated, **changed)

    def requested(self, meeting: Meeting | None = None, **how: Any) -> AppointmentEvent:
        """Created, and to be confirmed by a person."""
        changed = {"appointment_status": "new", "confirmed": False, "meeting": meeting or Meeting()}
        return self._announce(AppointmentCreated, **changed, **how)

    def confirmed(self, meeting: Meeting | None = None, **how: Any) -> AppointmentEvent:
        changed = {"appointment_status": "confirmed", "confirmed": True}
        return self.updated(meeting=meeting or Meeting(), **changed, **how)

    def described(self, *, notify: bool = True, **texts: str) -> AppointmentEvent:
        """With another title, description or address."""
        personal = self.state.personal.model_copy(update=texts)
        return self._announce(AppointmentUpdated, notify=notify, personal=personal)

    def as_series(self, count: int) -> "list[AppointmentEvents]":
        """As many weekly occurrences of a series, of which this one is the first."""
        master, occurrences = new_id(), [self]
        for _ in range(count - 1):
            other = AppointmentEvents(self.account_id, self.contact_id, self.host)
            same = ("calendar_id", "location_id", "personal")
            other.state = other.state.model_copy(
                update={name: getattr(self.state, name) for name in same}
            )
            occurrences.append(other)
        for number, each in enumerate(occurrences):
            start = START + number * timedelta(days=7)
            series = Series(
                master=master,
                rrule=f"FREQ=WEEKLY;COUNT={count}",
                start=start,
                occurrence_id=f"{master}_{number}",
            )
            changed = {"series": series, "start_time": start, "end_time": start + HALF_HOUR}
            each.state = each.state.model_copy(update=changed)
        return occurrences

    def cancelled(self, **how: Any) -> AppointmentEvent:
        none = Meeting()
        changed = {"occupies": False, "appointment_status": "cancelled", "meeting": none}
        return self._announce(AppointmentDeleted, **changed, **how)

    # Contact, user, calendar and location, as other services announce them.

    def contact(self, sequence: int = 1, **personal: str) -> ContactChanged:
        details = ContactDetails(**{"name": "Ada", "email": "ada@example.com"} | personal)
        state = Contact(
            id=self.contact_id,
            sequence=sequence,
            location_id=self.state.location_id,
            time_zone="Europe/Berlin",
            personal=details,
        )
        return ContactChanged(account_id=self.account_id, state=state)

    def user(self) -> UserChanged:
        assert self.host is not None
        state = User(id=self.host, sequence=1, name="Hugo Host", email="hugo@staff.example.com")
        return UserChanged(account_id=self.account_id, state=state)

    def calendar(self) -> CalendarChanged:
        state = Calendar(
            id=self.state.calendar_id,
            sequence=1,
            version=1,
            location_id=self.state.location_id,
            time_zone="America/New_York",
            settings={"name": "Talks"},
        )
        return CalendarChanged(account_id=self.account_id, state=state)

    def location(self) -> LocationChanged:
        state = Location(
            id=self.state.location_id, sequence=1, name="Main Street", time_zone="America/New_York"
        )
        return LocationChanged(account_id=self.account_id, state=state)

    @property
    def surrounding_events(self) -> tuple[Event, ...]:
        users = () if self.host is None else (self.user(),)
        return (self.contact(), *users, self.calendar(), self.location())


@dataclass
class Harness:
    """Notifications without Kafka: events go straight to the handlers, desired states to one worker."""

    db: Database
    sink: mail.MailSink
    worker: Worker
    runtime: Runtime[NotificationsSettings]
    server: MailServer

    @property
    def settings(self) -> NotificationsSettings:
        return self.runtime.settings

    async def handle(self, *events: Event) -> None:
        for event in events:
            async with self.db.transaction() as db:
                await service.subscriptions[type(event)](db, event, Clock().now())

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """While the worker runs as in the service: it leases what is stored as it is stored."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.worker.run(stop))
            await asyncio.sleep(0)
            try:
                yield
            finally:
                stop.set()

    async def deliver_due(self) -> int:
        """Work on desired states until none is due; returns how many there were."""
        done = 0
        while await self.worker.once():
            done += 1
        return done

    async def after(self, passed: timedelta) -> int:
        """Let time pass for mails in doubt and for all waiting, then work; as `deliver_due`."""
        await self.db.execute("UPDATE external SET at = at - $1::interval", passed)
        await self.db.execute(
            "UPDATE work SET next_attempt_at = next_attempt_at - $1::interval", passed
        )
        return await self.deliver_due()

    async def until(self, true: Callable[[], bool], seconds: float = 8) -> None:
        """Work until a condition holds."""
        async with asyncio.timeout(seconds):
            while not true():
                await self.deliver_due()
                await asyncio.sleep(0.02)

    async def fault(self, do: str, *, times: int = 1, rcpt: str = "") -> None:
        """Inject a fault into the mail server, as its simulator's documentation says."""
        order = {"match": {"rcpt": rcpt}, "do": do, "times": times}
        async with ClientSession(raise_for_status=True) as http:
            await http.post(f"{self.sink.url}/_sim/faults", json=order)

    def mails(self, to: str = "") -> list[EmailMessage]:
        """The mails that have arrived, oldest first."""
        raws = [m.raw for m in self.sink.messages if to in m.recipients[0]]
        return [parsed(raw) for raw in raws]

    def subjects(self, to: str) -> list[str]:
        """The headlines of the mails to one address."""
        return [str(mail["Subject"]).partition(":")[0] for mail in self.mails(to)]

    async def announced(self) -> list[tuple[str, str, str | None]]:
        """The events announced: type, occasion, reason."""
        rows = await self.db.fetch("SELECT type, body FROM outbox ORDER BY id")
        bodies = [(row["type"], without_address(row["body"])) for row in rows]
        return [
            (type_, body["state"]["occasion"], body["state"]["reason"]) for type_, body in bodies
        ]


def without_address(body: bytes) -> Any:
    """An event's body, which never contains a mail address."""
    assert b"@" not in body
    return orjson.loads(body)


def parsed(raw: str) -> EmailMessage:
    return email.message_from_bytes(
        raw.encode("utf-8", "surrogateescape"), policy=email.policy.default
    )


@pytest.fixture(scope="session")
def new_appointment() -> type[AppointmentEvents]:
    return AppointmentEvents


@pytest.fixture
async def open_harness(new_database: Any) -> AsyncIterator[Callable[..., Any]]:
    """Opens a harness with a mail sink of its own: `async with open_harness(link_wait=1) as harness:`."""

    @asynccontextmanager
    async def opened(**settings: Any) -> AsyncIterator[Harness]:
        database = await new_database("notifications")
        async with mail.serve() as sink:
            host, _, port = sink.smtp.partition(":")
            resolved = NotificationsSettings(
                **{
                    "database_url": database.dsn,
                    "kafka_bootstrap": "none:0",
                    "smtp_host": host,
                    "smtp_port": int(port),
                    "smtp_tls": "none",
                    "mail_from": "Hoop <appointments@hoop.example>",
                    "series_wait": 0,
                    **settings,
                }
            )
            unused: Any = None
            runtime = Runtime(
                name="notifications",
                settings=resolved,
                db=database,
                clock=Clock(),
                http=unused,
                tables=unused,
                group=unused,
            )
            server = mail_server(resolved)
            try:
                yield Harness(database, sink, MailWorker(runtime, server), runtime, server)
            finally:
                server.close()

    return opened


@pytest.fixture
async def harness(open_harness: Callable[..., Any]) -> AsyncIterator[Harness]:
    async with open_harness() as opened:
        yield opened
