"""The fixture `world`: our database, the simulated Google, and one account that connects to it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from hoop_events.base import Personal
from hoop_events.booking import (
    Appointment,
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentEvent,
    AppointmentRescheduled,
    AppointmentUpdated,
)
from hoop_events.calendars import Calendar, CalendarChanged
from hoop_platform import failpoints
from hoop_platform.ids import new_id
from hoop_platform.kafka.global_table import GlobalTables
from hoop_platform.providers import provider_accounts as connections
from hoop_platform.providers.authorization import (
    Callback,
    begin_authorization,
    finish_authorization,
)
from hoop_platform.providers.provider_accounts import ProviderAccount, lock_provider_account
from hoop_platform.providers.status import disconnect
from hoop_platform.reconcile.attempt import attempt
from hoop_platform.reconcile.claims import Position, claim_due
from hoop_platform.reconcile.desired_state import Claimed
from hoop_platform.reconcile.outcome import Outcome
from hoop_platform.reconcile.worker import Worker
from hoop_platform.runtime import Runtime
from hoop_platform.secrets import new_key
from hoop_platform.service.service import open_runtime
from simulators.client import control
from simulators.google.simulator import GoogleSimulator, serve
from sync_google.__main__ import service
from sync_google.domain.identifiers import (
    CONNECTION_KIND,
    EVENT_KIND,
    FEED_KIND,
    event_id,
    event_subject,
)
from sync_google.handlers.appointments import on_appointment_changed
from sync_google.handlers.connections import on_calendar_changed, on_connection_changed
from sync_google.jobs.connections import reconcile_connection
from sync_google.jobs.events import EventReconciler
from sync_google.jobs.pull import pull_feed
from sync_google.providers.google.oauth import identify, oauth_provider

ADA = "ada@example.com"
MONDAY = datetime(2027, 3, 1, 9, tzinfo=UTC)
"""The appointments of these tests begin here; the clocks stand a week earlier."""
TODAY = MONDAY - timedelta(days=7)


def at(hours: float) -> datetime:
    """The moment `hours` after Monday, nine o'clock."""
    return MONDAY + timedelta(hours=hours)


