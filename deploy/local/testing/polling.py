"""Polling with a deadline, for tests: no test sleeps for a fixed time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Result = TypeVar("Result")


async def eventually(condition: Callable[[], Awaitable[Result]], *, within: float = 10.0) -> Result:
    """The first truthy result of `condition`, called repeatedly; fails after `within` seconds."""
    deadline = time.monotonic() + within
    while not (result := await condition()):
        assert time.monotonic() < deadline, f"{condition} returned {result!r} for {within} s"
        await asyncio.sleep(0.02)
    return result
