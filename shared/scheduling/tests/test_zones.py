"""Local days and offsets of the engine, compared with those of `zoneinfo`."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from json import loads
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoop_scheduling.hours import OpeningHours, OpeningPlan
from hoop_scheduling.listing import list_slots
from hoop_scheduling.rules import Host, SlotRules
from hoop_scheduling.zones import (
    DAY,
    MINUTE,
    day_number,
    day_of,
    day_stretches,
    epoch_ms,
    is_zone,
    later,
    spans_at_most,
    utc_datetime,
    zone_named,
)

QUARTER = 15 * MINUTE
OPENINGS = ((75, 195), (1380, 1440))
FIRST, LAST = date(2024, 1, 1), date(2037, 12, 31)
ZONES = sorted(available_timezones() - {"localtime", "posixrules"})


def offset_on(zone, day):
    """The UTC offset at noon UTC of that day."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return noon.astimezone(ZoneInfo(zone)).utcoffset()


def days_of_change(zone):
    """Both dates that a change from 2024 to 2037 may touch; no two changes are within a week."""
    week = [FIRST + timedelta(days=days) for days in range(8)]
    while week[0] < LAST:
        if offset_on(zone, week[0]) != offset_on(zone, week[-1]):
            for days in pairwise(week):
                if offset_on(zone, days[0]) != offset_on(zone, days[1]):
                    yield from days
        week = [day + timedelta(days=7) for day in week]


def quarters_by_hand(zone, day):
    """Every quarter of an hour that shows that date and a time within one of the openings."""
    info, midnight = ZoneInfo(zone), datetime(day.year, day.month, day.day, tzinfo=UTC)
    local = [
        (midnight + timedelta(minutes=15 * quarter)).astimezone(info) for quarter in range(-60, 156)
    ]
    return [
        at
        for at in local
        if at.date() == day
        and any(opens <= at.hour * 60 + at.minute < closes for opens, closes in OPENINGS)
    ]


@pytest.mark.parametrize("initial", sorted({zone[0] for zone in ZONES}))
def test_every_zone_at_every_change_of_its_clocks(initial):
    """The slots on the days around each change of the offset, 2024 to 2037."""
    for zone in (zone for zone in ZONES if zone[0] == initial):
        host = Host("ada", OpeningPlan((OpeningHours(zone, (OPENINGS,) * 7),)))
        rules = SlotRules("cal", zone, (host,), length=QUARTER, step=QUARTER)
        for day in days_of_change(zone):
            stretches = day_stretches(zone, day_number(day))
            window = (stretches[0][0], stretches[-1][1])
            found = list_slots(rules, busy={}, window=window, now=0, zone=zone)
            slots = [at.isoformat() for at in quarters_by_hand(zone, day)]
            assert loads(found) == {day.isoformat(): {"slots": slots}}, (zone, day)


@pytest.mark.parametrize(
    ("day", "hours"), [("2027-03-14", 23), ("2027-11-07", 25), ("2027-06-01", 24)]
)
def test_days_are_local_days(day, hours):
    """Of 23, 25 or 24 hours in New York."""
    stretches = day_stretches("America/New_York", day_number(date.fromisoformat(day)))

    assert sum(end - start for start, end, _ in stretches) == hours * 60 * MINUTE


def test_the_day_of_an_instant_is_what_the_clocks_show():
    """Half past four in the morning UTC is still the day before in New York."""
    instant = epoch_ms(datetime(2027, 3, 2, 4, 30, tzinfo=UTC))

    assert day_of(instant, "America/New_York") == date(2027, 3, 1)
    assert day_of(instant, "UTC") == date(2027, 3, 2)
    assert utc_datetime(instant) == datetime(2027, 3, 2, 4, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("UTC", True),
        ("America/Argentina/Buenos_Aires", True),
        ("US/Eastern", True),
        ("Etc/GMT+5", True),
        ("localtime", False),
        ("posixrules", False),
        ("right/UTC", False),
        ("posix/UTC", False),
        ("america/new_york", False),
        ("../etc/passwd", False),
        ("", False),
    ],
)
def test_the_names_of_zones(name, known):
    """Those of the database, links and three parts included, and no file beside them."""
    assert is_zone(name) is known


