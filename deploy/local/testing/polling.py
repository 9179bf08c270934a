"""Polling with a deadline: tests wait for what must come true, and never sleep."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Result = TypeVar("Result")


async def eventually(question: Callable[[], Awaitable[Result]], *, within: float = 10.0) -> Result:
    """Ask again until the answer is true in the sense of Python, and give it; fail after seconds."""
    deadline = time.monotonic() + within
    while not (answer := await question()):
        assert time.monotonic() < deadline, f"{question} answered {answer!r} for {within} s"
        await asyncio.sleep(0.02)
    return answer
