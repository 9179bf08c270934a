"""A whole running system for tests that cross services: `./hoop up --split`, its files, its client."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import ClientSession, ClientTimeout

from local.demo.demo_data import Api
from local.testing.client import Client, Response

START_LIMIT = 110.0  # below the time limit of a test, so that the system's own words are shown
ALWAYS_OPEN = [
    {
        "daysOfTheWeek": [0, 1, 2, 3, 4, 5, 6],
        "hours": [{"openHour": 0, "openMinute": 0, "closeHour": 23, "closeMinute": 60}],
    }
]
FIRST_DAY = datetime(2027, 3, 1, 5, tzinfo=UTC)  # midnight in New York
_days = count()


@dataclass
class System:
    """A running system, as its `stack.json` describes it at this moment."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "stack.json").read_text())
        return found

    def client(self, key: str = "api_key") -> Client:
        facts = self.facts
        return Client(facts["base_url"], facts[key])

    async def simulator(self, name: str, path: str, body: object = None) -> Any:
        """Ask a simulator's control API."""
        base = self.facts["simulators"][name]
        method = "GET" if body is None else "POST"
        async with (
            ClientSession(timeout=ClientTimeout(total=20)) as http,
            http.request(method, f"{base}/_sim/{path}", json=body) as response,
        ):
            assert response.status < 300, await response.text()
            return await response.json()

    async def mails(self) -> list[dict[str, Any]]:
        address = self.facts["mail"]["inbox_url"] + "/_sim/messages"
        async with ClientSession() as http, http.get(address) as response:
            found: list[dict[str, Any]] = await response.json()
            return found

    async def forget_mails(self) -> None:
        """Empty the inbox: what other tests sent is not to be read again and again."""
        address = self.facts["mail"]["inbox_url"] + "/_sim/messages"
        async with ClientSession() as http, http.delete(address) as response:
            assert response.status < 300

    async def spans(self, trace: str) -> list[dict[str, Any]]:
        address = f"{self.facts['spans_url']}/spans?trace={trace}"
        async with ClientSession() as http, http.get(address) as response:
            found: list[dict[str, Any]] = await response.json()
            return found

    async def sql(self, service: str, query: str, *args: object) -> list[Any]:
        """Look into a service's database."""
        connection = await asyncpg.connect(self.facts["postgres"][service], timeout=10)
        try:
            return list(await connection.fetch(query, *args))
        finally:
            await connection.close()

    def pids(self) -> list[int]:
        """Of all its processes, as far as it knows."""
        facts = self.facts
        services = [service["pid"] for service in facts["services"].values()]
        return [*services, facts["edge_pid"], facts["kafka_pid"], facts["postgres_pid"]]

    def order(self, service: str, point: str, deed: str) -> Path:
        """Have it done when this service passes this fail point next; the file is gone then."""
        path = self.folder.parent / f"{self.folder.name}-failpoints" / service / point
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(deed)
        return path

    def kill(self, what: str) -> int:
        """SIGKILL one of its processes; the whole tree for Postgres."""
        facts = self.facts
        pid = int(
            facts[f"{what}_pid"] if f"{what}_pid" in facts else facts["services"][what]["pid"]
        )
        for victim in [pid, *_children(pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        return pid


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def start_system(folder: Path, *arguments: str) -> System:
    """Start one and wait for its `ready` line."""
    command = [
        sys.executable,
        "-m",
        "local",
        "up",
        "--port",
        "0",
        "--local",
        str(folder),
        *arguments,
    ]
    log = (folder.parent / f"{folder.name}.out").open("wb")
    orders = folder.parent / f"{folder.name}-failpoints"
    orders.mkdir(exist_ok=True)
    process = subprocess.Popen(
        command,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, "FAILPOINT_DIR": str(orders)},  # noqa: TID251 -- handed on
    )
    log.close()
    deadline = time.monotonic() + START_LIMIT
    while not (folder / "stack.json").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            _end(process)
            pytest.fail((folder.parent / f"{folder.name}.out").read_text(errors="replace"))
        time.sleep(0.1)
    return System(folder, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C, which ends its parts as well: killed, it would leave them behind."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()


def stop_system(system: System) -> int:
    """Ctrl-C, and its exit code."""
    if system.process.poll() is None:
        system.process.send_signal(signal.SIGINT)
    return system.process.wait(timeout=60)


@pytest.fixture(scope="session")
def system() -> Iterator[System]:
    """One split system for all tests of the run: one process for each service."""
    base = Path(tempfile.mkdtemp(prefix="hoop-system-", dir="/var/tmp"))
    running = start_system(base / "local", "--split", "--no-demo")
    yield running
    stop_system(running)
    shutil.rmtree(base, ignore_errors=True)


@dataclass
class Desk:
    """Somebody who sets up calendars on the running system and books."""

    system: System
    ask: Client
    facts: dict[str, Any]

    async def user(self, *, zoom: bool = True) -> str:
        """A new user of the demo account, with a Zoom account of his own."""
        name = f"user{next(_days)}"
        body = {
            "name": name,
            "email": f"{name}@staff.example.com",
            "locationIds": [self.facts["location_id"]],
        }
        answer = await self.ask("POST", "/users/", body)
        assert answer.status < 300, answer.body
        user = str(answer.body["user"]["id"])
        await _eventually(partial(self._knows, user))
        if zoom:
            await self.connect("zoom", {"userId": user}, person=f"{user}@zoom.example.com")
        return user

    async def _knows(self, user: str) -> bool:
        """Booking has heard of the user, who is in the service of accounts at once."""
        return (await self.ask("GET", f"/users/{user}/calendars")).status == 200

    async def connect(self, provider: str, body: dict[str, str], *, person: str) -> None:
        async with ClientSession(timeout=ClientTimeout(total=30)) as http:
            api = Api(http, self.facts["base_url"], self.facts["api_key"])
            await api.connect(provider, body, person=person)

    async def calendar(
        self, user: str, *, zoom: bool = True, google: bool = False, **settings: Any
    ) -> str:
        """A calendar of this user that is always open, five-minute slots."""
        locations = [{"kind": "zoom_conference"}] if zoom else []
        body = {
            "locationId": self.facts["location_id"],
            "name": "Test",
            "calendarType": "personal",
            "openHours": ALWAYS_OPEN,
            "slotDuration": 5,
            "slotInterval": 5,
            "teamMembers": [{"userId": user, "locationConfigurations": locations}],
            **settings,
        }
        answer = await self.ask("POST", "/calendars/", body)
        assert answer.status == 200, answer.body
        calendar = str(answer.body["calendar"]["id"])
        if google:
            await self.connect(
                "google", {"calendarId": calendar}, person=f"{user}@google.example.com"
            )
        return calendar

    async def book(self, calendar: str, start: datetime, **more: Any) -> Response:
        return await self.ask(
            "POST",
            "/calendars/events/appointments",
            {
                "calendarId": calendar,
                "locationId": self.facts["location_id"],
                "contactId": self.facts["contact_ids"][0],
                "startTime": start.isoformat(),
                **more,
            },
        )

    async def change(self, appointment: str, **patch: Any) -> Response:
        return await self.ask("PUT", f"/calendars/events/appointments/{appointment}", patch)

    async def shown(self, appointment: str) -> dict[str, Any]:
        answer = await self.ask("GET", f"/calendars/events/appointments/{appointment}")
        found: dict[str, Any] = answer.body["event"]
        return found

    async def free(self, calendar: str, day: datetime) -> set[str]:
        """Free starts within a day, in UTC."""
        start, end = (str(int(t.timestamp() * 1000)) for t in (day, day + timedelta(days=1)))
        query = {"startDate": start, "endDate": end, "timezone": "UTC"}
        answer = await self.ask("GET", f"/calendars/{calendar}/free-slots", query=query)
        assert answer.status == 200, answer.body
        return {slot for day in answer.content.values() for slot in day["slots"]}


@pytest.fixture
async def desk(system: System) -> AsyncIterator[Desk]:
    async with system.client() as ask:
        yield Desk(system, ask, system.facts)


@pytest.fixture
def day() -> datetime:
    """Midnight in New York of a day that no other test uses."""
    return FIRST_DAY + timedelta(days=next(_days))


async def _eventually(
    check: Callable[[], Awaitable[Any]], *, within: float = 45, every: float = 0.1
) -> Any:
    deadline = time.monotonic() + within
    while True:
        found = await check()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {within} s: {check}"
        await asyncio.sleep(every)


@pytest.fixture
def eventually() -> Callable[..., Awaitable[Any]]:
    """Ask again and again until the answer is true; give it."""
    return _eventually
