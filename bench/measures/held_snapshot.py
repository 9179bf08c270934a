"""Relay and claims while the oldest snapshot is held and rows change, beside the same without it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from statistics import median

import asyncpg

from bench.measures.context import Context
from bench.measures.queue_bursts import jobs_a_second
from bench.report.findings import Broken, Row
from bench.systems import outbox_relay, reconciler
from bench.systems.outbox_relay import OutboxRelay
from bench.systems.reconciler import Reconciler
from bench.systems.single_service import Servers

CHANGES = 500  # a second
TICK = 0.1  # seconds
JOBS = 20_000
"""Due at the beginning of a burst of claims, of which half are started: it lasts for seconds, so that the
looks of a running worker count, and not the first one alone."""
EVENTS = 20_000
"""In the outbox at the beginning of a relay's burst."""
BURSTS = 3
"""Of each kind: before the changes, after them with the snapshot held, and without it again."""
RELAY_LIMIT = 60.0  # seconds of a relay's burst


@dataclass(frozen=True)
class Rates:
    """Claims and relayed events a second."""

    claims: float
    relayed: float


@dataclass(frozen=True)
class _Queues:
    reconciler: Reconciler
    relay: OutboxRelay
    seconds: float

    async def measure(self) -> Rates:
        """Run bursts of each, alone; return the medians."""
        claims, relayed = [], []
        for _ in range(BURSTS):
            await self.reconciler.fill_backlog(JOBS)
            rate = await jobs_a_second(self.reconciler, seconds=self.seconds, most=JOBS // 2)
            claims.append(rate)
            relayed.append(await self._relay())
        return Rates(median(claims), median(relayed))

    async def _relay(self) -> float:
        """Return the events a second until a full outbox is relayed."""
        await self.relay.write(EVENTS)
        before, begun, count = await self.relay.relayed(), time.perf_counter(), 0
        async with self.relay.running():
            while count < EVENTS and time.perf_counter() < begun + RELAY_LIMIT:
                await asyncio.sleep(0.01)
                count = await self.relay.relayed() - before
            passed = time.perf_counter() - begun
        return min(count, EVENTS) / passed

    async def change(self, seconds: float) -> float:
        """Change desired states and write events while worker and relay run; return the changes a second."""
        begun, number = time.perf_counter(), 0
        each = round(CHANGES * TICK)
        async with self.reconciler.working(lambda _: None), self.relay.running():
            while (passed := time.perf_counter() - begun) < seconds:
                await self.reconciler.change(each)
                await self.relay.write(each)
                number += 1
                await asyncio.sleep(begun + number * TICK - time.perf_counter())
        return number * each / passed


async def held_snapshot(context: Context, servers: Servers) -> list[Row]:
    """Measure before, then with a snapshot held all the while that rows changed, then without it again."""
    plan = context.plan
    async with AsyncExitStack() as opened:
        ours = await Reconciler.open(servers, "held")
        opened.push_async_callback(ours.close)
        relay = await opened.enter_async_context(
            outbox_relay.outbox_relay(ours.database, servers.bootstrap)
        )
        queues = _Queues(ours, relay, plan.seconds)
        before = await queues.measure()
        async with _holding(ours.database.dsn):
            context.progress.line(f"a snapshot is held for {plan.held:.0f} s of changes …")
            changes = await queues.change(plan.held)
            held = await queues.measure()
        await _vacuum(ours.database.dsn)
        after = await queues.measure()
    if changes < CHANGES * 0.9:
        raise Broken(f"only {changes:.0f} of {CHANGES} changes a second were made")
    facts = {"before": before, "held": held, "after": after}
    context.findings.bursts.append(
        {
            "measure": "claims",
            "changes": changes,
            **{name: vars(one) for name, one in facts.items()},
        }
    )
    return held_rows(before, held, after, seconds=plan.held)


def held_rows(before: Rates, held: Rates, after: Rates, *, seconds: float) -> list[Row]:
    """Return the rates with the snapshot held, beside the mean of those before and after."""
    name = f"oldest snapshot held for {seconds:.0f} s (aim 0.8x)"
    rows = []
    for what in ("claims", "relayed"):
        without = (getattr(before, what) + getattr(after, what)) / 2
        found = getattr(held, what)
        title = f"{what}, {name}"
        rows.append(Row("claims", title, "/s", found, floor=without, ratio=found / without))
    return rows


@asynccontextmanager
async def _holding(dsn: str) -> AsyncIterator[None]:
    """Hold a snapshot of this database, as a `pg_dump` does."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.fetchval("SELECT count(*) FROM pg_class")
            yield
    finally:
        await connection.close(timeout=5)


async def _vacuum(dsn: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        for table in (*reconciler.TABLES, *outbox_relay.TABLES):
            await connection.execute(f"VACUUM ANALYZE {table}", timeout=600)
    finally:
        await connection.close(timeout=5)
