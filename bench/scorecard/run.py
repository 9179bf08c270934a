"""One run: start a system, measure what was asked for, stop it, and say what was found."""

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

from aiohttp import ClientError

from hoop_platform.clock import Clock
from local.demo.demo_data import SetupFailed
from local.servers.process import CannotStart

from . import machine, stack
from .bookings import bookings
from .desk import Desk
from .effects import effects
from .free_slots import free_slots
from .growth import growth
from .hot import hot
from .measures import Alone, Bench, Measure, Task
from .plan import Broken, Findings, Plan
from .post import post
from .quiet import Watch
from .rebuild import rebuild
from .slots import slots
from .talk import Talk

WHOLE: Mapping[str, Measure] = {"effects": effects, "bookings": bookings}
ALONE: Mapping[str, Alone] = {
    "slots": slots,
    "free-slots": free_slots,
    "rebuild": rebuild,
    "growth": growth,
    "post": post,
    "hot": hot,
}
MEASURES: Mapping[str, Measure | Alone] = {**WHOLE, **ALONE}
BROKEN = (Broken, CannotStart, SetupFailed, ClientError, TimeoutError)


async def run(plan: Plan, names: Sequence[str], talk: Talk) -> tuple[Findings, dict[str, Any]]:
    """Measure; what breaks ends its measure, and is among the problems. SIGTERM ends it like Ctrl-C."""
    myself = asyncio.current_task()
    assert myself is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, myself.cancel)
    found, begun, load = Findings(), time.monotonic(), machine.load()
    about: dict[str, Any] = {"date": f"{Clock().now():%Y-%m-%d %H:%M} UTC", "plan": asdict(plan)}
    try:
        await _measure(plan, names, talk, found)
    except* BROKEN as broken:
        found.problems += [str(one) or repr(one) for one in _leaves(broken)]
    about |= {
        "seconds": time.monotonic() - begun,
        "git": machine.revision(),
        "machine": machine.facts(),
        "load": machine.between(load, machine.load()),
    }
    return found, about


async def _measure(plan: Plan, names: Sequence[str], talk: Talk, found: Findings) -> None:
    for name in names:
        if name in ALONE:
            await ALONE[name](Task(plan, talk, found))
    if whole := [WHOLE[name] for name in names if name in WHOLE]:
        await _measure_whole(plan, whole, talk, found)


async def _measure_whole(
    plan: Plan, measures: Sequence[Measure], talk: Talk, found: Findings
) -> None:
    async with AsyncExitStack() as opened:
        talk.say("starting a system of its own (Kafka, PostgreSQL, six services) …")
        opened.callback(talk.say, "stopped")
        facts = await opened.enter_async_context(stack.running())
        desk = await opened.enter_async_context(Desk(facts))
        watch = await Watch.open(facts)
        opened.push_async_callback(watch.close)
        for measure in measures:
            await measure(Bench(plan, talk, found, facts, desk, watch))


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """Each problem once: sixteen clients that were refused alike are one."""
    leaves: list[BaseException] = []
    for one in group.exceptions:
        leaves += _leaves(one) if isinstance(one, BaseExceptionGroup) else [one]
    return list({str(leaf): leaf for leaf in leaves}.values())
