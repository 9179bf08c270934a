"""SQL statements of one booking with Zoom, Google and two mails, and of a second at rest, by service."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from bench.load.booking_client import BookingClient, Calendars
from bench.measures.context import Context
from bench.measures.statement_counts import (
    Statement,
    Window,
    each_booking,
    frequent,
    per_booking,
    per_second,
    window,
)
from bench.report.findings import Row
from bench.systems.full_system import running_system
from bench.systems.settled import SettledWatch, settled_watch
from bench.systems.statement_counter import StatementCounter

HOSTS = 10
WINDOW = 4.0
"""Seconds of a booking's window, at least: loops that look ever more rarely are at rest by then."""
TAIL = 1.5  # seconds of the window after everything has settled, at least
TEXT = 150  # characters of a statement that are printed


@dataclass
class _Run:
    """The system under measurement, and what was counted in it."""

    context: Context
    counter: StatementCounter
    client: BookingClient
    watch: SettledWatch
    booked: int = 0
    bookings: list[Window] = field(default_factory=list)
    rest: list[Window] = field(default_factory=list)
    texts: Mapping[Statement, str] = field(default_factory=dict)

    @property
    def services(self) -> list[str]:
        return list(self.counter.services.values())

    async def count(self, work: Callable[[], Awaitable[None]]) -> Window:
        """Return what was run while `work` was done."""
        before, begun = await self.counter.read(), time.perf_counter()
        await work()
        return window(time.perf_counter() - begun, before, await self.counter.read())

    async def book(self, calendars: Calendars) -> None:
        """Book one slot; return when nothing of it is owed and the window is over."""
        begun = time.perf_counter()
        await self.client.book(calendars)
        self.booked += 1
        await self.watch.wait(bookings=self.booked)
        await asyncio.sleep(max(TAIL, begun + WINDOW - time.perf_counter()))


async def statements(context: Context) -> None:
    """Book one at a time, with everything settled in between; rest is counted before and after."""
    context.progress.line("starting a system that counts statements …")
    async with AsyncExitStack() as opened:
        facts = await opened.enter_async_context(running_system(counted=True))
        counter = await StatementCounter.open(facts)
        opened.push_async_callback(counter.close)
        client = await opened.enter_async_context(BookingClient(facts))
        watch = await opened.enter_async_context(settled_watch(counter.facts))
        run = _Run(context, counter, client, watch)
        await _count(run)
    context.findings.rows += [*_booking_rows(run), *_rest_rows(run)]
    context.findings.bursts.append(_noted(run))
    context.findings.listings += _listing(run, context.plan.top)


async def _count(run: _Run) -> None:
    plan = run.context.plan
    calendars = await run.client.create_calendars(HOSTS, connected=True)
    for _ in range(HOSTS):  # access tokens, connections, prepared statements
        await run.client.book(calendars)
    run.booked += HOSTS
    await run.watch.wait(bookings=run.booked)
    await asyncio.sleep(WINDOW)
    with run.context.progress.steps("statements", plan.bookings + 2) as steps:
        steps.next("at rest")
        run.rest.append(await run.count(lambda: asyncio.sleep(plan.rest)))
        for number in range(plan.bookings):
            steps.next(f"booking {number + 1}")
            run.bookings.append(await run.count(lambda: run.book(calendars)))
        steps.next("at rest")
        run.rest.append(await run.count(lambda: asyncio.sleep(plan.rest)))
    run.texts = await run.counter.texts()


def _booking_rows(run: _Run) -> list[Row]:
    total = per_booking(run.bookings, run.rest, run.services)
    rows = [_row("a booking, all services (aim 90, moonshot 45)", "statements", total)]
    rows += [
        _row(f"  {name}", "statements", per_booking(run.bookings, run.rest, [name]))
        for name in run.services
    ]
    others = {one.service for each in run.bookings for one in each.calls} - {*run.services}
    return [
        *rows,
        _row(
            "  beside: other databases", "statements", per_booking(run.bookings, run.rest, others)
        ),
    ]


def _rest_rows(run: _Run) -> list[Row]:
    total = per_second(run.rest, run.services)
    rows = [_row("a second at rest, all services (aim 5, moonshot 1)", "statements/s", total)]
    return rows + [
        _row(f"  {name}, at rest", "statements/s", per_second(run.rest, [name]))
        for name in run.services
    ]


def _row(name: str, unit: str, value: float) -> Row:
    return Row("statements", name, unit, value)


def _noted(run: _Run) -> dict[str, object]:
    """Return single bookings, and every statement with its text, for the JSON file."""
    return {
        "measure": "statements",
        "each_booking": {
            name: each_booking(run.bookings, run.rest, [name]) for name in run.services
        },
        "seconds": [one.seconds for one in run.bookings],
        "statements": [
            {"service": one.service, "booking": calls, "rest": a_second, "text": run.texts[one]}
            for one, calls, a_second in _known(run)
        ],
    }


def _listing(run: _Run, top: int) -> list[str]:
    """Return the `top` most frequent statements of each service, as lines."""
    lines = []
    for name in run.services if top else ():
        lines += [f"{name}: calls in a booking, calls in a second at rest, statement"]
        of_service = [each for each in _known(run) if each[0].service == name]
        shown = [each for each in of_service if each[1] >= 0.05 or each[2] >= 0.05]
        lines += [_line(each, run.texts) for each in shown[:top]]
    return lines


def _known(run: _Run) -> Sequence[tuple[Statement, float, float]]:
    return [each for each in frequent(run.bookings, run.rest) if each[0] in run.texts]


def _line(each: tuple[Statement, float, float], texts: Mapping[Statement, str]) -> str:
    statement, calls, a_second = each
    return f"  {max(calls, 0.0):6.1f} {a_second:6.2f}  {texts[statement][:TEXT]}"
