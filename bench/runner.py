"""One run: starts what the chosen measures need, measures, stops everything, and returns the findings."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

from aiohttp import ClientError

from bench.load.booking_client import ApiError, BookingClient
from bench.measures.booking_throughput import bookings
from bench.measures.claim_rate import claims
from bench.measures.context import Context, IsolatedMeasure, SystemContext, SystemMeasure
from bench.measures.effect_latency import effects
from bench.measures.free_slots import free_slots
from bench.measures.hot_host import hot
from bench.measures.post_appointment import post
from bench.measures.read_model_rebuild import rebuild
from bench.measures.response_growth import growth
from bench.measures.slot_engine import slots
from bench.measures.sql_statements import statements
from bench.measures.sustained_rate import sustained
from bench.report import machine
from bench.report.findings import Broken, Findings
from bench.report.progress import ProgressReporter
from bench.run_plan import Plan
from bench.systems.full_system import running_system
from bench.systems.idle_watch import IdleWatch
from hoop_platform.clock import Clock
from local.servers.process import CannotStart

ON_FULL_SYSTEM: Mapping[str, SystemMeasure] = {
    "effects": effects,
    "bookings": bookings,
    "sustained": sustained,
}
ISOLATED: Mapping[str, IsolatedMeasure] = {
    "slots": slots,
    "free-slots": free_slots,
    "rebuild": rebuild,
    "growth": growth,
    "post": post,
    "hot": hot,
    "statements": statements,
    "claims": claims,
}
MEASURES: Mapping[str, SystemMeasure | IsolatedMeasure] = {**ON_FULL_SYSTEM, **ISOLATED}
BY_NAME_ALONE = ("statements", "sustained", "claims")
"""Measures that take minutes: a run of everything leaves them out."""
BROKEN = (Broken, CannotStart, ApiError, ClientError, TimeoutError)


async def run(
    plan: Plan, names: Sequence[str], progress: ProgressReporter
) -> tuple[Findings, dict[str, Any]]:
    """Run these measures; return the findings, and the facts about machine, load and revision."""
    findings = Findings()
    about = await observed(_measure(plan, names, progress, findings), findings.problems)
    return findings, {"plan": asdict(plan), **about}


async def attempt(work: Awaitable[None], problems: list[str]) -> None:
    """Await `work`; if it breaks, add the errors to `problems`."""
    try:
        await work
    except* BROKEN as broken:
        problems += [str(one) or repr(one) for one in _distinct(broken)]


async def observed(work: Awaitable[None], problems: list[str]) -> dict[str, Any]:
    """Await `work`; return when, where and under which load it ran.

    What breaks ends `work`, and is added to `problems`. SIGTERM cancels like Ctrl-C.
    """
    current = asyncio.current_task()
    assert current is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
    begun, load = time.monotonic(), machine.load()
    date = f"{Clock().now():%Y-%m-%d %H:%M} UTC"
    await attempt(work, problems)
    return {
        "date": date,
        "seconds": time.monotonic() - begun,
        "git": machine.revision(),
        "machine": machine.facts(),
        "load": machine.between(load, machine.load()),
    }


async def _measure(
    plan: Plan, names: Sequence[str], progress: ProgressReporter, findings: Findings
) -> None:
    context = Context(plan, progress, findings)
    for name in names:
        if name in ISOLATED:
            await ISOLATED[name](context)
    if measures := [ON_FULL_SYSTEM[name] for name in names if name in ON_FULL_SYSTEM]:
        await _measure_on_full_system(measures, context)


async def _measure_on_full_system(measures: Sequence[SystemMeasure], context: Context) -> None:
    plan, progress, findings = context.plan, context.progress, context.findings
    async with AsyncExitStack() as opened:
        progress.line("starting a system of its own (Kafka, PostgreSQL, six services) …")
        opened.callback(progress.line, "stopped")
        facts = await opened.enter_async_context(running_system())
        client = await opened.enter_async_context(BookingClient(facts))
        watch = await IdleWatch.open(facts)
        opened.push_async_callback(watch.close)
        for measure in measures:
            await measure(SystemContext(plan, progress, findings, facts, client, watch))


def _distinct(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """Return the errors in the group, each text once: sixteen clients that were refused alike are one."""
    leaves: list[BaseException] = []
    for one in group.exceptions:
        leaves += _distinct(one) if isinstance(one, BaseExceptionGroup) else [one]
    return list({str(leaf): leaf for leaf in leaves}.values())
