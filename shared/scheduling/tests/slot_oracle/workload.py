"""The workload on which slot computation is measured, and its known counts of slots.

Half-hour slots, Monday to Friday from nine to five in New York, from 1 March 2027, so that a month
crosses the change of clocks of 14 March; people busy at random, by day and by night, for 15 to 60
minutes. Cal.com, Thunderbird Appointment and several programs of our own agree on the counts.
"""

import random
from datetime import datetime
from zoneinfo import ZoneInfo

from hoop_scheduling.busy import Busy
from hoop_scheduling.rules import SlotRules
from hoop_scheduling.zones import epoch_ms

ZONE = "America/New_York"
FIRST = epoch_ms(datetime(2027, 3, 1, tzinfo=ZoneInfo(ZONE)))
MINUTE = 60_000
DAY = 1440 * MINUTE

COUNTS = [
    # members, days, busy times each, together or any of them: slots
    (1, 30, 0, "any", 352),
    (1, 30, 100, "any", 301),
    (1, 30, 1000, "any", 65),
    (1, 90, 0, "any", 1040),
    (1, 90, 100, "any", 1002),
    (1, 90, 1000, "any", 643),
    (10, 30, 100, "any", 352),
    (10, 30, 1000, "any", 317),
    (10, 30, 100, "all", 81),
    (10, 30, 1000, "all", 0),
    (50, 30, 100, "any", 352),
    (50, 30, 100, "all", 0),
]


def busy_times(count: int, *, days: int, seed: int) -> Busy:
    """`count` busy times of one person, the same for the same seed."""
    dice = random.Random(seed)
    found = []
    for _ in range(count):
        day, minute = dice.randrange(days), dice.randrange(0, 1440, 5)
        start = FIRST + day * DAY + minute * MINUTE
        found.append((start, start + dice.choice([15, 30, 45, 60]) * MINUTE))
    return Busy.of(found)


def team(size: int, *, days: int, count: int) -> dict[str, Busy]:
    """The busy times of a person alone, or of each member of a team."""
    if size == 1:
        return {"member-0": busy_times(count, days=days, seed=1)}
    return {
        f"member-{index}": busy_times(count, days=days, seed=100 + index) for index in range(size)
    }


def office_hours(members: list[str], *, together: bool = False) -> SlotRules:
    """The rules of a calendar with these members, open from nine to five."""
    nine_to_five = {"openHour": 9, "openMinute": 0, "closeHour": 17, "closeMinute": 0}
    calendar = {
        "id": "calendar",
        "calendarType": "collective" if together else "round_robin",
        "teamMembers": [{"userId": member} for member in members],
        "openHours": [{"daysOfTheWeek": [1, 2, 3, 4, 5], "hours": [nine_to_five]}],
    }
    return SlotRules.from_calendar(calendar, ZONE)