@dataclass
class SyncWorld:
    """One account, its calendars and users, and the simulated Google."""

    runtime: Runtime
    sim: GoogleSimulator
    offset_file: Path
    account_id: str = field(default_factory=new_id)
    users: tuple[str, ...] = field(default_factory=lambda: (new_id(), new_id()))
    sequences: dict[str, int] = field(default_factory=dict)
    states: dict[str, Appointment] = field(default_factory=dict)

    at = staticmethod(at)

    async def fresh(self) -> "SyncWorld":
        """The same database and Google, both emptied, for another account."""
        await self.google("POST reset", {"all": True})
        await self.runtime.db.execute(
            """
            TRUNCATE provider_account, credential, oauth_state, calendar, appointment, work, external,
                     circuit, feed, foreign_event, busy_week, outbox
            """
        )
        return SyncWorld(self.runtime, self.sim, self.offset_file)

    # ---- ours

    async def calendar(self, *, members: Sequence[str] | None = None) -> str:
        """Create a calendar; by default the first user is its only member."""
        calendar_id = new_id()
        await self.change_calendar(calendar_id, members=members)
        return calendar_id

    async def change_calendar(
        self, calendar_id: str, *, members: Sequence[str] | None = None, **settings: Any
    ) -> None:
        team = self.users[:1] if members is None else members
        state = Calendar(
            id=calendar_id,
            sequence=self.next(calendar_id),
            version=1,
            location_id=new_id(),
            time_zone="Europe/Berlin",
            settings={
                "name": "Consultation",
                "teamMembers": [{"userId": u} for u in team],
                **settings,
            },
        )
        async with self.runtime.db.transaction() as db:
            event = CalendarChanged(account_id=self.account_id, state=state)
            await on_calendar_changed(db, event, self.now())

    def next(self, subject: str) -> int:
        self.sequences[subject] = self.sequences.get(subject, 0) + 1
        return self.sequences[subject]

    async def book(
        self, calendar_id: str, start: float = 0, *, db: Any = None, **changes: Any
    ) -> str:
        """Book an appointment of one hour and handle its event, in the transaction `db` if given."""
        appointment_id = new_id()
        self.states[appointment_id] = Appointment(
            id=appointment_id,
            sequence=self.next(appointment_id),
            version=1,
            calendar_id=calendar_id,
            location_id=new_id(),
            contact_id=new_id(),
            start_time=at(start),
            end_time=at(start + 1),
            time_zone="Europe/Berlin",
            appointment_status="confirmed",
            occupies=True,
            confirmed=True,
            session=new_id(),
            hosts=(self.users[0],),
            personal=Personal(title="Ada and Bob"),
            date_added=TODAY,
            date_updated=TODAY,
        ).model_copy(update=changes)
        if db is None:
            await self.handle(AppointmentCreated, appointment_id)
        else:
            state = self.states[appointment_id]
            event = AppointmentCreated(account_id=self.account_id, state=state)
            await on_appointment_changed(db, event, self.now())
        return appointment_id

    async def change(self, appointment_id: str, **changes: Any) -> None:
        """Change the appointment and handle the event: rescheduled if its time changes, else updated."""
        moved = {"start_time", "end_time"} & changes.keys()
        self.alter(appointment_id, **changes)
        await self.handle(AppointmentRescheduled if moved else AppointmentUpdated, appointment_id)

    async def move(self, appointment_id: str, start: float) -> None:
        await self.change(appointment_id, start_time=at(start), end_time=at(start + 1))

    async def cancel(self, appointment_id: str) -> None:
        self.alter(appointment_id, occupies=False, appointment_status="cancelled")
        await self.handle(AppointmentDeleted, appointment_id)

    def alter(self, appointment_id: str, **changes: Any) -> None:
        changes["sequence"] = self.next(appointment_id)
        self.states[appointment_id] = self.states[appointment_id].model_copy(update=changes)

    async def handle(self, kind: type[AppointmentEvent], appointment_id: str) -> None:
        event = kind(account_id=self.account_id, state=self.states[appointment_id])
        async with self.runtime.db.transaction() as db:
            await on_appointment_changed(db, event, self.now())

    # ---- connections

    async def connect(
        self, calendar_id: str, *, user: str = ADA, fill: bool = True, **settings: Any
    ) -> str:
        """Connect the user's Google calendar; with `fill`, run the jobs of connections as well.

        Returns the connection's id.
        """
        rt, now = self.runtime, self.now()
        async with rt.db.transaction() as db:
            begun = await begin_authorization(
                db,
                rt.cipher,
                oauth_provider(rt.settings),
                account_id=self.account_id,
                owner_kind="calendar",
                owner_id=calendar_id,
                redirect_uri="http://127.0.0.1:8080/integrations/google/callback",
                settings=settings,
                now=now,
            )
        async with rt.http.get(begun.url, params={"user": user}, allow_redirects=False) as response:
            assert response.status == 302, await response.text()
            query = parse_qs(urlsplit(response.headers["Location"]).query)

        async def identify_user(_: object, token: str) -> Any:
            return await identify(rt, token)

        finished = await finish_authorization(
            rt.http,
            rt.db,
            rt.cipher,
            oauth_provider(rt.settings),
            Callback(query["state"][0], query["code"][0]),
            identify=identify_user,
            now=now,
            then=on_connection_changed,
        )
        if fill:
            await self.reconcile_connections()
        return finished.connection.id

    async def disconnect(self, connection_id: str) -> None:
        async with self.runtime.db.transaction() as db:
            found = await lock_provider_account(db, self.account_id, connection_id)
            assert found is not None
            ended = await disconnect(db, found, now=self.now())
            await on_connection_changed(db, ended, self.now())

    async def name_user(self, connection_id: str, user_id: str) -> None:
        """Name another user to be blocked, as PUT does."""
        async with self.runtime.db.transaction() as db:
            found = await lock_provider_account(db, self.account_id, connection_id)
            assert found is not None
            changed = {**found.settings, "userId": user_id}
            after = await connections.update_provider_account(
                db, found, settings=changed, now=self.now()
            )
            await on_connection_changed(db, after, self.now())

    async def connection(self, connection_id: str) -> ProviderAccount:
        async with self.runtime.db.transaction() as db:
            found = await lock_provider_account(db, self.account_id, connection_id)
        assert found is not None
        return found

    # ---- the jobs

    async def reconcile_connections(self) -> None:
        kinds = {CONNECTION_KIND: partial(reconcile_connection, self.runtime)}
        worker = Worker(self.runtime.db, kinds)
        while await worker.once():
            pass

    async def push(self) -> int:
        """Work on all desired events that are due; returns the number of attempts."""
        worker = Worker(self.runtime.db, {EVENT_KIND: self.attempt})
        count = 0
        while await worker.once():
            count += 1
        return count

    async def claim(self) -> Claimed:
        """Lease the most urgent desired event, as a worker does."""
        look = await claim_due(self.runtime.db, [EVENT_KIND], 1, Position())
        [claimed] = look.claimed
        return claimed

    async def attempt(self, claimed: Claimed) -> Outcome:
        """One attempt at a claimed event; its outcome is not stored."""
        return await attempt(self.runtime, EventReconciler(self.runtime), claimed)

    @asynccontextmanager
    async def statements(self) -> AsyncIterator[list[str]]:
        """The SQL statements that are executed meanwhile, one after the other, hence on one connection.

        The begin and end of a transaction and the look for work are left out.
        """
        executed: list[str] = []

        def note(query: Any) -> None:
            if not query.query.startswith(("BEGIN", "COMMIT")) and "claim_due" not in query.query:
                executed.append(query.query)

        async with self.runtime.db.pool.acquire() as connection:
            connection.add_query_logger(note)
        yield executed
        async with self.runtime.db.pool.acquire() as connection:
            connection.remove_query_logger(note)

    async def settle_calls(self) -> None:
        """Let so much time pass that no call without a response can still have its effect."""
        await self.runtime.db.execute("UPDATE external SET at = at - interval '31 seconds'")

    async def end_waits(self) -> None:
        """Make all postponed attempts due, and close all circuits."""
        await self.runtime.db.execute("UPDATE work SET next_attempt_at = clock_timestamp()")
        await self.runtime.db.execute("DELETE FROM circuit")
        await self.runtime.db.execute("UPDATE credential SET resting_until = NULL")

    async def settle(self) -> None:
        """Push, and end what is waited for, so often that nothing is left to be repeated."""
        for _ in range(8):
            await self.push()
            await self.end_waits()

    async def pull(self) -> None:
        """Poll every connected calendar now."""
        await self.runtime.db.execute(
            "UPDATE work SET next_attempt_at = clock_timestamp() WHERE kind = $1", FEED_KIND
        )
        worker = Worker(self.runtime.db, {FEED_KIND: partial(pull_feed, self.runtime)})
        while await worker.once():
            pass

    async def feed(self) -> Any:
        """The desired state of the only connected Google calendar."""
        [row] = await self.runtime.db.fetch(
            "SELECT *, next_attempt_at > clock_timestamp() AS later FROM work WHERE kind = $1",
            FEED_KIND,
        )
        return row

    async def desired_states(self, **where: Any) -> list[dict[str, Any]]:
        rows = await self.runtime.db.fetch("SELECT * FROM work WHERE kind = $1", EVENT_KIND)
        found = [dict(row) for row in rows]
        return [row for row in found if all(row[k] == v for k, v in where.items())]

    async def event_id(self, appointment_id: str, generation: int = 1) -> str:
        """The id of the appointment's event in the only connection that it was desired for."""
        connection_id = await self.runtime.db.fetchval(
            """
            SELECT connection_id FROM work WHERE kind = $1 AND left(subject, 26) = $2
             ORDER BY desired ->> 'draft' IS NULL
            """,
            EVENT_KIND,
            appointment_id,
        )
        subject = event_subject(appointment_id, connection_id)
        return event_id(subject, generation, has_first_id=True)

    def now(self) -> datetime:
        return self.runtime.clock.now()

    def pass_time(self, **time: float) -> None:
        """Advance business time, here and in the simulated Google."""
        seconds = float(self.offset_file.read_text()) + timedelta(**time).total_seconds()
        self.offset_file.write_text(str(seconds))

    # ---- Google

    async def google(self, request: str, body: Any = None) -> Any:
        """Call the simulator's control API: `POST faults`, `GET state`."""
        return await control(self.runtime.http, self.sim, request, body)

    async def fault(
        self, do: str, *, method: str = "*", path: str | None = None, **more: Any
    ) -> str:
        match = {"method": method, **({"path": path} if path else {})}
        created = await self.google("POST faults", {"match": match, "do": do, **more})
        return str(created["id"])

    async def events(self) -> list[dict[str, Any]]:
        """The live events in Google, sorted by start."""
        found = (await self.google("GET state"))["events"]
        return sorted(found, key=lambda e: str(e["start"]))

    async def writes(self) -> list[str]:
        """The write requests that Google received, in order, with the status of each."""
        requests = await self.google("GET log")
        return [
            f"{e['method']} {e['did'] or e['status']}"
            for e in requests
            if e["method"] in WRITES and "/events" in e["path"]
        ]

    async def calls(self) -> int:
        return len(await self.google("GET log"))

    async def foreign(self, start: float, hours: float = 1, /, **more: Any) -> str:
        """Somebody else creates an event in Ada's Google calendar; returns its id."""
        event = {
            "summary": "Private",
            "start": {"dateTime": at(start).isoformat()},
            "end": {"dateTime": at(start + hours).isoformat()},
            **more,
        }
        created = await self.google("POST events", {"user": ADA, "event": event})
        return str(created["id"])

    # ---- what was announced

    async def announced(self, kind: str) -> list[dict[str, Any]]:
        rows = await self.runtime.db.fetch(
            "SELECT body FROM outbox WHERE type = $1 ORDER BY id", kind
        )
        return [orjson.loads(row["body"])["state"] for row in rows]

    async def busy(self) -> list[tuple[datetime, datetime]]:
        """The busy intervals by the newest announcement of each week; sequences must not have gaps."""
        weeks: dict[str, dict[str, Any]] = {}
        for state in await self.announced("ExternalBusyChanged"):
            before = weeks.get(state["id"])
            assert state["sequence"] == (before["sequence"] + 1 if before else 1)
            weeks[state["id"]] = state
        return sorted(
            (datetime.fromisoformat(i["start"]), datetime.fromisoformat(i["end"]))
            for state in weeks.values()
            for i in state["intervals"]
        )


WRITES = ("POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
async def world(new_database: Any, tmp_path: Path) -> AsyncIterator[SyncWorld]:
    database = await new_database("sync_google")
    offset = tmp_path / "clock"
    async with AsyncExitStack() as stack:
        real = datetime.now(UTC)  # noqa: TID251 -- the offset of the clocks is relative to it
        offset.write_text(str((TODAY - real).total_seconds()))
        sim = await stack.enter_async_context(serve(clock_offset_file=offset))
        settings = service.settings(
            database_url=database.dsn,
            kafka_bootstrap="127.0.0.1:1",
            data_key=new_key(),
            clock_offset_file=offset,
            google_oauth_url=f"{sim.url}/o/oauth2/v2/auth",
            google_token_url=f"{sim.url}/token",
            google_revoke_url=f"{sim.url}/revoke",
            google_api_url=f"{sim.url}/calendar/v3",
            google_client_id="hoop-google",
            google_client_secret="hoop-google-secret",
        )
        tables = GlobalTables("127.0.0.1:1")
        runtime = await stack.enter_async_context(open_runtime(service, settings, tables))
        yield SyncWorld(runtime, sim, offset)
    failpoints.disarm()
