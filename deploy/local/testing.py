"""What the tests of every service share: a service that really runs, tenants to ask as, and a client."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import asyncpg
from aiohttp import ClientSession, ClientTimeout
from aiokafka import AIOKafkaProducer

from hoop_events import (
    Account,
    AccountChanged,
    ApiKey,
    ApiKeyChanged,
    Contact,
    ContactChanged,
    ContactDetails,
    Event,
    Limits,
    Location,
    LocationChanged,
    User,
    UserChanged,
    attributes,
    body,
)
from shared import service
from shared.auth import SCOPES, digest
from shared.clock import Clock
from shared.db import Database
from shared.http import Door
from shared.ids import new_id
from shared.kafka import Tables, ensure_topics
from shared.kafka.reading import reading
from shared.limits import Limiter
from shared.secrets import new_key
from shared.service import Runtime, Service

START_LIMIT = 40.0  # seconds
STOP_LIMIT = 30.0
Result = TypeVar("Result")
UNLIMITED = Limits(per_second=None, per_minute=None, per_day=None)


@asynccontextmanager
async def running(
    what: Service,
    *,
    database: Database | str,
    kafka_bootstrap: str,
    from_the_beginning: bool = False,
    **settings: object,
) -> AsyncIterator[tuple[str, Runtime]]:
    """Run a service in this loop, on a free port: yields its base URL and its runtime once it is ready.

    `database` is migrated already (a `Database`, or its DSN). `settings` are further settings by
    their field names. If the service fails meanwhile, its failure comes out at the end.
    A fresh database hears what is told from now on, for other tests have told much on the same
    topics; unless it wants to hear that, too.
    """
    await ensure_topics(kafka_bootstrap)
    dsn = database if isinstance(database, str) else database.dsn
    if not from_the_beginning:
        await _begin_here(what, dsn, kafka_bootstrap)
    given: dict[str, Any] = {
        "database_url": dsn,
        "kafka_bootstrap": kafka_bootstrap,
        "http_port": 0,
        "data_key": new_key(),
        **settings,
    }
    runtimes: list[Runtime] = []

    def observed_jobs(runtime: Runtime) -> Any:
        runtimes.append(runtime)
        return what.jobs(runtime)

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    port: asyncio.Future[int] = loop.create_future()
    observed = replace(what, jobs=observed_jobs)
    serving = service.serve([(observed, what.settings(**given))], stop, listening=port.set_result)
    # No TaskGroup: it would wrap the test's own failure, and fixtures leave in another task.
    task = loop.create_task(serving)
    try:
        async with asyncio.timeout(START_LIMIT):
            base_url = await _ready(task, port)
        yield base_url, runtimes[0]
    finally:
        stop.set()
        await asyncio.wait_for(task, STOP_LIMIT)


async def _begin_here(what: Service, dsn: str, kafka_bootstrap: str) -> None:
    """Places where the topics end now, for a database that has none yet."""
    topics = sorted({event.topic for event in what.subscriptions})
    if not topics:
        return
    async with reading(kafka_bootstrap, topics) as reader:
        ends = await reader.ends()
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.executemany(
            "INSERT INTO consumed (topic, partition, next_offset) VALUES ($1, $2, $3)"
            " ON CONFLICT DO NOTHING",
            [(*place, end) for place, end in ends.items()],
        )
    finally:
        await connection.close(timeout=5)


async def _ready(task: asyncio.Task[None], port: asyncio.Future[int]) -> str:
    """Wait until the service says it is ready; a failed start comes out as itself."""
    waiting: set[asyncio.Future[Any]] = {task, port}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    base_url = f"http://127.0.0.1:{port.result()}"
    async with ClientSession(timeout=ClientTimeout(total=5)) as http:
        while not task.done():
            async with http.get(f"{base_url}/health/ready") as response:
                if response.status == 200:
                    return base_url
            await asyncio.sleep(0.02)
    await task
    raise AssertionError(f"{base_url} ended before it was ready")


def open_door(tables: Tables, clock: Clock) -> Door:
    """A door that counts nobody; keys with limits are refused at it."""
    return Door(tables=tables, limiter=Limiter(None), clock=clock, of_address=UNLIMITED)


async def publish(kafka_bootstrap: str, *events: Event) -> None:
    """Send events as the relay of their service would; they are on their topics when this returns."""
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, acks="all") as producer:
        for event in events:
            await producer.send_and_wait(
                event.topic, key=event.subject.encode(), value=body(event), headers=headers(event)
            )


def headers(
    event: Event, *, time: datetime | None = None, traceparent: str | None = None
) -> list[tuple[str, bytes]]:
    """What a record of this event carries beside its body, as if announced now or then."""
    return attributes(
        event_id=new_id(),
        source=event.source,
        type=event.type,
        subject=event.subject,
        sequence=event.sequence,
        account_id=event.account_id,
        dataschema=event.dataschema(),
        time=time or Clock().now(),
        traceparent=traceparent,
    )


async def eventually(question: Callable[[], Awaitable[Result]], *, within: float = 10.0) -> Result:
    """Ask again until the answer is true in the sense of Python, and give it; fail after seconds."""
    deadline = time.monotonic() + within
    while not (answer := await question()):
        assert time.monotonic() < deadline, f"{question} answered {answer!r} for {within} s"
        await asyncio.sleep(0.02)
    return answer


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """An account with a location, two users, two contacts and an API key, for services but `accounts`.

    Publish its `events`, and every service knows it.
    """

    account_id: str = field(default_factory=new_id)
    location_id: str = field(default_factory=new_id)
    user_ids: tuple[str, ...] = field(default_factory=lambda: (new_id(), new_id()))
    contact_ids: tuple[str, ...] = field(default_factory=lambda: (new_id(), new_id()))
    key_id: str = field(default_factory=new_id)
    time_zone: str = "America/New_York"
    scopes: tuple[str, ...] = SCOPES
    limits: Limits = UNLIMITED

    @property
    def api_key(self) -> str:
        return f"hoop_{self.key_id}_{self.key_id}"

    @property
    def events(self) -> tuple[Event, ...]:
        who = {"account_id": self.account_id}
        key = ApiKey(
            id=self.key_id,
            sequence=1,
            digest=digest(self.api_key),
            scopes=self.scopes,
            limits=self.limits,
        )
        location = Location(
            id=self.location_id, sequence=1, name="Main Street", time_zone=self.time_zone
        )
        account = Account(id=self.account_id, sequence=1, name="Test", plan="unlimited")
        return (
            AccountChanged(**who, state=account),
            LocationChanged(**who, state=location),
            *(UserChanged(**who, state=self._user(one)) for one in self.user_ids),
            *(ContactChanged(**who, state=self._contact(one)) for one in self.contact_ids),
            ApiKeyChanged(**who, state=key),
        )

    def _user(self, user_id: str) -> User:
        email = f"{user_id}@staff.example.com"
        ours = (self.location_id,)
        return User(id=user_id, sequence=1, name="Uma User", email=email, location_ids=ours)

    def _contact(self, contact_id: str) -> Contact:
        personal = ContactDetails(name="Carl Contact", email=f"{contact_id}@example.com")
        return Contact(id=contact_id, sequence=1, location_id=self.location_id, personal=personal)


@dataclass(frozen=True)
class Answer:
    """What came back: status, JSON body, headers."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def told(self) -> Any:
        """The body without its trace id, which differs in every answer."""
        if not isinstance(self.body, dict):
            return self.body
        return {name: value for name, value in self.body.items() if name != "traceId"}


class Client:
    """Asks a service as the holder of a key: `async with Client(base_url, key) as ask: await ask("GET", "/…")`."""

    def __init__(self, base_url: str, api_key: str | None = None, *, version: str = "v3") -> None:
        self._base_url = base_url
        self._headers = {"Version": version}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"

    async def __aenter__(self) -> Self:
        self._http = ClientSession(self._base_url, timeout=ClientTimeout(total=20))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._http.close()

    async def __call__(
        self,
        method: str,
        path: str,
        json: object = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Answer:
        """Ask with a body that becomes `json`, or with `data` as it stands; redirects are not followed."""
        said = {**self._headers, **(headers or {})}
        if data is not None:
            said = {"Content-Type": "application/json", **said}
        async with self._http.request(
            method, path, json=json, data=data, params=query, headers=said, allow_redirects=False
        ) as response:
            is_json = response.content_type == "application/json"
            content = await (response.json() if is_json else response.text())
            return Answer(response.status, content, response.headers.copy())
