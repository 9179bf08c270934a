"""A world for these tests: our database, the simulated Google, and one account that connects to it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
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
from hoop_platform.reconcile.worker import Worker
from hoop_platform.runtime import Runtime
from hoop_platform.secrets import new_key
from hoop_platform.service.service import open_runtime
from simulators import google
from simulators.browser import control
from simulators.google.simulator import GoogleSimulator
from sync_google import handlers, store
from sync_google.__main__ import service
from sync_google.api import identify
from sync_google.google import oauth
from sync_google.jobs.connection import follow
from sync_google.jobs.pull import Puller
from sync_google.jobs.push import push_event

ADA = "ada@example.com"
MONDAY = datetime(2027, 3, 1, 9, tzinfo=UTC)
"""The clocks of these tests stand at the Monday before noon, a week earlier."""
TODAY = MONDAY - timedelta(days=7)


def at(hours: float) -> datetime:
    """So many hours after Monday, nine o'clock."""
    return MONDAY + timedelta(hours=hours)


@dataclass
class World:
    """One account, its calendars and users, and Google."""

    runtime: Runtime
    sim: GoogleSimulator
    offset_file: Path
    account_id: str = field(default_factory=new_id)
    users: tuple[str, ...] = field(default_factory=lambda: (new_id(), new_id()))
    sequences: dict[str, int] = field(default_factory=dict)
    states: dict[str, Appointment] = field(default_factory=dict)

    at = staticmethod(at)

    async def fresh(self) -> "World":
        """The same world without anything in it, for another account."""
        await self.google("POST reset", {"all": True})
        await self.runtime.db.execute(
            """
            TRUNCATE provider_account, credential, oauth_state, calendar, appointment, work, external,
                     circuit, feed, foreign_event, busy_week, push_failure, outbox
            """
        )
        return World(self.runtime, self.sim, self.offset_file)

    # ---- ours

    async def calendar(self, *, members: Sequence[str] | None = None) -> str:
        """A calendar of ours, with the first user as its only member."""
        calendar_id = new_id()
        await self.change_calendar(calendar_id, members=members)
        return calendar_id

    async def change_calendar(
        self, calendar_id: str, *, members: Sequence[str] | None = None
    ) -> None:
        team = self.users[:1] if members is None else members
        state = Calendar(
            id=calendar_id,
            sequence=self.next(calendar_id),
            version=1,
            location_id=new_id(),
            time_zone="Europe/Berlin",
            settings={"name": "Consultation", "teamMembers": [{"userId": u} for u in team]},
        )
        async with self.runtime.db.transaction() as db:
            event = CalendarChanged(account_id=self.account_id, state=state)
            await handlers.follow_calendar(db, event)

    def next(self, subject: str) -> int:
        self.sequences[subject] = self.sequences.get(subject, 0) + 1
        return self.sequences[subject]

    async def book(
        self, calendar_id: str, start: float = 0, *, db: Any = None, **changes: Any
    ) -> str:
        """An appointment of an hour, announced; in a transaction of the caller's, if he has one."""
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
            await self.tell(AppointmentCreated, appointment_id)
        else:
            state = self.states[appointment_id]
            event = AppointmentCreated(account_id=self.account_id, state=state)
            await handlers.follow_appointment(db, event)
        return appointment_id

    async def change(self, appointment_id: str, **changes: Any) -> None:
        """Announce it anew, as rescheduled when its time changes."""
        moved = {"start_time", "end_time"} & changes.keys()
        self._alter(appointment_id, **changes)
        await self.tell(AppointmentRescheduled if moved else AppointmentUpdated, appointment_id)

    async def move(self, appointment_id: str, start: float) -> None:
        await self.change(appointment_id, start_time=at(start), end_time=at(start + 1))

    async def cancel(self, appointment_id: str) -> None:
        self._alter(appointment_id, occupies=False, appointment_status="cancelled")
        await self.tell(AppointmentDeleted, appointment_id)

    def _alter(self, appointment_id: str, **changes: Any) -> None:
        changes["sequence"] = self.next(appointment_id)
        self.states[appointment_id] = self.states[appointment_id].model_copy(update=changes)

    async def tell(self, kind: type[AppointmentEvent], appointment_id: str) -> None:
        event = kind(account_id=self.account_id, state=self.states[appointment_id])
        async with self.runtime.db.transaction() as db:
            await handlers.follow_appointment(db, event)

    # ---- connections

    async def connect(self, calendar_id: str, *, user: str = ADA, **settings: Any) -> str:
        """Connect the user's Google calendar; answers the connection's id, everything done."""
        rt, now = self.runtime, self.now()
        async with rt.db.transaction() as db:
            begun = await begin_authorization(
                db,
                rt.cipher,
                oauth(rt.settings),
                account_id=self.account_id,
                owner_kind="calendar",
                owner_id=calendar_id,
                redirect_uri="http://127.0.0.1:8080/integrations/google/callback",
                settings=settings,
                now=now,
            )
        async with rt.http.get(begun.url, params={"user": user}, allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()
            query = parse_qs(urlsplit(answer.headers["Location"]).query)

        async def who(_: object, token: str) -> Any:
            return await identify(rt, token)

        finished = await finish_authorization(
            rt.http,
            rt.db,
            rt.cipher,
            oauth(rt.settings),
            Callback(query["state"][0], query["code"][0]),
            identify=who,
            now=now,
            then=handlers.follow_connection,
        )
        await self.follow()
        return finished.connection.id

    async def disconnect(self, connection_id: str) -> None:
        async with self.runtime.db.transaction() as db:
            found = await lock_provider_account(db, self.account_id, connection_id)
            assert found is not None
            ended = await disconnect(db, found, now=self.now())
            await handlers.follow_connection(db, ended, self.now())

    async def rename(self, connection_id: str, user_id: str) -> None:
        """Name another user, as PUT does."""
        async with self.runtime.db.transaction() as db:
            found = await lock_provider_account(db, self.account_id, connection_id)
            assert found is not None
            changed = {**found.settings, "userId": user_id}
            after = await connections.update_provider_account(
                db, found, settings=changed, now=self.now()
            )
            await handlers.follow_connection(db, after, self.now())

    async def connection(self, connection_id: str) -> ProviderAccount:
        async with self.runtime.db.transaction() as db:
            found = await lock_provider_account(db, self.account_id, connection_id)
        assert found is not None
        return found

    # ---- the jobs

    async def follow(self) -> None:
        worker = Worker(handlers.CONNECTION, self.runtime.db, self.runtime, follow)
        while await worker.once():
            pass

    async def push(self) -> int:
        """Work on all wishes that are due; answers how many attempts that took."""
        worker = Worker(store.KIND, self.runtime.db, self.runtime, push_event)
        count = 0
        while await worker.once():
            count += 1
        return count

    async def wait(self) -> None:
        """Let the waits of all attempts be over."""
        await self.runtime.db.execute("UPDATE work SET next_attempt_at = clock_timestamp()")
        await self.runtime.db.execute("UPDATE feed SET next_at = clock_timestamp()")
        await self.runtime.db.execute("DELETE FROM circuit")
        await self.runtime.db.execute("UPDATE credential SET resting_until = NULL")

    async def pull(self) -> None:
        """Look at every calendar, now."""
        await self.runtime.db.execute("UPDATE feed SET next_at = clock_timestamp()")
        while await Puller(self.runtime).once():
            pass

    async def work(self, **where: Any) -> list[dict[str, Any]]:
        rows = await self.runtime.db.fetch("SELECT * FROM work WHERE kind = $1", store.KIND)
        found = [dict(row) for row in rows]
        return [row for row in found if all(row[k] == v for k, v in where.items())]

    def now(self) -> datetime:
        return self.runtime.clock.now()

    def pass_time(self, **time: float) -> None:
        """Business time goes on, here and at Google."""
        seconds = float(self.offset_file.read_text()) + timedelta(**time).total_seconds()
        self.offset_file.write_text(str(seconds))

    # ---- Google

    async def google(self, request: str, body: Any = None) -> Any:
        """Ask the simulator's control API: `POST faults`, `GET state`."""
        return await control(self.runtime.http, self.sim, request, body)

    async def fault(
        self, do: str, *, method: str = "*", path: str | None = None, **more: Any
    ) -> str:
        match = {"method": method, **({"path": path} if path else {})}
        answer = await self.google("POST faults", {"match": match, "do": do, **more})
        return str(answer["id"])

    async def events(self) -> list[dict[str, Any]]:
        """What is live in Google, by the start of each."""
        found = (await self.google("GET state"))["events"]
        return sorted(found, key=lambda e: str(e["start"]))

    async def writes(self) -> list[str]:
        """The changes that were asked of Google, in order."""
        asked = await self.google("GET log")
        return [
            f"{e['method']} {e['did'] or e['status']}"
            for e in asked
            if e["method"] in WRITES and "/events" in e["path"]
        ]

    async def calls(self) -> int:
        return len(await self.google("GET log"))

    async def foreign(self, start: float, hours: float = 1, /, **more: Any) -> str:
        """Somebody else makes an event in Ada's calendar."""
        event = {
            "summary": "Private",
            "start": {"dateTime": at(start).isoformat()},
            "end": {"dateTime": at(start + hours).isoformat()},
            **more,
        }
        made = await self.google("POST events", {"user": ADA, "event": event})
        return str(made["id"])

    # ---- what was announced

    async def announced(self, kind: str) -> list[dict[str, Any]]:
        rows = await self.runtime.db.fetch(
            "SELECT body FROM outbox WHERE type = $1 ORDER BY id", kind
        )
        return [orjson.loads(row["body"])["state"] for row in rows]

    async def busy(self) -> list[tuple[datetime, datetime]]:
        """What all announcements together say is busy; sequences must not have gaps."""
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
async def world(new_database: Any, tmp_path: Path) -> AsyncIterator[World]:
    database = await new_database("sync_google")
    offset = tmp_path / "clock"
    async with AsyncExitStack() as stack:
        real = datetime.now(UTC)  # noqa: TID251 -- to set the clocks by
        offset.write_text(str((TODAY - real).total_seconds()))
        sim = await stack.enter_async_context(google.serve(clock_offset_file=offset))
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
        yield World(runtime, sim, offset)
    failpoints.disarm()
