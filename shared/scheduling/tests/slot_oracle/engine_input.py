"""Converts a world of the oracle into arguments of the engine."""

from contextlib import contextmanager

import pytest
from slot_oracle.oracle import World

from hoop_scheduling import grid
from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.rules import SlotRules

MINUTE = 60_000


def rules_of(world: World) -> SlotRules:
    return SlotRules.from_calendar(world.calendar, world.zone, world.schedules, world.resources)


def arguments_of(world: World) -> dict:
    """The arguments `busy`, `seats`, `day_counts` and `now`."""
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
def without_bitmaps():
    """As if every grid needed too long an axis."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid, "MAX_AXIS_SIZE", 0)
        grid._bitmap_grid.cache_clear()
        yield
    grid._bitmap_grid.cache_clear()
