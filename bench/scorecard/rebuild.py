"""The read model made again from the topics, next to a bare fold and COPY; equal to the live one."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import told
from .alone import Ground, ground, serving
from .measures import Task
from .plan import Broken, Row
from .stats import Pair, score
from .told import Record
from .world import BUSY, Kept, World, busy

CANCELLED = 0.25
"""Of the appointments, so that a fifth of their events are cancellations."""
LATER = 200
"""Appointments between one and its cancellation, about."""
FOLD = Path(__file__).with_name("fold.py")


@dataclass
class _Took:
    """Seconds for each event: on the clock, and of CPU of the program alone."""

    wall: list[Pair] = field(default_factory=list)
    cpu: list[Pair] = field(default_factory=list)


async def rebuild(task: Task) -> None:
    """`availability rebuild` on an empty read model, as a process: its start is included."""
    calendars = min(10_000, task.plan.events // 20)
    world = World([Kept([busy(BUSY, seed)]) for seed in range(1, calendars + 1)])
    took = _Took()
    task.talk.say("starting PostgreSQL and Kafka …")
    async with ground() as under:
        counts = await told.publish(under.bootstrap, history(world, task.plan.events))
        events = counts["appointments"] + counts["calendars"]
        task.talk.say(f"{events} events are in the topics; the live model handles them …")
        live = await _live(under, counts)
        with task.talk.steps("rebuild", task.plan.rounds) as steps:
            for number in range(task.plan.rounds):
                steps.next(f"round {number + 1}")
                found = await _pair(task, under, took, events)
                if found != live:
                    raise Broken(
                        "the rebuilt read model is not the live one: " + _first(found, live)
                    )
    task.found.rows += _rows(took)


def history(world: World, events: int) -> Iterator[Record]:
    """Calendars, then appointments of all of them in turn; some are cancelled somewhat later."""
    dice, alive = random.Random(1), list[Record]()
    yield from world.offers()
    count = len(world.calendars)
    for created in world.bookings():
        if count >= events:
            return
        count += 1
        yield created
        if dice.random() < CANCELLED:
            alive.append(created)
        if len(alive) > LATER * CANCELLED and count < events:
            count += 1
            yield world.cancelled(alive.pop(dice.randrange(len(alive))))


async def _live(under: Ground, counts: Mapping[str, int]) -> bytes:
    """What the service itself made of the same events, one batch after the other."""
    dsn = await under.database("live", "availability")
    async with serving(under, dsn):
        await told.handled(dsn, {name: counts[name] for name in ("calendars", "appointments")})
    dump = await _dump(under, dsn)
    if dump.count(b"\n") < counts["calendars"]:
        raise Broken(f"the live model's dump has only {len(dump)} bytes")
    return dump


async def _pair(task: Task, under: Ground, took: _Took, events: int) -> bytes:
    """One rebuild and one floor, each into an empty database; gives the rebuilt model's dump."""
    dsn = await under.database("rebuilt", "availability")
    ours = await under.timed(dsn, "-m", "availability", "rebuild")
    bare = await under.database("bare", "availability")
    floor = await under.timed(bare, str(FOLD), under.bootstrap, bare)
    if int(floor.said) != events:
        raise Broken(f"the floor read {floor.said!r} events instead of {events}")
    took.wall.append(Pair(ours.seconds / events, floor.seconds / events))
    took.cpu.append(Pair(ours.cpu / events, floor.cpu / events))
    task.found.bursts.append(
        {
            "measure": "rebuild",
            "events": events,
            "ours_seconds": ours.seconds,
            "floor_seconds": floor.seconds,
            "ours_cpu_seconds": ours.cpu,
            "floor_cpu_seconds": floor.cpu,
        }
    )
    return await _dump(under, dsn)


async def _dump(under: Ground, dsn: str) -> bytes:
    return await under.run(dsn, "availability", "dump", "--canonical")


def _first(one: bytes, other: bytes) -> str:
    """Where two dumps begin to differ."""
    for mine, theirs in zip(one.splitlines(), other.splitlines(), strict=False):
        if mine != theirs:
            return f"{mine[:300]!r} instead of {theirs[:300]!r}"
    return f"{len(one.splitlines())} lines instead of {len(other.splitlines())}"


def _rows(took: _Took) -> list[Row]:
    wall, spent = score(took.wall), score(took.cpu)
    return [
        Row(
            "rebuild",
            "rebuilt from the topics, start included",
            "/s",
            ours=1 / wall.ours,
            floor=1 / wall.floor,
            ratio=1 / wall.ratio,
            kept=wall.kept,
        ),
        Row(
            "rebuild",
            "CPU of an event, the program alone",
            "CPU µs",
            ours=spent.ours * 1e6,
            floor=spent.floor * 1e6,
            ratio=spent.ratio,
            kept=spent.kept,
        ),
    ]
