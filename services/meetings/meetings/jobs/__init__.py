"""Works on wishes until the provider agrees: claim (committed), call outside any transaction, record."""

import asyncio
from collections.abc import Sequence

from meetings import handlers
from meetings.jobs.attempt import fulfil
from meetings.jobs.connection import follow, keep_fresh
from shared.service import Part, Runtime
from shared.work import Worker, every

KEEP_FRESH_SECONDS = 600.0


def jobs(runtime: Runtime) -> Sequence[Part]:
    """What runs beside HTTP and the consumer."""

    async def freshness(stop: asyncio.Event) -> None:
        await every(
            KEEP_FRESH_SECONDS, lambda: keep_fresh(runtime), stop, what="refresh of idle grants"
        )

    return (
        Worker(handlers.MEETING, runtime.db, runtime, fulfil).run,
        Worker(handlers.CONNECTION, runtime.db, runtime, follow, hands=1).run,
        freshness,
    )
