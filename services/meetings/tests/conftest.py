"""A small world for the tests: the service on a real PostgreSQL, the simulated Zoom, and events told by hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

import simulators
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
from hoop_platform.reconcile.worker import Worker
from hoop_platform.runtime import Runtime
from hoop_platform.secrets import new_key
from hoop_platform.service.service import Service, open_runtime
from local.servers.ports import free_ports
from local.testing.client import Client, Response
from local.testing.service import open_admission
from local.testing.tenant import Tenant
from meetings import api, handlers
from meetings.config import Settings
from meetings.jobs import fulfil
from meetings.jobs.connection import follow
from simulators.zoom import ZoomSimulator

HOUR = timedelta(hours=1)


@dataclass
class World:
    """What the tests see and do."""

    sim_url: str
    db: Database
    runtime: Runtime
    tenant: Tenant
    http: ClientSession
    client: Client
    offset_file: Path
    calendar_id: str = field(default_factory=new_id)

    @property
    def host(self) -> str:
        return self.tenant.user_ids[0]

    @property
    def now(self) -> datetime:
        return self.runtime.clock.now()

    @property
    def workers(self) -> list[Worker[Runtime]]:
        return [
            Worker(handlers.CONNECTION, self.db, self.runtime, follow),
            Worker(handlers.MEETING, self.db, self.runtime, fulfil),
        ]

    # --- what others announce

    def appointment(self, *, start: datetime | None = None, **said: Any) -> Appointment:
        """An appointment of an hour, tomorrow at this time, with one host, confirmed, on Zoom."""
        start = start or self.now.replace(microsecond=0) + 24 * HOUR
        usual: dict[str, Any] = {
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
            "meeting_location_type": "zoom",
            "personal": Personal(title="Ada meets Carl"),
            "date_added": start,
            "date_updated": start,
        }
        return Appointment(**{**usual, **said})

    async def tell(self, event: AppointmentEvent) -> Appointment:
        async with self.db.transaction() as db:
            await handlers.take_seat(db, event)
        return event.state

    async def book(self, **said: Any) -> Appointment:
        """A new appointment, announced."""
        return await self.tell(self._event(AppointmentCreated, self.appointment(**said)))

    async def edit(self, before: Appointment, **changes: Any) -> Appointment:
        """Anything but time and host changed."""
        return await self.tell(self._event(AppointmentUpdated, changed(before, **changes)))

    async def move(self, before: Appointment, **changes: Any) -> Appointment:
        """To another time, by default the next day, hence to a session of its own."""
        start = changes.pop("start_time", before.start_time + 24 * HOUR)
        to = {"start_time": start, "end_time": start + HOUR, "session": new_id(), **changes}
        return await self.tell(self._event(AppointmentRescheduled, changed(before, **to)))

    async def cancel(self, before: Appointment) -> Appointment:
        after = changed(before, occupies=False, appointment_status="cancelled")
        return await self.tell(self._event(AppointmentDeleted, after))

    def _event(self, kind: type[AppointmentEvent], state: Appointment) -> AppointmentEvent:
        return kind(account_id=self.tenant.account_id, state=state)

    async def add_user(self, user_id: str) -> None:
        state = User(id=user_id, sequence=1, name="Uma", email="uma@example.com")
        async with self.db.transaction() as db:
            event = UserChanged(account_id=self.tenant.account_id, state=state)
            await handlers.add_user(db, event)

    async def remove_user(self, user_id: str) -> None:
        async with self.db.transaction() as db:
            event = UserDeleted(
                account_id=self.tenant.account_id, state=Gone(id=user_id, sequence=2)
            )
            await handlers.remove_user(db, event)

    # --- what the user does

    async def connect(self, host: str | None = None, zoom_user: str = "ada@example.com") -> str:
        """Connect a host's Zoom account as a browser would; answers the connection's id."""
        answer = await self.ask("POST", "/connect", {"userId": host or self.host})
        assert answer.status == 200, answer
        await self.visit(answer.body["authorizeUrl"], zoom_user)
        return str(answer.body["connectionId"])

    async def visit(self, authorize_url: str, zoom_user: str = "ada@example.com") -> int:
        """Say yes at Zoom and follow the way back; answers the status of the last page."""
        async with self.http.get(
            authorize_url, params={"user": zoom_user}, allow_redirects=True
        ) as last:
            return last.status

    async def disconnect(self, connection_id: str) -> None:
        assert (await self.ask("DELETE", f"/{connection_id}")).status == 200

    async def ask(self, method: str, path: str, json: object = None, **more: Any) -> Response:
        return await self.client(method, f"/integrations/zoom{path}", json, **more)

    # --- time and work

    async def work(self) -> None:
        """Work on all wishes that are due, until none is."""
        while any([await worker.once() for worker in self.workers]):
            pass

    async def alongside(
        self, work: Awaitable[None], deed: Awaitable[Any], *, after: str = "POST"
    ) -> None:
        """Do something while a call of this method is under way at Zoom."""

        async def when_asked() -> None:
            await self.until(lambda: self.calls(after))
            await deed

        await asyncio.gather(work, when_asked())

    async def until(self, holds: Callable[[], Awaitable[Any]]) -> None:
        """Wait until something is so, ten seconds at most."""
        deadline = asyncio.get_running_loop().time() + 10
        while not await holds():
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.01)

    async def pass_time(self, by: timedelta) -> None:
        """So much later: for the rules of business, for the simulator, and for what waits in the database."""
        before = float(self.offset_file.read_text())
        self.offset_file.write_text(str(before + by.total_seconds()))
        for table, column in (
            ("work", "next_attempt_at"),
            ("work", "lease_until"),
            ("circuit", "open_until"),
            ("external", "intent_at"),
            ("credential", "resting_until"),
        ):
            await self.db.execute(f"UPDATE {table} SET {column} = {column} - $1::interval", by)

    async def at(self, moment: datetime) -> None:
        await self.pass_time(moment - self.now)

    # --- what there is to see

    async def control(self, part: str, said: object = None) -> Any:
        """Ask the simulator, or tell it something, through its control interface."""
        method = "GET" if said is None else "POST"
        async with self.http.request(method, f"{self.sim_url}/_sim/{part}", json=said) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def meetings(self) -> list[dict[str, Any]]:
        """What exists at Zoom."""
        return list((await self.control("state"))["meetings"])

    async def calls(self, method: str | None = None) -> list[str]:
        """Calls of Zoom's API, answered or not, since the last `forget_calls`."""
        return [
            f"{entry['method']} {entry['path']}"
            for entry in await self.control("log")
            if entry["path"].startswith("/v2/") and method in (None, entry["method"])
        ]

    async def forget_calls(self) -> None:
        await self.control("reset", {"log": True})

    async def writes(self) -> dict[str, int]:
        """How many creates, updates, deletes were asked for, as the table of situations counts."""
        by_verb = {"C": "POST", "U": "PATCH", "D": "DELETE"}
        counts = {verb: len(await self.calls(method)) for verb, method in by_verb.items()}
        return {verb: count for verb, count in counts.items() if count}

    async def fault(self, do: str, method: str = "*", path: str = "^/v2/", **more: Any) -> None:
        match = {"method": method, "path": path}
        await self.control("faults", {"match": match, "do": do, **more})

    async def heal(self) -> None:
        await self.control("reset", {"faults": True})

    async def announced(self, appointment: Appointment, provider: str = "zoom") -> list[Meeting]:
        """All that was announced of the appointment's session, oldest first."""
        subject = f"{appointment.session}.{provider}"
        rows = await self.db.fetch(
            "SELECT body, sequence FROM outbox WHERE topic = 'meetings' AND subject = $1"
            " ORDER BY id",
            subject,
        )
        assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
        return [Meeting.model_validate(json.loads(r["body"])["state"]["meeting"]) for r in rows]

    async def shown(self, appointment: Appointment) -> Meeting:
        """What the appointment's session shows now."""
        said = await self.announced(appointment)
        return said[-1] if said else Meeting()

    async def references(self, appointment: Appointment) -> list[str]:
        """The states of all we ever made for a session."""
        rows = await self.db.fetch(
            "SELECT state FROM external WHERE subject = $1 ORDER BY generation",
            f"{appointment.session}.zoom",
        )
        return [row["state"] for row in rows]

    async def desired_state(self, appointment: Appointment) -> Any:
        return await self.db.fetchrow(
            "SELECT * FROM work WHERE kind = 'meeting' AND subject = $1",
            f"{appointment.session}.zoom",
        )


