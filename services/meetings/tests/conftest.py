"""The tests' world: the service on a real PostgreSQL, the Zoom simulator, and events handed to the handlers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiohttp import ClientSession, web

from hoop_events.accounts import User, UserChanged, UserDeleted
from hoop_events.base import Gone, Personal
from hoop_events.booking import (
    Appointment,
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentEvent,
    AppointmentRescheduled,
    AppointmentUpdated,
    Meeting,
)
from hoop_platform import failpoints
from hoop_platform.db.database import Database
from hoop_platform.http.app import application
from hoop_platform.ids import new_id
from hoop_platform.kafka.global_table import GlobalTables
from hoop_platform.reconcile.attempt import attempt
from hoop_platform.reconcile.claims import Position, claim_due
from hoop_platform.reconcile.desired_state import Claimed
from hoop_platform.reconcile.outcome import Outcome
from hoop_platform.reconcile.worker import Worker
from hoop_platform.runtime import Runtime
from hoop_platform.secrets import new_key
from hoop_platform.service.service import Service, open_runtime, worker_of
from local.servers.ports import free_ports
from local.testing.client import Client, Response
from local.testing.service import open_admission
from local.testing.tenant import Tenant
from meetings import api, handlers
from meetings.__main__ import service
from meetings.config import MeetingsSettings
from meetings.jobs.connections import reconcile_connection
from meetings.jobs.meetings import MeetingReconciler
from simulators.zoom import simulator as zoom_simulator
from simulators.zoom.simulator import ZoomSimulator

HOUR = timedelta(hours=1)


@dataclass
class World:
    """The service, the simulator, and the actions and questions of the tests."""

    RETRY_WAIT: ClassVar = timedelta(seconds=45)
    """Longer than a lease, and than the wait after any first failure."""

    sim_url: str
    db: Database
    runtime: Runtime[MeetingsSettings]
    tenant: Tenant
    http: ClientSession
    client: Client
    offset_file: Path
    calendar_id: str = field(default_factory=new_id)
    provider: str = "zoom"

    @property
    def host(self) -> str:
        return self.tenant.user_ids[0]

    @property
    def now(self) -> datetime:
        return self.runtime.clock.now()

    @property
    def worker(self) -> Worker:
        return worker_of(service, self.runtime)

    @property
    def meeting_worker(self) -> Worker:
        """A worker for meetings alone."""
        return Worker(self.db, {handlers.MEETING: self.attempt})

    @property
    def connection_worker(self) -> Worker:
        """A worker for connections alone."""
        kinds = {handlers.CONNECTION: partial(reconcile_connection, self.runtime)}
        return Worker(self.db, kinds)

    async def claim(self) -> Claimed:
        """Lease the most urgent desired meeting, as a worker does."""
        look = await claim_due(self.db, [handlers.MEETING], 1, Position())
        [claimed] = look.claimed
        return claimed

    async def attempt(self, claimed: Claimed) -> Outcome:
        """One attempt at a claimed meeting; its outcome is not stored."""
        return await attempt(self.runtime, MeetingReconciler(self.runtime), claimed)

    # --- events of other services

    def appointment(self, *, start: datetime | None = None, **fields: Any) -> Appointment:
        """An appointment of an hour, tomorrow at this time, with one host, confirmed, on Zoom."""
        start = start or self.now.replace(microsecond=0) + 24 * HOUR
        defaults: dict[str, Any] = {
            "id": new_id(),
            "sequence": 1,
            "version": 1,
            "calendar_id": self.calendar_id,
            "location_id": self.tenant.location_id,
            "contact_id": self.tenant.contact_ids[0],
            "start_time": start,
            "end_time": start + HOUR,
            "time_zone": "America/New_York",
            "appointment_status": "confirmed",
            "occupies": True,
            "confirmed": True,
            "session": new_id(),
            "hosts": (self.host,),
            "meeting_location_type": self.provider,
            "personal": Personal(title="Ada meets Carl"),
            "date_added": start,
            "date_updated": start,
        }
        return Appointment(**{**defaults, **fields})

    async def handle(self, event: AppointmentEvent) -> Appointment:
        async with self.db.transaction() as db:
            await handlers.on_appointment_changed(db, event, self.now)
        return event.state

    async def book(self, **fields: Any) -> Appointment:
        """A new appointment, whose event has been handled."""
        return await self.handle(self._event(AppointmentCreated, self.appointment(**fields)))

    async def edit(self, before: Appointment, **changes: Any) -> Appointment:
        """Change anything but time and host."""
        return await self.handle(self._event(AppointmentUpdated, changed(before, **changes)))

    async def move(self, before: Appointment, **changes: Any) -> Appointment:
        """Reschedule, by default to the next day, hence to a session of its own."""
        start = changes.pop("start_time", before.start_time + 24 * HOUR)
        to = {"start_time": start, "end_time": start + HOUR, "session": new_id(), **changes}
        return await self.handle(self._event(AppointmentRescheduled, changed(before, **to)))

    async def cancel(self, before: Appointment) -> Appointment:
        after = changed(before, occupies=False, appointment_status="cancelled")
        return await self.handle(self._event(AppointmentDeleted, after))

    def _event(self, kind: type[AppointmentEvent], state: Appointment) -> AppointmentEvent:
        return kind(account_id=self.tenant.account_id, state=state)

    async def add_user(self, user_id: str) -> None:
        state = User(id=user_id, sequence=1, name="Uma", email="uma@example.com")
        async with self.db.transaction() as db:
            event = UserChanged(account_id=self.tenant.account_id, state=state)
            await handlers.on_user_changed(db, event, self.now)

    async def remove_user(self, user_id: str) -> None:
        async with self.db.transaction() as db:
            event = UserDeleted(
                account_id=self.tenant.account_id, state=Gone(id=user_id, sequence=2)
            )
            await handlers.on_user_deleted(db, event, self.now)

    # --- requests of the user

    async def connect(self, host: str | None = None, zoom_user: str = "ada@example.com") -> str:
        """Connect a host's Zoom account as a browser would; returns the connection's id."""
        response = await self.request("POST", "/connect", {"userId": host or self.host})
        assert response.status == 200, response
        await self.visit(response.body["authorizeUrl"], zoom_user)
        return str(response.body["connectionId"])

    async def visit(self, authorize_url: str, zoom_user: str = "ada@example.com") -> int:
        """Consent at Zoom and follow the redirects; returns the status of the last page."""
        async with self.http.get(
            authorize_url, params={"user": zoom_user}, allow_redirects=True
        ) as last:
            return last.status

    async def disconnect(self, connection_id: str) -> None:
        assert (await self.request("DELETE", f"/{connection_id}")).status == 200

    async def request(self, method: str, path: str, json: object = None, **more: Any) -> Response:
        return await self.client(method, f"/integrations/{self.provider}{path}", json, **more)

    # --- workers and time

    async def run_workers(self) -> None:
        """Work on all desired states that are due, until none is."""
        worker = self.worker
        while await worker.once():
            pass

    async def settle(self) -> None:
        """Advance the time until all desired states are done."""
        for _ in range(24):  # together longer than the longest wait
            await self.advance(self.RETRY_WAIT)
            await self.run_workers()
        not_done = "SELECT count(*) FROM work WHERE status <> 'done'"
        assert await self.db.fetchval(not_done) == 0

    async def run_during_call(
        self, work: Awaitable[None], action: Awaitable[Any], *, method: str = "POST"
    ) -> None:
        """Run `work`, and `action` once a call of this method has reached Zoom."""

        async def act() -> None:
            await self.wait_until(lambda: self.calls(method))
            await action

        await asyncio.gather(work, act())

    async def wait_until(self, condition: Callable[[], Awaitable[Any]]) -> None:
        """Wait until the condition holds, ten seconds at most."""
        deadline = asyncio.get_running_loop().time() + 10
        while not await condition():
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.01)

    async def advance(self, by: timedelta) -> None:
        """Move business time, the simulator's clock and all due times in the database forward."""
        before = float(self.offset_file.read_text())
        self.offset_file.write_text(str(before + by.total_seconds()))
        for table, column in (
            ("work", "next_attempt_at"),
            ("work", "lease_until"),
            ("circuit", "open_until"),
            ("external", "at"),
            ("credential", "resting_until"),
        ):
            await self.db.execute(f"UPDATE {table} SET {column} = {column} - $1::interval", by)

    async def advance_to(self, moment: datetime) -> None:
        await self.advance(moment - self.now)

    # --- the simulator

    async def control(self, part: str, body: object = None) -> Any:
        """Call the simulator's control API: GET without a body, POST with one."""
        method = "GET" if body is None else "POST"
        async with self.http.request(method, f"{self.sim_url}/_sim/{part}", json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def meetings(self) -> list[dict[str, Any]]:
        """The meetings that exist at Zoom."""
        return list((await self.control("state"))["meetings"])

    async def calls(self, method: str | None = None) -> list[str]:
        """The calls of Zoom's API since the last `clear_calls`, with and without a response."""
        return [
            f"{entry['method']} {entry['path']}"
            for entry in await self.control("log")
            if entry["path"].startswith(("/v2/", "/rooms/")) and method in (None, entry["method"])
        ]

    async def clear_calls(self) -> None:
        await self.control("reset", {"log": True})

    async def count_writes(self) -> dict[str, int]:
        """The numbers of creates, updates, deletes, by the letters of the table of situations."""
        by_letter = {"C": "POST", "U": "PATCH", "D": "DELETE"}
        counts = {letter: len(await self.calls(method)) for letter, method in by_letter.items()}
        return {letter: count for letter, count in counts.items() if count}

    async def fault(self, do: str, method: str = "*", path: str = "^/v2/", **more: Any) -> None:
        match = {"method": method, "path": path}
        await self.control("faults", {"match": match, "do": do, **more})

    async def clear_faults(self) -> None:
        await self.control("reset", {"faults": True})

    # --- announcements and stored states

    async def announcements(
        self, appointment: Appointment, provider: str | None = None
    ) -> list[Meeting]:
        """All meetings announced for the appointment's session, oldest first."""
        subject = f"{appointment.session}.{provider or self.provider}"
        rows = await self.db.fetch(
            "SELECT body, sequence FROM outbox WHERE topic = 'meetings' AND subject = $1"
            " ORDER BY id",
            subject,
        )
        assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
        return [Meeting.model_validate(json.loads(r["body"])["state"]["meeting"]) for r in rows]

    async def meeting_of(self, appointment: Appointment) -> Meeting:
        """The meeting last announced for the appointment's session."""
        announced = await self.announcements(appointment)
        return announced[-1] if announced else Meeting()

    async def object_states(self, appointment: Appointment) -> list[str]:
        """The states of all external objects of the appointment's session."""
        rows = await self.db.fetch(
            "SELECT state FROM external WHERE subject = $1 ORDER BY generation",
            f"{appointment.session}.{self.provider}",
        )
        return [row["state"] for row in rows]

    async def desired_state(self, appointment: Appointment) -> Any:
        return await self.db.fetchrow(
            "SELECT * FROM work WHERE kind = 'meeting' AND subject = $1",
            f"{appointment.session}.{self.provider}",
        )


def changed(before: Appointment, **changes: Any) -> Appointment:
    """The next state of an appointment."""
    return before.model_copy(update={"sequence": before.sequence + 1, **changes})


NewWorld = Callable[..., Awaitable[World]]


@pytest.fixture
async def new_world(new_database: Any, tmp_path: Path) -> AsyncIterator[NewWorld]:
    """Creates a world; `knobs` are the simulator's, `settings` the service's."""
    async with AsyncExitStack() as stack:

        async def create(*, knobs: dict[str, Any] | None = None, **settings: Any) -> World:
            offset_file = tmp_path / "offset"
            offset_file.write_text("0")
            sim = await stack.enter_async_context(
                zoom_simulator.serve(clock_offset_file=offset_file, **(knobs or {}))
            )
            db = await new_database("meetings")
            return await _open_world(stack, sim, db, offset_file, settings)

        yield create
        failpoints.disarm()


@pytest.fixture
def zoom_timeout() -> float:
    """Seconds that a call of Zoom may take; tests in which Zoom hangs set less."""
    return 10.0


@pytest.fixture
async def world(new_world: NewWorld, zoom_timeout: float) -> World:
    """A world in which the first user has connected Zoom."""
    connected = await new_world(zoom_timeout=zoom_timeout)
    await connected.connect()
    return connected


@pytest.fixture
async def database(new_database: Any) -> Database:
    """A database of the service, without the service."""
    migrated: Database = await new_database("meetings")
    return migrated


async def _open_world(
    stack: AsyncExitStack,
    sim: ZoomSimulator,
    db: Database,
    offset_file: Path,
    more: dict[str, Any],
) -> World:
    [port] = free_ports(1)
    values: dict[str, Any] = {
        "database_url": db.dsn,
        "kafka_bootstrap": "127.0.0.1:1",
        "public_url": f"http://127.0.0.1:{port}",
        "data_key": new_key(),
        "clock_offset_file": offset_file,
        "zoom_oauth_url": sim.url,
        "zoom_api_url": f"{sim.url}/v2",
        "zoom_client_id": "hoop-zoom",
        "zoom_client_secret": "hoop-zoom-secret",
        "zoom_daily_limit": 100_000,
        **more,
    }
    settings = MeetingsSettings(**values)
    silent = Service("meetings", settings=MeetingsSettings)
    runtime = await stack.enter_async_context(
        open_runtime(silent, settings, GlobalTables("127.0.0.1:1"))
    )
    http = await stack.enter_async_context(ClientSession())
    tenant = Tenant()
    _fill_tables(runtime.tables, tenant)
    await _serve_api(stack, runtime, port)
    client = await stack.enter_async_context(Client(settings.public_url, tenant.api_key))
    world = World(sim.url, runtime.db, runtime, tenant, http, client, offset_file)
    for user_id in tenant.user_ids:
        await world.add_user(user_id)
    return world


def _fill_tables(tables: GlobalTables, tenant: Tenant) -> None:
    """Store in the global tables what they would have read from Kafka."""
    for event in tenant.events:
        for table in (tables.accounts, tables.locations, tables.keys):
            if type(event) in table.types:
                table._store(event)


async def _serve_api(stack: AsyncExitStack, runtime: Runtime, port: int) -> None:
    async def ready() -> dict[str, bool]:
        return {}

    admission = open_admission(runtime.tables, runtime.clock)
    app = application(
        [(route, runtime) for route in api.meeting_routes()], admission=admission, ready=ready
    )
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", port).start()
