"""Recurrence rules: what is read, what is refused, and which times come of it."""

import time
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booking.domain.recurrence import MAX_DAYS, RecurrenceRule, parse_rule, starts
from booking.domain.series import occurrence_id
from hoop_platform.errors import Invalid
from hoop_platform.ids import is_id, new_id, row_id

START = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)  # a Monday, 09:00 in New York
YEAR = START + timedelta(days=366)
ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")


def local(rule: str, start: datetime = START, *, zone: str = "America/New_York") -> list[str]:
    """The local dates and times of a rule's occurrences."""
    found = starts(parse_rule(rule), start, zone=zone, latest=start + timedelta(days=366))
    return [f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for moment in found]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "unknown_part"),
        ("FREQ=SECONDLY;COUNT=2", "freq"),
        ("FREQ=MINUTELY;COUNT=2", "freq"),
        ("FREQ=HOURLY;COUNT=2", "freq"),
        ("FREQ=YEARLY;COUNT=2", "freq"),
        ("COUNT=2", "freq"),
        ("FREQ=DAILY", "count"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270310", "count"),
        ("FREQ=DAILY;COUNT=0", "count"),
        ("FREQ=DAILY;COUNT=25", "count"),
        ("FREQ=DAILY;COUNT=-1", "count"),
        ("FREQ=DAILY;COUNT=2;COUNT=3", "count"),
        ("FREQ=DAILY;COUNT=2;INTERVAL=0", "interval"),
        ("FREQ=DAILY;COUNT=2;INTERVAL=-1", "interval"),
        ("FREQ=DAILY;COUNT=2;INTERVAL=1000000000", "interval"),
        ("FREQ=DAILY;COUNT=2;BYDAY=MO", "byday"),
        ("FREQ=WEEKLY;COUNT=2;BYDAY=1MO", "byday"),
        ("FREQ=WEEKLY;COUNT=2;BYDAY=MO,MO", "byday"),
        ("FREQ=WEEKLY;COUNT=2;BYDAY=" + "MO," * 100, "byday"),
        ("FREQ=WEEKLY;COUNT=2;BYDAY=", "byday"),
        ("FREQ=WEEKLY;COUNT=2;BYMONTHDAY=1", "bymonthday"),
        ("FREQ=MONTHLY;COUNT=2;BYMONTHDAY=-1", "bymonthday"),
        ("FREQ=MONTHLY;COUNT=2;BYMONTHDAY=32", "bymonthday"),
        ("FREQ=MONTHLY;COUNT=2;BYMONTHDAY=30;BYMONTH=2", "unknown_part"),
        ("FREQ=WEEKLY;COUNT=2;WKST=SU", "unknown_part"),
        ("FREQ=DAILY;COUNT=2;BYSETPOS=1", "unknown_part"),
        ("FREQ=DAILY;COUNT=2;BYEASTER=0", "unknown_part"),
        ("DTSTART:20270301T090000\nRRULE:FREQ=DAILY;COUNT=2", "unknown_part"),
        ("FREQ=DAILY;COUNT=2\r\nEXRULE:FREQ=DAILY", "count"),
        ("FREQ=DAILY;UNTIL=20270310T090000", "until"),
        ("FREQ=DAILY;UNTIL=20270231", "until"),
        ("FREQ=DAILY;UNTIL=2027", "until"),
        ("FREQ=DAILY;UNTIL=20270228", "until"),
        ("FREQ=DAILY;UNTIL=20280401", "until"),
        ("FREQ=DAILY;UNTIL=20270901", "until"),
        ("FREQ=WEEKLY;COUNT=2;BYDAY=TU", "start"),
        ("FREQ=MONTHLY;COUNT=2;BYMONTHDAY=30", "start"),
        ("FREQ=MONTHLY;COUNT=24;INTERVAL=300", "count"),
    ],
)
def test_what_is_no_rule_of_ours(text: str, part: str) -> None:
    """Refused as `rrule`, naming the part, at once."""
    began = time.perf_counter()
    with pytest.raises(Invalid) as refused:
        starts(parse_rule(text), START, zone="America/New_York", latest=YEAR)
    assert time.perf_counter() - began < 0.05
    [detail] = refused.value.details
    assert (detail.path, detail.code) == ("rrule", part)


def test_how_a_rule_may_be_written() -> None:
    """With the name before it, in small letters, with a semicolon at the end."""
    texts = ("RRULE:FREQ=DAILY;COUNT=3", "freq=daily;count=3", "FREQ=DAILY;COUNT=3;")
    assert {parse_rule(text) for text in texts} == {parse_rule("FREQ=DAILY;COUNT=3")}


def test_weekdays_count_from_monday() -> None:
    every_other_week = "FREQ=WEEKLY;INTERVAL=2;BYDAY=WE,MO;COUNT=5"
    days = ["03-01", "03-03", "03-15", "03-17", "03-29"]
    assert local(every_other_week) == [f"2027-{day} 09:00" for day in days]


def test_until_is_the_last_day_there() -> None:
    """A date means until its end where the location is; an instant means that instant."""
    late = datetime(2027, 3, 2, 4, 0, tzinfo=UTC)  # Monday, 23:00 in New York
    assert len(local("FREQ=DAILY;UNTIL=20270303", late)) == 3
    assert len(local("FREQ=DAILY;UNTIL=20270304T040000Z", late)) == 3
    assert len(local("FREQ=DAILY;UNTIL=20270304T035959Z", late)) == 2


