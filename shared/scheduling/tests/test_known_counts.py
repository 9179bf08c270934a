"""Known counts of slots, on which independent programs agree."""

from json import loads

import pytest
from slot_oracle.workload import COUNTS, DAY, FIRST, ZONE, office_hours, team

from hoop_scheduling.formatting import format_starts
from hoop_scheduling.listing import free_slots, free_starts, list_slots


@pytest.mark.parametrize(("size", "days", "count", "mode", "slots"), COUNTS)
def test_the_slots_of_the_workload(size, days, count, mode, slots):
    """Over a month and a quarter, alone and in teams, with few and with many busy times."""
    busy = team(size, days=days, count=count)
    rules = office_hours(list(busy), together=mode == "all")
    window = (FIRST, FIRST + days * DAY)

    starts = free_starts(rules, busy=busy, window=window, now=FIRST)
    named = free_slots(rules, busy=busy, window=window, now=FIRST)
    listed = loads(list_slots(rules, busy=busy, window=window, now=FIRST, zone=ZONE))

    assert len(starts) == slots
    assert [slot.start for slot in named] == starts
    assert {day: found["slots"] for day, found in listed.items()} == format_starts(starts, ZONE)
