"""Measures how long the event loop is held by one step."""

import asyncio
import time

from hoop_platform import telemetry
from hoop_platform.telemetry import log
from hoop_platform.timing import pause

LONGEST = 0.2
"""Seconds of processor time, so that a busy machine does not count."""
EVERY = 0.05


async def monitor_loop(stop: asyncio.Event) -> None:
    """Count and log each time the loop was held for longer than `LONGEST`."""
    while not stop.is_set():
        before = time.thread_time()
        await pause(stop, EVERY)
        held = time.thread_time() - before
        if held > LONGEST:
            telemetry.loop_held.inc()
            log.warning("event loop held", seconds=round(held, 3))
