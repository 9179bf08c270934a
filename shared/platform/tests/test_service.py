"""Services as processes: they say whether they are ready, drain when told to stop, and never fail in silence."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout
from noted import Noted

from hoop_platform.config import Settings, with_database
from hoop_platform.db.database import Database
from hoop_platform.http.route import Call, Route
from hoop_platform.runtime import Runtime
from hoop_platform.secrets import BadKey
from hoop_platform.service.service import Service
from hoop_platform.service.serving import serve
from local.servers.ports import free_ports
from local.testing.polling import eventually
from local.testing.service import running

PROGRAM = '''
"""A teahouse: pours slowly, hears what was poured, and misbehaves on demand."""
import asyncio, os
from typing import ClassVar
from hoop_events.base import Event, State
from hoop_platform.http.route import Route
from hoop_platform.outbox.announce import announce
from hoop_platform.service.process import main
from hoop_platform.service.service import Service

class Poured(Event):
    """Tea was poured."""
    topic: ClassVar = os.environ["TOPIC"]
    type: ClassVar = "Poured"
    source: ClassVar = "/teahouse"

async def pour(call):
    await asyncio.sleep(0.7)
    async with call.runtime.db.transaction() as db:
        state = State(id=call.path["cup"], sequence=1)
        await announce(db, Poured(account_id="0" * 26, state=state), now=call.now)
    return {"poured": True}

async def hear(db, event, now):
    if event.state.id == "bitter" and "SUGAR" not in os.environ:
        raise RuntimeError("too bitter")
    await db.execute("INSERT INTO cup VALUES ($1)", event.state.id)

async def idle(stop):
    await stop.wait()

async def stubborn(stop):
    await asyncio.sleep(3600)

async def broken(stop):
    await asyncio.sleep(0.5)
    raise KeyError("no sugar")

main(Service("teahouse", routes=[Route("POST", "/cups/{cup}", pour, scope=None)],
             subscriptions={Poured: hear}, jobs=lambda _: [globals()[os.environ["JOB"]]]))
'''


class House:
    """The program above, as a process."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self.process: Process | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.environment['HTTP_PORT']}"

    async def _spawn(self, *arguments: str, **environment: str) -> Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "teahouse", *arguments),
            env={**self.environment, **environment},
            stdout=PIPE,
            stderr=PIPE,
        )

    async def start(self, **environment: str) -> None:
        """Begin to serve."""
        self.process = await self._spawn("serve", **environment)

    async def end(self) -> tuple[int | None, list[dict[str, Any]]]:
        """How the serving ends: exit status, and the lines of the log."""
        assert self.process is not None
        _, err = await asyncio.wait_for(self.process.communicate(), 60)
        return self.process.returncode, [json.loads(line) for line in err.splitlines()]

    async def run(self, *arguments: str, **environment: str) -> tuple[int | None, str]:
        """Another command, to its end: exit status, and all it said."""
        process = await self._spawn(*arguments, **environment)
        out, err = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode, (out + err).decode()

    def send(self, sign: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(sign)

    async def ready(self) -> bool:
        async with ClientSession(timeout=ClientTimeout(total=3)) as http:
            with contextlib.suppress(ClientError, OSError):
                async with http.get(f"{self.base_url}/health/ready") as response:
                    return response.status == 200
        return False

    async def serve(self, job: str = "idle", **environment: str) -> None:
        """Prepare, start, and wait until it is ready."""
        assert (await self.run("prepare"))[0] == 0
        await self.start(JOB=job, **environment)
        await eventually(self.ready, within=40)

    async def fetch(self, sql: str, *args: object) -> list[Any]:
        connection = await asyncpg.connect(self.environment["TEAHOUSE_DATABASE_URL"])
        try:
            return [*await connection.fetch(sql, *args)]
        finally:
            await connection.close()


@pytest.fixture
async def house(
    tmp_path: Path, postgres_dsn: str, kafka_bootstrap: str, noted: type[Noted]
) -> AsyncIterator[House]:
    name = f"teahouse_{secrets.token_hex(4)}"
    (tmp_path / "teahouse" / "migrations").mkdir(parents=True)
    (tmp_path / "teahouse" / "__init__.py").write_text("")
    (tmp_path / "teahouse" / "__main__.py").write_text(PROGRAM)
    (tmp_path / "teahouse" / "migrations" / "0001_cup.sql").write_text(
        "CREATE TABLE cup (id text);"
    )
    found = House(
        {
            "PATH": os.defpath,
            "PYTHONPATH": str(tmp_path),
            "TEAHOUSE_DATABASE_URL": with_database(postgres_dsn, name),
            "KAFKA_BOOTSTRAP": kafka_bootstrap,
            "HTTP_PORT": str(free_ports(1)[0]),
            "TOPIC": noted.topic,
            "JOB": "idle",
        }
    )
    yield found
    if found.process is not None and found.process.returncode is None:
        found.process.kill()
        await found.end()
    server = await asyncpg.connect(postgres_dsn)
    await server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await server.close()


async def _pour(house: House, cup: str) -> int:
    async with (
        ClientSession(timeout=ClientTimeout(total=10)) as http,
        http.post(f"{house.base_url}/cups/{cup}") as response,
    ):
        return response.status


async def test_a_stop_drains_and_logs(house: House) -> None:
    """The request at hand is answered, what it announced is sent, and the process ends well."""
    await house.serve()
    async with asyncio.TaskGroup() as tasks:
        poured = tasks.create_task(_pour(house, "last"))
        await asyncio.sleep(0.3)
        house.send(signal.SIGTERM)
    assert poured.result() == 200
    status, log = await house.end()
    assert (status, log[0]["event"], log[-1]["event"]) == (0, "listening", "stopped")
    assert await house.fetch("SELECT FROM outbox") == []
    await house.start()
    await eventually(lambda: _drunk(house, "last"), within=40)


async def _drunk(house: House, cup: str) -> bool:
    return cup in [row["id"] for row in await house.fetch("SELECT id FROM cup")]


async def test_a_part_that_fails_ends_the_process_aloud(house: House) -> None:
    """Whoever supervises it starts it again; the log says which part, and where in the code."""
    assert (await house.run("prepare"))[0] == 0
    await house.start(JOB="broken")
    status, log = await house.end()
    assert status == 1
    [failed] = [line for line in log if line["event"] == "background task failed"]
    assert (failed["service"], failed["task"]) == ("teahouse", "broken")
    assert "no sugar" in failed["error"]
    assert "__main__.py" in log[-1]["exception"]


async def test_a_second_signal_ends_it_at_once(house: House) -> None:
    await house.serve(job="stubborn")
    house.send(signal.SIGTERM)
    await asyncio.sleep(0.5)
    assert house.process is not None
    assert house.process.returncode is None
    house.send(signal.SIGINT)
    status, log = await asyncio.wait_for(house.end(), 15)
    assert (status, log[-1]["event"]) == (1, "ended before it was drained")


async def test_it_starts_without_its_servers_and_says_what_it_waits_for(house: House) -> None:
    nowhere = f"127.0.0.1:{free_ports(1)[0]}"
    dsn = f"postgresql://x@{nowhere}/x"
    await house.start(TEAHOUSE_DATABASE_URL=dsn, KAFKA_BOOTSTRAP=nowhere)
    said = await eventually(lambda: _get(house, "/health/ready"), within=30)
    assert said == {
        "status": "not ready",
        "checks": {
            "not stopping": True,
            "tables": False,
            "teahouse database": False,
            "teahouse group": False,
        },
    }
    assert await _get(house, "/health/live") == {"status": "live"}
    house.send(signal.SIGTERM)
    status, _ = await asyncio.wait_for(house.end(), 15)
    assert status == 0


async def _get(house: House, path: str) -> Any:
    async with ClientSession(timeout=ClientTimeout(total=5)) as http:
        with contextlib.suppress(ClientError):
            async with http.get(house.base_url + path) as response:
                return await response.json()


async def test_what_was_set_aside_is_handled_once_its_cause_is_mended(house: House) -> None:
    """`replay` after the mending: what fails still stays, and says so by the exit status."""
    await house.serve()
    for cup in ("bitter", "sweet"):
        assert await _pour(house, cup) == 200
    await eventually(lambda: _set_aside(house), within=30)
    assert await house.run("replay") == (
        1,
        f"fails still: {await _where(house)}: RuntimeError('too bitter')\n0 records handled\n",
    )
    assert await house.run("replay", SUGAR="1") == (0, "1 records handled\n")
    assert await _drunk(house, "bitter")
    assert await house.run("replay") == (0, "0 records handled\n")


async def _set_aside(house: House) -> bool:
    return bool(await house.fetch("SELECT FROM dead_letter")) and await _drunk(house, "sweet")


async def _where(house: House) -> str:
    [row] = await house.fetch("SELECT topic, partition, record_offset FROM dead_letter")
    return "/".join(map(str, row))


async def test_parked_rows_are_tried_again(house: House) -> None:
    await house.serve()
    await house.fetch(_PARKED, house.environment["TOPIC"])
    await asyncio.sleep(0.5)
    assert len(await house.fetch("SELECT FROM outbox")) == 1
    assert await house.run("unpark") == (0, "1 rows of the outbox will be sent\n")
    await eventually(lambda: _outbox_empty(house), within=10)


_PARKED = """
    INSERT INTO outbox (event_id, topic, type, source, subject, sequence, account_id, dataschema,
                        time, body, parked_at)
    SELECT gen_random_uuid(), $1, 'x', '/x', 'x', 1, gen_random_uuid(), '', now(), '', now()
"""


async def _outbox_empty(house: House) -> bool:
    return await house.fetch("SELECT FROM outbox") == []


async def test_wrong_words_and_missing_settings(house: House) -> None:
    status, said = await house.run("sleep")
    assert (status, said) == (2, "usage: teahouse [prepare|replay|serve|unpark]\n")
    status, said = await house.run("serve", KAFKA_BOOTSTRAP="", HTTP_PORT="door")
    assert status == 3
    assert "KAFKA_BOOTSTRAP: " in said
    assert "HTTP_PORT: " in said


async def test_services_composed_in_one_process(database: Database, kafka_bootstrap: str) -> None:
    """Each answers in its own name; one that has no key runs, as long as it seals nothing."""

    async def name(call: Call) -> dict[str, str]:
        return {"name": call.runtime.name}

    services = [
        Service(n, routes=[Route("GET", f"/{n}", name, scope=None)]) for n in ("tea", "cup")
    ]
    settings = {"database_url": database.dsn, "kafka_bootstrap": kafka_bootstrap}
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        given: Any = [(service, Settings(**settings)) for service in services]
        tasks.create_task(serve(given, stop, listening=port.set_result))
        async with ClientSession(f"http://127.0.0.1:{await port}") as http:
            for service in services:
                async with http.get(f"/{service.name}") as response:
                    assert (await response.json())["name"] == service.name
        stop.set()


async def test_a_key_is_asked_for_when_something_is_to_be_sealed(
    database: Database, kafka_bootstrap: str
) -> None:
    seen: list[Runtime] = []

    def jobs(runtime: Runtime) -> list[Any]:
        seen.append(runtime)
        return []

    service = Service("keyless", jobs=jobs)
    async with running(service, database=database, kafka_bootstrap=kafka_bootstrap, data_key=""):
        with pytest.raises(BadKey):
            seen[0].cipher  # noqa: B018 -- asking is the deed
        assert await seen[0].catch_up() is False