def test_month_ends_are_skipped() -> None:
    """The 31st comes every other month or so; none is moved to another day."""
    start = datetime(2027, 1, 31, 14, 0, tzinfo=UTC)
    months = ["2027-01", "2027-03", "2027-05", "2027-07", "2027-08", "2027-10"]
    assert local("FREQ=MONTHLY;COUNT=6", start) == [f"{month}-31 09:00" for month in months]
    leap = datetime(2028, 2, 29, 14, 0, tzinfo=UTC)
    assert local("FREQ=MONTHLY;INTERVAL=12;COUNT=2", leap) == [
        "2028-02-29 09:00",
        "2032-02-29 09:00",
    ]


def test_the_clock_keeps_its_time() -> None:
    """Nine o'clock stays nine o'clock when the clocks go forward; the instant moves."""
    found = starts(parse_rule("FREQ=WEEKLY;COUNT=3"), START, zone="America/New_York", latest=YEAR)
    assert [moment.hour for moment in found] == [14, 14, 13]


def test_a_time_that_the_clocks_skip_is_none() -> None:
    """Half past two does not exist on 14 March in New York: that day is left out and not counted."""
    start = datetime(2027, 3, 13, 7, 30, tzinfo=UTC)
    days = ["03-13", "03-15", "03-16"]
    assert local("FREQ=DAILY;COUNT=3", start) == [f"2027-{day} 02:30" for day in days]


def test_a_time_that_the_clocks_repeat_is_the_first() -> None:
    """But a series that begins at the second stays there."""
    before = datetime(2027, 11, 6, 5, 30, tzinfo=UTC)  # 01:30, twice on the next day
    found = starts(parse_rule("FREQ=DAILY;COUNT=2"), before, zone="America/New_York", latest=YEAR)
    assert found[1] == before + timedelta(days=1)
    second = datetime(2027, 11, 7, 6, 30, tzinfo=UTC)
    found = starts(parse_rule("FREQ=DAILY;COUNT=2"), second, zone="America/New_York", latest=YEAR)
    assert found == [second, datetime(2027, 11, 8, 6, 30, tzinfo=UTC)]


RULES = st.builds(
    RecurrenceRule,
    text=st.just(""),
    freq=st.sampled_from(("DAILY", "WEEKLY", "MONTHLY")),
    interval=st.integers(1, 40),
    count=st.integers(1, 24),
    week_days=st.sets(st.integers(0, 6)).map(lambda days: tuple(sorted(days))),
    month_days=st.sets(st.integers(1, 31), max_size=5).map(lambda days: tuple(sorted(days))),
)
MINUTES = st.integers(0, 4 * 366 * 24 * 60)


def _names(rule: RecurrenceRule, first: date, day: date) -> bool:
    """Whether the rule names the day: the definition, without any stepping."""
    if rule.freq == "DAILY":
        return (day - first).days % rule.interval == 0
    if rule.freq == "WEEKLY":
        mondays = [one - timedelta(days=one.weekday()) for one in (first, day)]
        weeks = (mondays[1] - mondays[0]).days // 7
        wanted = rule.week_days or (first.weekday(),)
        return weeks % rule.interval == 0 and day.weekday() in wanted
    months = (day.year - first.year) * 12 + day.month - first.month
    return months % rule.interval == 0 and day.day in (rule.month_days or (first.day,))


def _expected(rule: RecurrenceRule, start: datetime, zone: ZoneInfo) -> list[datetime] | None:
    """Day after day from the first; None when there are not so many, or the first is none."""
    here, found, count = start.astimezone(zone), [start], rule.count or 0
    if not _names(rule, here.date(), here.date()):
        return None
    for ahead in range(1, MAX_DAYS + 1):
        day = here.date() + timedelta(days=ahead)
        there = datetime.combine(day, here.time().replace(fold=0), zone).astimezone(UTC)
        exists = there.astimezone(zone).replace(fold=0).time() == here.time().replace(fold=0)
        if len(found) < count and exists and _names(rule, here.date(), day):
            found.append(there)
    return found if len(found) == count else None


@settings(max_examples=150, deadline=None)
@given(rule=RULES, minutes=MINUTES, zone=st.sampled_from(ZONES))
def test_every_rule_means_what_it_says(rule: RecurrenceRule, minutes: int, zone: str) -> None:
    """Compared with looking at each day on its own."""
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    expected = _expected(rule, start, ZoneInfo(zone))
    try:
        found = starts(rule, start, zone=zone, latest=start)
    except Invalid:
        found = None
    assert found == expected


def test_ids_of_occurrences() -> None:
    """Known from outside and inside without looking anything up; nothing else is an id."""
    master = new_id()
    public = occurrence_id(master, START, timedelta(minutes=30))
    assert public == f"{master}_1803909600000_1800"
    inside = row_id(public)
    assert inside is not None
    assert is_id(inside)
    assert row_id(public) == inside
    assert row_id(occurrence_id(master, START, timedelta(minutes=60))) != inside
    assert row_id(master) == master
    for violations in ("", "x", f"{master}_", f"{master}_1_", f"{master}_1_2_3", "z" * 26 + "_1_2"):
        assert row_id(violations) is None


def test_a_month_has_the_days_it_has() -> None:
    """Every day number, each month: what exists and nothing else."""
    for number in range(1, 32):
        start = datetime(2027, 1, number, 12, 0, tzinfo=UTC)
        dates = local("FREQ=MONTHLY;COUNT=6", start, zone="UTC")
        long_enough = [m for m in range(1, 13) if monthrange(2027, m)[1] >= number]
        assert [int(day[5:7]) for day in dates] == long_enough[:6]
