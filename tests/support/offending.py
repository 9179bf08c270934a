"""Somebody who sends what he should not: every refusal is looked at, and nothing may come of any."""

import asyncio
import io
import json
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from aiohttp import ClientSession, ClientTimeout
from yarl import URL

from hoop_platform.http.route import Route
from hoop_platform.ids import new_id
from local.stack.topology import SERVICES, service
from support.quiet import is_quiet

LONGEST_WAIT = 2.0
"""Seconds for /health/live meanwhile, whatever else the machine does. That no service has kept its
loop to itself for 0.2 s is counted by the services, in processor time."""
ROUTES = [route for name in SERVICES for route in service(name).routes if route.scope]
SHAPE = {"statusCode", "message", "error", "code", "details", "traceId"}
HELD = re.compile(r"^hoop_loop_held_total (\S+)$", re.MULTILINE)
INSIDES = re.compile(
    'Traceback|asyncpg|File "|pydantic|Input should|Value error|Assertion failed|[Dd]ictionary'
    "|NoneType|timedelta|datetime|isoformat|utcoffset|_parsing|valid (string|integer|number|boolean)"
)
"""Of the inside of a service, and words of Python, which callers need not know."""


@dataclass
class Answered:
    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass
class Offender:
    """Somebody who sends what he should not, and keeps what he was answered wrongly."""

    http: ClientSession
    base: str
    key: str
    facts: Mapping[str, Any]
    wrong: list[tuple[Any, ...]] = field(default_factory=list)
    sent: int = 0

    async def send(
        self,
        method: str,
        path: str,
        data: bytes | io.BytesIO | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        said = {"Version": "v3", "Authorization": f"Bearer {self.key}"}
        if data is not None:
            said["Content-Type"] = "application/json"
        said = {name: value for name, value in {**said, **(headers or {})}.items() if value}
        address = URL(self.base + path, encoded=True).update_query(query or {})
        self.sent += 1
        async with self.http.request(
            method,
            address,
            data=data,
            headers=said,
            allow_redirects=False,
            skip_auto_headers=["Content-Type"],
        ) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return Answered(
                response.status, json.loads(text) if is_json else text, response.headers.copy()
            )

    async def refused(
        self, what: object, answer: Answered, *statuses: int, path: str | None = None
    ) -> None:
        """Note it unless it is a 4xx (one of these) in our shape, naming the field at fault."""
        faults = list(_faults(answer))
        if answer.status not in (statuses or range(400, 500)):
            faults.append(f"status {answer.status}")
        named = [d["path"] for d in answer.body.get("details", ())] if not faults else []
        if path is not None and not any(one.startswith(path) for one in named):
            faults.append(f"does not name {path}: {named}")
        if faults:
            self.wrong.append((what, faults, str(answer.body)[:300]))


def _faults(answer: Answered) -> Iterator[str]:
    """Where a refusal is not as every refusal is."""
    body, status = answer.body, answer.status
    if not isinstance(body, dict) or not body.keys() >= SHAPE:
        yield "not in our shape"
        return
    phrase = "Unprocessable Entity" if status == 422 else HTTPStatus(status).phrase
    checks = {
        "statusCode": body["statusCode"] == status,
        "message": isinstance(body["message"], list if status == 422 else str),
        "error": body["error"] == phrase,
        "code": re.fullmatch("[a-z_]+", str(body["code"])),
        "details": all({"path", "code", "message"} <= detail.keys() for detail in body["details"]),
        "details of a 422": status != 422 or body["details"],
        "traceId": body["traceId"] == answer.headers.get("X-Trace-Id"),
        "insides": not INSIDES.search(str(body)),
    }
    yield from (name for name, good in checks.items() if not good)


@dataclass
class Pulse:
    """How long a service takes to say that it lives, asked every ten milliseconds."""

    longest: float = 0.0
    beats: int = 0

    async def feel(self, http: ClientSession, url: str, stop: asyncio.Event) -> None:
        while not stop.is_set():
            begun = time.monotonic()
            async with http.get(f"{url}/health/live") as response:
                assert response.status == 200
            self.longest = max(self.longest, time.monotonic() - begun)
            self.beats += 1
            await asyncio.sleep(0.01)


@asynccontextmanager
async def offender(system: Any, eventually: Any, record_property: Any) -> AsyncIterator[Offender]:
    """Everything is as before when the test is over, and nobody had to wait meanwhile."""
    facts = system.facts
    await eventually(lambda: _settled(system))
    before = await _everything(system)
    held = await _held(system)
    pulse, stop = Pulse(), asyncio.Event()
    limit = ClientTimeout(total=20)
    async with ClientSession(timeout=limit, trust_env=False) as http:
        one = Offender(http, facts["base_url"], facts["api_key"], facts)
        async with asyncio.TaskGroup() as tasks:
            for name in ("booking", "accounts"):
                tasks.create_task(pulse.feel(http, facts["services"][name]["url"], stop))
            try:
                yield one
            finally:
                stop.set()
    record_property("longest_wait_ms", round(pulse.longest * 1000))
    assert not one.wrong, "\n".join(map(str, one.wrong))
    assert one.sent
    after = await _everything(system)
    assert after == before, {
        name: (before.get(name), n) for name, n in after.items() if n != before.get(name)
    }
    assert await _held(system) == held
    assert pulse.beats
    assert pulse.longest < LONGEST_WAIT


async def _settled(system: Any) -> bool:
    """Nothing is on its way, and nothing changes meanwhile."""
    first = await _everything(system)
    return await is_quiet(system) and await _everything(system) == first


async def _held(system: Any) -> dict[str, float]:
    """How often something computed for more than 0.2 s in one go, by service."""
    found = {}
    async with ClientSession(timeout=ClientTimeout(total=20), trust_env=False) as http:
        for name, facts in system.facts["services"].items():
            async with http.get(f"{facts['url']}/metrics") as response:
                found[name] = float(HELD.findall(await response.text())[0])
    return found


async def _everything(system: Any) -> dict[str, int]:
    """How many rows each table of each service has, and how many events were ever announced."""
    found = {}
    for name in system.facts["postgres"]:
        tables = await system.sql(
            name, "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"
        )
        names = [table["name"] for table in tables if table["name"] != "relay_lease"]
        counts = [f"SELECT '{t}' AS name, count(*) AS rows FROM {t}" for t in names]
        counts.append("SELECT 'announced', last_value FROM outbox_id_seq")
        rows = await system.sql(name, " UNION ALL ".join(counts))
        found |= {f"{name}.{row['name']}": row["rows"] for row in rows}
    return found


def path_of(route: Route) -> str:
    """The route's path with ids that nobody has: what a body holds is looked at first."""
    steps = (new_id() if step.startswith("{") else step for step in route.path.split("/"))
    return "/".join(steps)
