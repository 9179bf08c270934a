"""One comparison of this tree with an older commit: trees, systems, measures, findings."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from typing import Any

from bench.against import checkout
from bench.against.http_bookings import bookings, effects, sustained
from bench.against.http_free_slots import free_slots
from bench.against.http_post import hot, post
from bench.against.own_code import BY_OWN_CODE, compare_by_own_code
from bench.against.pairing import Comparison
from bench.against.sides import PairContext, Side, running_side
from bench.measures.booking_throughput import cpu_at_rest
from bench.report.machine import ROOT
from bench.report.progress import ProgressReporter
from bench.run_plan import Plan
from bench.runner import attempt, observed

OVER_HTTP: Mapping[str, Callable[[PairContext], Awaitable[None]]] = {
    "effects": effects,
    "bookings": bookings,
    "sustained": sustained,
    "free-slots": free_slots,
    "post": post,
    "hot": hot,
}
COMPARED = (*OVER_HTTP, *BY_OWN_CODE)
"""Measures of two commits."""


async def compare(
    plan: Plan, names: Sequence[str], ref: str, progress: ProgressReporter, *, dirty: bool
) -> tuple[Comparison, dict[str, Any]]:
    """Compare by these measures; return the pairs, and the facts about machine, load and commits.

    A measure that breaks is among the problems, and the others go on.
    `checkout.Unusable` if the commit is unknown or has no environment, or this tree has changes.
    """
    sha = checkout.resolve(ref)
    if not dirty:
        checkout.check_clean()
    progress.line(f"preparing the tree of {ref} and its environment …")
    tree = await asyncio.to_thread(checkout.tree_of, sha)
    await asyncio.to_thread(checkout.prepare_environment, tree)
    sides = (Side("ours", ROOT), Side(sha[: checkout.SHORT], tree))
    comparison = Comparison()
    about = await observed(_measure(plan, names, sides, progress, comparison), comparison.problems)
    against = {"ref": ref, "revision": sha}
    return comparison, {"plan": asdict(plan), "against": against, **about}


async def _measure(
    plan: Plan,
    names: Sequence[str],
    sides: tuple[Side, Side],
    progress: ProgressReporter,
    comparison: Comparison,
) -> None:
    for name in names:
        if name in BY_OWN_CODE:
            work = compare_by_own_code(name, plan, sides, progress, comparison)
            await attempt(work, comparison.problems)
    over_http = [name for name in names if name in OVER_HTTP]
    if over_http:
        await _measure_over_http(plan, over_http, sides, progress, comparison)


async def _measure_over_http(
    plan: Plan,
    names: Sequence[str],
    sides: tuple[Side, Side],
    progress: ProgressReporter,
    comparison: Comparison,
) -> None:
    """Run the systems of both sides from the first of these measures to the last."""
    async with AsyncExitStack() as opened:
        opened.callback(progress.line, "both systems are stopped")
        running = []
        for side in sides:
            progress.line(f"starting the system of {side.name} (Kafka, PostgreSQL, six services) …")
            running.append(await opened.enter_async_context(running_side(side)))
        ours, theirs = [replace(one, at_rest=await cpu_at_rest(one.facts)) for one in running]
        for name in names:
            progress.line(f"{name}: data for both systems …")
            work = OVER_HTTP[name](PairContext(plan, progress, comparison, ours, theirs))
            await attempt(work, comparison.problems)
