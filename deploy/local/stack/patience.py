"""Waiting on a busy machine: what is awaited has a name, a deadline, and another try where that helps."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol, TypeVar

import asyncpg
from aiohttp import ClientError, ClientSession, ClientTimeout
from aiokafka.errors import KafkaError

from local.servers.process import BUSY, CannotStart
from local.stack.supervisor import Program

READY_LIMIT = 300.0  # seconds until a program has to be ready
STEP_LIMIT = 300.0  # seconds until a step that is tried again has to be done
PAUSE = 0.5  # seconds before another try

PASSING = (
    OSError,
    TimeoutError,
    KafkaError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.ObjectInUseError,  # two databases are copied from one template
    asyncpg.TooManyConnectionsError,
)
"""Failures of a server that is busy or still starting; what failed may be tried again."""

Result = TypeVar("Result")


class Progress(Protocol):
    """Receives what happens while a system starts, runs and stops."""

    def step(self, what: str, /) -> AbstractAsyncContextManager[None]:
        """A block that takes a while."""

    def waiting(self, what: str, /) -> AbstractContextManager[None]:
        """A block that waits for this; it is named when the step takes long."""

    def say(self, text: str, /) -> None:
        """One line about an event, such as a restart."""

    def fetched(self, done: int, total: int, /) -> None:
        """How many of Kafka's jars are available."""


async def together(*work: Coroutine[Any, Any, object]) -> None:
    """Run all at once. The first failure ends the others, and is raised when they have ended."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except BaseExceptionGroup as failures:
        raise first_of(failures) from failures


def first_of(error: BaseException) -> BaseException:
    """The first failure within a group of failures."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def until_done(
    what: str, work: Callable[[], Awaitable[Result]], *, limit: float = STEP_LIMIT
) -> Result:
    """The result of `work`, which may be done twice; tried again after failures that pass.

    Raises `CannotStart` when it is not done within `limit` seconds.
    """
    last: BaseException | None = None
    try:
        async with asyncio.timeout(limit):
            while True:
                try:
                    return await work()
                except PASSING as error:
                    last = error
                await asyncio.sleep(PAUSE)
    except TimeoutError as error:
        why = f" ({type(last).__name__}: {last})" if last else ""
        raise CannotStart(f"{what}: not done within {limit:.0f} s{why}.", mend=BUSY) from error


async def until_ok(address: str, program: Program, *, limit: float = READY_LIMIT) -> None:
    """Poll until the program's address responds with 200.

    Raises `CannotStart` when the program ends, and after `limit` seconds; it names what the program
    says that it still waits for.
    """
    deadline, missing = time.monotonic() + limit, ""
    async with ClientSession(timeout=ClientTimeout(total=30)) as http:
        while time.monotonic() < deadline and program.alive:
            try:
                async with http.get(address) as response:
                    if response.status == 200:
                        return
                    missing = _missing(await response.text())
            except (ClientError, TimeoutError, OSError):
                pass  # not listening yet
            await asyncio.sleep(0.05)
    name, log = program.server.name, program.server.log
    if not program.alive:
        words = program.server.last_words()
        raise CannotStart(f"{name}: ended at its start: {words}", log=log)
    raise CannotStart(f"{name}: not ready within {limit:.0f} s{missing}.", log=log, mend=BUSY)


def _missing(body: str) -> str:
    """The checks of `/health/ready` that fail, to be added to a sentence."""
    try:
        checks = json.loads(body)["checks"]
        failing = [name for name, good in checks.items() if not good]
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    return f"; it waits for {', '.join(failing)}" if failing else ""
