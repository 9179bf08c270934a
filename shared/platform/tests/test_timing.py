"""Periodic jobs and loops go on after each failure; what must be stored is tried until it is."""

import asyncio

import asyncpg
import pytest
from structlog.testing import capture_logs

from hoop_platform import timing
from hoop_platform.secrets import Unsealable

POSTGRES_IS_AWAY = ConnectionResetError("postgres is away")
A_ROW_IS_LOCKED = asyncpg.LockNotAvailableError("canceling statement due to lock timeout")
A_FAULT = Unsealable("sealed with another key")

each_failure = pytest.mark.parametrize(
    ("error", "level"),
    [(POSTGRES_IS_AWAY, "warning"), (A_ROW_IS_LOCKED, "warning"), (A_FAULT, "error")],
    ids=["postgres is away", "a row is locked", "a fault"],
)


class Job:
    """Fails at its second run, and stops its loop at the fourth."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.runs = 0
        self.stop = asyncio.Event()

    async def __call__(self) -> None:
        self.runs += 1
        if self.runs == 2:
            raise self.error
        if self.runs == 4:
            self.stop.set()


@each_failure
async def test_a_periodic_job_outlives_its_failures(error: Exception, level: str) -> None:
    """A service whose job ended it would end at each start, as long as the cause is there."""
    job = Job(error)
    with capture_logs() as lines:
        await timing.every(0.01, job, job.stop, what="a job")
    assert job.runs == 4
    [line] = lines
    assert (line["event"], line["what"], line["log_level"]) == ("postponed", "a job", level)
    assert ("exc_info" in line) == (level == "error")


async def test_a_loop_waits_longer_after_an_error_that_no_outage_explains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It will probably come again at once, and its traceback is long."""
    pauses: list[float] = []

    async def pause(_: asyncio.Event, seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(timing, "pause", pause)
    for error in (POSTGRES_IS_AWAY, A_FAULT):
        await timing.pause_after(
            error, asyncio.Event(), event="interrupted", expected=timing.TRANSIENT
        )
    assert pauses == [timing.PAUSE_SECONDS, timing.UNEXPECTED_PAUSE_SECONDS]


@pytest.mark.parametrize("error", [POSTGRES_IS_AWAY, A_ROW_IS_LOCKED])
async def test_what_must_not_be_lost_is_stored_once_postgres_responds(error: Exception) -> None:
    failures = [error, error]

    async def store() -> str:
        if failures:
            raise failures.pop()
        return "stored"

    assert await timing.insist(store, within=5, what="a token") == "stored"


async def test_storing_ends_with_its_time_and_at_once_for_other_errors() -> None:
    async def store() -> None:
        raise error

    error: Exception = POSTGRES_IS_AWAY
    with pytest.raises(ConnectionResetError):
        await timing.insist(store, within=0.1, what="a token")
    error = A_FAULT
    async with asyncio.timeout(1):
        with pytest.raises(Unsealable):
            await timing.insist(store, within=60, what="a token")
