"""Turns a world of the oracle into what the engine wants to be told."""

from contextlib import contextmanager

import pytest
from slot_oracle.oracle import World

from hoop_scheduling import grid
from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.rules import SlotRules

MINUTE = 60_000


def rules_of(world: World) -> SlotRules:
    return SlotRules.from_calendar(world.calendar, world.zone, world.schedules, world.resources)


def taken_of(world: World) -> dict:
    """What is taken, and what time it is."""
    return {
        "busy": {owner: busy_of(rows) for owner, rows in world.busy.items()},
        "seats": {
            (host, start * MINUTE): Seats(end * MINUTE, taken)
            for (host, start), (end, taken) in world.sessions.items()
        },
        "day_counts": world.counts,
        "now": world.now * MINUTE,
    }


def busy_of(rows: list[tuple[int, ...]]) -> Busy:
    return Busy.of(tuple(minute * MINUTE for minute in row) for row in rows)


@contextmanager
def lists_only():
    """As if no grid fitted a lattice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid, "MOST_CELLS", 0)
        grid._sheet.cache_clear()
        yield
    grid._sheet.cache_clear()
