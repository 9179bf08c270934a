"""Works on wishes until the provider agrees: claim (committed), call outside any transaction, record."""

import asyncio
from collections.abc import Sequence

from hoop_platform.reconcile.worker import Worker
from hoop_platform.runtime import Runtime
from hoop_platform.service.service import BackgroundTask
from hoop_platform.timing import every
from meetings import handlers
from meetings.jobs.attempt import fulfil
from meetings.jobs.connection import follow, keep_fresh

KEEP_FRESH_SECONDS = 600.0


def jobs(runtime: Runtime) -> Sequence[BackgroundTask]:
    """What runs beside HTTP and the consumer."""

    async def freshness(stop: asyncio.Event) -> None:
        await every(
            KEEP_FRESH_SECONDS, lambda: keep_fresh(runtime), stop, what="refresh of idle grants"
        )

    return (
        Worker(handlers.MEETING, runtime.db, runtime, fulfil).run,
        Worker(handlers.CONNECTION, runtime.db, runtime, follow, concurrency=1).run,
        freshness,
    )
