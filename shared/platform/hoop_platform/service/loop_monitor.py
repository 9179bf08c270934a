"""Noticing that something has kept all others waiting: the event loop does one thing at a time."""

import asyncio
import time

from hoop_platform import telemetry
from hoop_platform.telemetry import log
from hoop_platform.timing import pause

LONGEST = 0.2
"""Seconds of processor time; what a busy machine takes from the process is not its fault."""
EVERY = 0.05


async def monitor_loop(stop: asyncio.Event) -> None:
    """Count how often the loop was held for longer, and say so in the log."""
    while not stop.is_set():
        before = time.thread_time()
        await pause(stop, EVERY)
        held = time.thread_time() - before
        if held > LONGEST:
            telemetry.loop_held.inc()
            log.warning("event loop held", seconds=round(held, 3))
