"""The statements of a booking, counted as Postgres gets them: every one costs the whole system."""

import asyncio
from collections.abc import Callable
from contextlib import contextmanager

import pytest

from hoop_events.booking import Meeting
from hoop_platform.db import database as databases
from hoop_platform.reconcile.plan import UNCERTAIN_WAIT

PENDING = Meeting(provider="zoom", state="pending")
READY = Meeting(provider="zoom", state="ready", join_url="https://zoom.example/j/1")


class Statements:
    """What the connections of this test have executed, BEGIN and COMMIT included."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, record) -> None:
        statement = " ".join(record.query.split())
        if not statement.startswith(ONCE_PER_CONNECTION):
            self.seen.append(statement)

    @contextmanager
    def counted(self, at_most: int, *, without: tuple[str, ...] = ()):
        begin = len(self.seen)
        yield
        seen = [s for s in self.seen[begin:] if not s.startswith(without)]
        assert len(seen) <= at_most, "\n".join(s[:100] for s in seen)


ONCE_PER_CONNECTION = ("WITH RECURSIVE", "SELECT current_setting('jit')", "SELECT set_config('jit'")
TRANSACTION = ("BEGIN", "COMMIT")
LOOK = ("SELECT (claimed).*",)


@pytest.fixture
async def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    counter, set_codecs = Statements(), databases._set_codecs

    async def logged(connection) -> None:
        await set_codecs(connection)
        connection.add_query_logger(counter)

    monkeypatch.setattr(databases, "_set_codecs", logged)
    return counter


async def settled(harness, true: Callable[[], bool]) -> None:
    """Wait until the worker has nothing to do and a condition holds."""
    async with asyncio.timeout(20):
        while not true() or await harness.db.fetchval(
            "SELECT count(*) FROM work WHERE status = 'due'"
        ):
            await asyncio.sleep(0.05)


async def test_one_step_at_a_time(statements, open_harness, new_appointment):
    """An event with two mails: three in its transaction; an event without any: two; a mail: three."""
    appointment = new_appointment()
    async with open_harness() as harness:
        await harness.handle(*appointment.surrounding_events)
        with statements.counted(at_most=3, without=TRANSACTION):
            await harness.handle(appointment.booked())
        with statements.counted(at_most=2 * 3, without=LOOK):
            assert await harness.deliver_due() == 2
        with statements.counted(at_most=2, without=TRANSACTION):
            await harness.handle(appointment.updated())
        await harness.fault("drop-after-data", times=1)
        await harness.handle(appointment.cancelled())
        await harness.deliver_due()
        with statements.counted(at_most=3 + 2, without=(*LOOK, "UPDATE")):
            assert await harness.after(UNCERTAIN_WAIT) == 1
        assert len(harness.mails()) == 2 + 3


async def test_a_booking_from_the_event_to_both_mails(
    statements, open_harness, new_appointment, record_property
):
    """With a link that comes later: no attempt is made in vain, and no work is looked for."""
    appointment = new_appointment()
    async with open_harness() as harness, harness.working():
        await harness.handle(*appointment.surrounding_events)
        await asyncio.sleep(0.2)  # the worker's first look for work
        begin = len(statements.seen)
        await harness.handle(appointment.booked(PENDING))
        waiting = await harness.db.fetch("SELECT status, attempts FROM work")
        await harness.handle(appointment.updated(meeting=READY))
        async with asyncio.timeout(10):
            while sum("finish_attempt" in s for s in statements.seen) < 2:
                await asyncio.sleep(0.01)
        seen = [s for s in statements.seen[begin:] if s != "SELECT status, attempts FROM work"]

        assert [tuple(row) for row in waiting] == [("waiting", 0)] * 2
        assert len(harness.mails()) == 2
    record_property("statements", len(seen))
    assert len(seen) <= 16, "\n".join(s[:100] for s in seen)