def test_an_unknown_zone_is_refused_by_name():
    """Nothing is computed in a zone that does not exist."""
    with pytest.raises(ValueError, match="Mars/Olympus"):
        zone_named("Mars/Olympus")


@pytest.mark.parametrize(
    ("count", "unit", "shown"),
    [
        (90, "mins", "2027-03-14T03:30:00-04:00"),
        (2, "hours", "2027-03-14T04:00:00-04:00"),
        (1, "days", "2027-03-15T01:00:00-04:00"),
        (1.5, "days", "2027-03-15T13:00:00-04:00"),
        (2, "weeks", "2027-03-28T01:00:00-04:00"),
        (9, "months", "2027-12-14T01:00:00-05:00"),
        (12, "months", "2028-03-14T01:00:00-04:00"),
    ],
)
def test_later_is_elapsed_time_for_hours_and_local_time_for_days(count, unit, shown):
    """From one in the morning of the day that loses an hour."""
    now = epoch_ms(datetime(2027, 3, 14, 6, 0, tzinfo=UTC))

    then = later(now, count, unit, "America/New_York")

    assert utc_datetime(then, "America/New_York").isoformat() == shown


def test_a_month_after_the_last_day_of_a_month():
    """The day that the next month does not have is its last."""
    now = epoch_ms(datetime(2028, 1, 31, 12, tzinfo=UTC))

    assert utc_datetime(later(now, 1, "months", "UTC")).date() == date(2028, 2, 29)


def test_a_change_at_the_border_of_cached_chunks_is_found():
    """Offsets are cached for 512 days each; one such chunk ends with a change in Nuuk, in 1995."""
    border = 18 * 512 * DAY
    for zone in ("America/Nuuk", "America/New_York"):
        for instant in range(border - 2 * DAY, border + 2 * DAY, QUARTER):
            local = datetime.fromtimestamp(instant / 1000, ZoneInfo(zone))
            (offset,) = (
                offset
                for start, end, offset in day_stretches(zone, day_number(local.date()))
                if start <= instant < end
            )
            assert timedelta(milliseconds=offset) == local.utcoffset()
            assert day_of(instant, zone) == local.date()


@given(
    st.sampled_from(["America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
    st.integers(0, 366 * 6 * DAY),
    st.integers(0, 400),
)
@settings(max_examples=300)
def test_days_later_are_what_python_says(zone, since, days):
    """Near a change of the clocks and far from it."""
    now = epoch_ms(datetime(2024, 1, 1, tzinfo=UTC)) + since

    local = datetime.fromtimestamp(now / 1000, UTC).astimezone(ZoneInfo(zone))

    expected = (local + timedelta(days=days)).astimezone(UTC).timestamp() * 1000
    assert abs(later(now, days, "days", zone) - expected) < 1


@pytest.mark.parametrize(
    ("zone", "first", "hours", "fits"),
    [
        ("Europe/Berlin", date(2027, 10, 1), 31 * 24 + 1, True),
        ("Europe/Berlin", date(2027, 10, 1), 31 * 24 + 2, False),
        ("Europe/Berlin", date(2027, 3, 1), 31 * 24, True),
        ("Europe/Berlin", date(2027, 3, 1), 31 * 24 + 1, False),
        ("UTC", date(2027, 10, 1), 31 * 24, True),
        ("UTC", date(2027, 10, 1), 31 * 24 + 1, False),
        ("Asia/Kolkata", date(2027, 10, 1), 31 * 24 + 1, False),
    ],
)
def test_31_days_by_the_clock_or_by_elapsed_time(zone, first, hours, fits):
    """Where the clocks go back, an hour more; where they go forward, no hour less."""
    start = epoch_ms(datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(zone)))
    assert spans_at_most(31, start, start + hours * 60 * MINUTE, zone) is fits
