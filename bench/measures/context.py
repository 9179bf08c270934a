"""What a measure is: an async function of a context that adds rows, bursts and problems to the findings."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.load.booking_client import BookingClient
from bench.report.findings import Findings
from bench.report.progress import ProgressReporter
from bench.run_plan import Plan
from bench.systems.idle_watch import IdleWatch


@dataclass(frozen=True)
class Context:
    """What every measure gets: the plan, the progress reporter, and the findings to add to."""

    plan: Plan
    progress: ProgressReporter
    findings: Findings


@dataclass(frozen=True)
class SystemContext(Context):
    """What a measure of the full system gets besides: `facts` is the system's stack.json."""

    facts: Mapping[str, Any]
    client: BookingClient
    watch: IdleWatch


SystemMeasure = Callable[[SystemContext], Awaitable[None]]
"""Measures the full system, which runs already."""

IsolatedMeasure = Callable[[Context], Awaitable[None]]
"""Measures one part by itself, and starts the servers that the part needs."""