def changed(before: Appointment, **changes: Any) -> Appointment:
    """The next state of an appointment."""
    return before.model_copy(update={"sequence": before.sequence + 1, **changes})


MakeWorld = Callable[..., Awaitable[World]]


@pytest.fixture
async def new_world(new_database: Any, tmp_path: Path) -> AsyncIterator[MakeWorld]:
    """Makes a world; `knobs` are the simulator's, `settings` the service's."""
    async with AsyncExitStack() as stack:

        async def make(*, knobs: dict[str, Any] | None = None, **settings: Any) -> World:
            offset_file = tmp_path / "offset"
            offset_file.write_text("0")
            sim = await stack.enter_async_context(
                simulators.zoom.serve(clock_offset_file=offset_file, **(knobs or {}))
            )
            db = await new_database("meetings")
            return await _furnish(stack, sim, db, offset_file, settings)

        yield make
        failpoints.disarm()


@pytest.fixture
def patience() -> float:
    """Seconds that a call of Zoom may take; tests in which it hangs choose less."""
    return 10.0


@pytest.fixture
async def world(new_world: MakeWorld, patience: float) -> World:
    """A world in which the first user has connected Zoom."""
    made = await new_world(zoom_timeout=patience)
    await made.connect()
    return made


@pytest.fixture
async def fold_db(new_database: Any) -> Database:
    """A database of the service, without the service."""
    made: Database = await new_database("meetings")
    return made


async def _furnish(
    stack: AsyncExitStack,
    sim: ZoomSimulator,
    db: Database,
    offset_file: Path,
    more: dict[str, Any],
) -> World:
    [port] = free_ports(1)
    given: dict[str, Any] = {
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
    settings = Settings(**given)
    runtime = await stack.enter_async_context(
        open_runtime(Service("meetings", settings=Settings), settings, GlobalTables("127.0.0.1:1"))
    )
    http = await stack.enter_async_context(ClientSession())
    tenant = Tenant()
    _know(runtime.tables, tenant)
    await _listen(stack, runtime, port)
    client = await stack.enter_async_context(Client(settings.public_url, tenant.api_key))
    world = World(sim.url, runtime.db, runtime, tenant, http, client, offset_file)
    for user_id in tenant.user_ids:
        await world.add_user(user_id)
    return world


def _know(tables: GlobalTables, tenant: Tenant) -> None:
    """What the tables would have read from Kafka."""
    for event in tenant.events:
        for table in (tables.accounts, tables.locations, tables.keys):
            if type(event) in table.types:
                table._store(event)


async def _listen(stack: AsyncExitStack, runtime: Runtime, port: int) -> None:
    async def ready() -> dict[str, bool]:
        return {}

    admission = open_admission(runtime.tables, runtime.clock)
    app = application([(route, runtime) for route in api.routes], admission=admission, ready=ready)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", port).start()
