"""A small service with HTTP for tests: no Kafka, no database unless given; keys applied by hand."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from aiohttp import web
from noted import record
from pydantic import Field

from hoop_events.accounts import Account, AccountChanged, ApiKey, ApiKeyChanged, Limits
from hoop_platform.auth import SCOPES, digest
from hoop_platform.clock import Clock
from hoop_platform.db.database import DatabaseGone
from hoop_platform.errors import Conflict
from hoop_platform.http.admission import Admission
from hoop_platform.http.app import application
from hoop_platform.http.parse import Body, Instant, OneLine, Query, Text
from hoop_platform.http.route import Call, Reply, Route
from hoop_platform.http.server import listen
from hoop_platform.ids import new_id
from hoop_platform.kafka.global_table import GlobalTables
from hoop_platform.limits.limiter import Limiter
from local.testing.tenant import UNLIMITED

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
READ, WRITE = "calendars/events.readonly", "calendars/events.write"


class Part(Body):
    sort: Literal["left", "right"]


class Thing(Body):
    name: OneLine
    count: Annotated[int, Field(ge=0, le=100)] = 0
    weight: float | None = None
    sold: bool = False
    created_at: Instant | None = None
    notes: dict[str, list[Text]] = {}
    parts: Annotated[list[Part], Field(max_length=10)] = []


class Search(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    user_ids: list[str] | None = None
    tags: Annotated[list[str], Field(max_length=3)] = []


class FixedClock(Clock):
    def now(self) -> datetime:
        return NOON


@dataclass
class Shop:
    """What a route is given, and what the tests look at."""

    name: str = "shop"
    clock: FixedClock = field(default_factory=FixedClock)
    tables: GlobalTables = field(default_factory=lambda: GlobalTables("127.0.0.1:1"))
    db: Any = None
    sold: list[Any] = field(default_factory=list)
    port: int = 0
    longest_hold: float = 0.0
    """The most processor time, in seconds, that the event loop was held by one callback."""

    def key(
        self, *scopes: str, status: Literal["active", "read_only"] = "active", **other: Any
    ) -> str:
        """A key, of a new account unless one is named, without limits unless some are given."""
        account_id, key_id = other.pop("account_id", None) or new_id(), new_id()
        other.setdefault("limits", UNLIMITED)
        token = f"hoop_{key_id}_{key_id}"
        account = Account(id=account_id, sequence=1, name="Test", status=status)
        said: dict[str, Any] = {"digest": digest(token), "scopes": scopes or SCOPES, **other}
        key = ApiKey(id=key_id, sequence=1, **said)
        self.tables.accounts.apply(record(AccountChanged(account_id=account_id, state=account), 0))
        self.tables.keys.apply(record(ApiKeyChanged(account_id=account_id, state=key), 0))
        return token


async def post(call: Call) -> dict[str, Any]:
    call.runtime.sold.append(call.body)
    return {"thing": call.body.model_dump(mode="json", by_alias=True)}


async def post_many(call: Call) -> list[Any]:
    call.runtime.sold.extend(call.body)
    return [thing.name for thing in call.body]


async def version(call: Call) -> dict[str, Any]:
    return {"ifMatch": call.if_match}


async def search(call: Call) -> dict[str, Any]:
    return {"asked": call.query.model_dump(by_alias=True)}


async def get(call: Call) -> dict[str, Any]:
    return {"id": call.id("thingId"), "account": call.account_id}


async def delete(call: Call) -> dict[str, Any]:
    return {"deleted": call.path["thingId"]}


async def every(_: Call) -> list[Any]:
    return [{"id": 1}]


async def page(_: Call) -> Reply:
    return Reply("<h1>\u2603</h1>", content_type="text/html", headers={"Cache-Control": "public"})


async def picture(_: Call) -> Reply:
    return Reply(b"\x00\x01", content_type="image/png")


async def ready(call: Call) -> Reply:
    body = b'{"a":[1]}' if call.path["how"] == "full" else b"{}"
    return Reply(body, headers={"X-Content-Of": "bytes"})


async def fail(call: Call) -> dict[str, Any]:
    errors: dict[str, Exception] = {
        "bug": KeyError("secret"),
        "gone": DatabaseGone("secret"),
        "late": TimeoutError(),
        "conflict": Conflict(extra={"alternatives": [1]}, headers={"Retry-After": "7"}),
    }
    raise errors[call.path["how"]]


ROUTES = (
    Route("POST", "/things", post, scope=WRITE, body=Thing),
    Route("POST", "/things/many", post_many, scope=WRITE, body=list[Thing]),
    Route("GET", "/version", version, scope=("other.readonly", READ)),
    Route("GET", "/things/", search, scope=READ, query=Search),
    Route("GET", "/things/all", every, scope=READ),
    Route("GET", "/things/{thingId}", get, scope=READ),
    Route("DELETE", "/things/{thingId}", delete, scope=WRITE, status=201),
    Route("POST", "/open", post, scope=None, body=Thing),
    Route("GET", "/page", page, scope=None),
    Route("GET", "/picture", picture, scope=None),
    Route("GET", "/ready/{how}", ready, scope=None),
    Route("GET", "/fail/{how}", fail, scope=None),
)


async def _ready() -> dict[str, bool]:
    return {"open": True}


@asynccontextmanager
async def opened(
    limiter: Limiter | None = None,
    *,
    of_address: Limits = UNLIMITED,
    proxies: Sequence[Any] = (),
    routes: Sequence[Route] = ROUTES,
    db: Any = None,
) -> AsyncIterator[Shop]:
    """The shop, listening on a free port."""
    shop = Shop(db=db)
    admission = Admission(
        tables=shop.tables,
        limiter=limiter or Limiter(None),
        clock=shop.clock,
        of_address=of_address,
        proxies=tuple(proxies),
    )
    app = application([(route, shop) for route in routes], admission=admission, ready=_ready)
    runner: web.AppRunner = await listen(app, "127.0.0.1", 0)
    shop.port = runner.addresses[0][1]
    watching = asyncio.get_running_loop().create_task(_watch(shop))
    try:
        yield shop
    finally:
        watching.cancel()
        await runner.cleanup()


async def _watch(shop: Shop) -> None:
    before = time.thread_time()
    while True:
        await asyncio.sleep(0)
        now = time.thread_time()
        shop.longest_hold = max(shop.longest_hold, now - before)
        before = now
        await asyncio.sleep(0.001)
        before = time.thread_time()
