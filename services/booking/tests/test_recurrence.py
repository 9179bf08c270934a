"""Recurrence rules: what is read, what is refused, and which times come of it."""

import time
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr  # type: ignore[import-untyped]  # it ships no types
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from booking.domain.recurrence import MAX_DAYS, starts
from booking.domain.recurrence_rule import WEEKDAYS, parse_rule
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
        ("FREQ=DAILY;COUNT=2;BYDAY=1MO", "byday"),
        ("FREQ=WEEKLY;COUNT=2;BYDAY=1MO", "byday"),
        ("FREQ=WEEKLY;COUNT=2;BYDAY=MO,MO", "byday"),
        ("FREQ=MONTHLY;COUNT=2;BYDAY=1MO,+1MO", "byday"),
        ("FREQ=MONTHLY;COUNT=2;BYDAY=6MO", "byday"),
        ("FREQ=MONTHLY;COUNT=2;BYDAY=-6MO", "byday"),
        ("FREQ=MONTHLY;COUNT=2;BYDAY=0MO", "byday"),
        ("FREQ=MONTHLY;COUNT=2;BYDAY=XX", "byday"),
        ("FREQ=YEARLY;COUNT=2;BYDAY=54MO", "byday"),
        ("FREQ=YEARLY;COUNT=2;BYMONTH=3;BYDAY=6MO", "byday"),
        ("FREQ=WEEKLY;COUNT=2;BYDAY=" + "MO," * 100, "byday"),
        ("FREQ=MONTHLY;COUNT=2;BYDAY=" + ",".join(f"{n}MO,{n}TU" for n in range(1, 17)), "byday"),
        ("FREQ=WEEKLY;COUNT=2;BYDAY=", "byday"),
        ("FREQ=WEEKLY;COUNT=2;BYMONTHDAY=1", "bymonthday"),
        ("FREQ=MONTHLY;COUNT=2;BYMONTHDAY=32", "bymonthday"),
        ("FREQ=MONTHLY;COUNT=2;BYMONTHDAY=-32", "bymonthday"),
        ("FREQ=MONTHLY;COUNT=2;BYMONTHDAY=0", "bymonthday"),
        ("FREQ=MONTHLY;COUNT=2;BYMONTHDAY=1,1", "bymonthday"),
        ("FREQ=YEARLY;COUNT=2;BYMONTH=13", "bymonth"),
        ("FREQ=YEARLY;COUNT=2;BYMONTH=-1", "bymonth"),
        ("FREQ=WEEKLY;COUNT=2;WKST=1MO", "wkst"),
        ("FREQ=WEEKLY;COUNT=2;WKST=", "wkst"),
        ("FREQ=DAILY;COUNT=2;BYSETPOS=1", "bysetpos"),
        ("FREQ=MONTHLY;COUNT=2;BYDAY=MO;BYSETPOS=0", "bysetpos"),
        ("FREQ=MONTHLY;COUNT=2;BYDAY=MO;BYSETPOS=367", "bysetpos"),
        (
            "FREQ=YEARLY;COUNT=2;BYDAY=MO;BYSETPOS=" + ",".join(str(n) for n in range(1, 33)),
            "bysetpos",
        ),
        ("FREQ=DAILY;COUNT=2;BYHOUR=9", "unknown_part"),
        ("FREQ=DAILY;COUNT=2;BYMINUTE=0", "unknown_part"),
        ("FREQ=DAILY;COUNT=2;BYSECOND=0", "unknown_part"),
        ("FREQ=YEARLY;COUNT=2;BYYEARDAY=60", "unknown_part"),
        ("FREQ=YEARLY;COUNT=2;BYWEEKNO=9", "unknown_part"),
        ("FREQ=DAILY;COUNT=2;BYEASTER=0", "unknown_part"),
        ("FREQ=DAILY;COUNT=2;RDATE=20270303", "unknown_part"),
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
        ("FREQ=MONTHLY;COUNT=2;BYMONTHDAY=30;BYMONTH=2", "start"),
        ("FREQ=MONTHLY;COUNT=2;BYDAY=2MO", "start"),
        ("FREQ=MONTHLY;COUNT=2;BYDAY=MO;BYSETPOS=6", "start"),
        ("FREQ=MONTHLY;COUNT=24;INTERVAL=300", "count"),
        ("FREQ=YEARLY;COUNT=12", "count"),
        ("FREQ=YEARLY;INTERVAL=366;COUNT=2", "count"),
        ("FREQ=DAILY;COUNT=24;BYMONTH=3;BYMONTHDAY=1;BYDAY=MO", "count"),
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


TUESDAY = datetime(2027, 1, 12, 15, 0, tzinfo=UTC)  # the second of its month, 10:00 in New York
LAST_OF_JANUARY = datetime(2027, 1, 31, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "start", "days"),
    [
        ("FREQ=WEEKLY;COUNT=3;INTERVAL=1;WKST=MO", TUESDAY, "2027-01-12 2027-01-19 2027-01-26"),
        (
            "FREQ=WEEKLY;INTERVAL=2;WKST=SU;COUNT=3;BYDAY=TU,SU",
            TUESDAY,
            "2027-01-12 2027-01-24 2027-01-26",
        ),
        (
            "FREQ=WEEKLY;INTERVAL=2;WKST=MO;COUNT=3;BYDAY=TU,SU",
            TUESDAY,
            "2027-01-12 2027-01-17 2027-01-26",
        ),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=2TU", TUESDAY, "2027-01-12 2027-02-09 2027-03-09"),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=+2TU", TUESDAY, "2027-01-12 2027-02-09 2027-03-09"),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=-1SU", LAST_OF_JANUARY, "2027-01-31 2027-02-28 2027-03-28"),
        ("FREQ=MONTHLY;COUNT=3;BYMONTHDAY=-1", LAST_OF_JANUARY, "2027-01-31 2027-02-28 2027-03-31"),
        ("FREQ=MONTHLY;COUNT=2;BYDAY=TU;BYSETPOS=2", TUESDAY, "2027-01-12 2027-02-09"),
        (
            "FREQ=MONTHLY;COUNT=3;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            datetime(2027, 1, 29, 15, 0, tzinfo=UTC),
            "2027-01-29 2027-02-26 2027-03-31",
        ),
        # An ordinal and each weekday beside it, which dateutil reads as both at once.
        ("FREQ=MONTHLY;COUNT=3;BYDAY=2TU,SU", TUESDAY, "2027-01-12 2027-01-17 2027-01-24"),
        ("FREQ=YEARLY;COUNT=3", TUESDAY, "2027-01-12 2028-01-12 2029-01-12"),
        ("FREQ=YEARLY;COUNT=2;BYMONTH=1;BYDAY=2TU", TUESDAY, "2027-01-12 2028-01-11"),
        ("FREQ=YEARLY;COUNT=2;BYDAY=-51TU", TUESDAY, "2027-01-12 2028-01-11"),
        ("FREQ=DAILY;COUNT=3;BYDAY=TU,TH", TUESDAY, "2027-01-12 2027-01-14 2027-01-19"),
        ("FREQ=DAILY;COUNT=2;BYMONTH=1;BYMONTHDAY=12,-1", TUESDAY, "2027-01-12 2027-01-31"),
        # Positions are counted in the whole week, also in that of the start.
        (
            "FREQ=WEEKLY;COUNT=2;BYDAY=MO,TU,FR;BYSETPOS=2",
            TUESDAY,
            "2027-01-12 2027-01-19",
        ),
    ],
)
def test_rules_as_calendar_programs_write_them(rule: str, start: datetime, days: str) -> None:
    assert [day[:10] for day in local(rule, start)] == days.split()


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


WALL_CLOCK = START.replace(tzinfo=None)


def _list(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=4, unique=True).map(",".join)


def _signed(limit: int) -> st.SearchStrategy[str]:
    return st.integers(-limit, limit).filter(bool).map(str)


@st.composite
def rules(draw: st.DrawFn) -> str:
    """A rule of parts that RFC 5545 allows beside each other.

    Each names a day sooner or later: of a rule that never does, dateutil looks at 8,000 years.
    """
    freq = draw(st.sampled_from(("DAILY", "WEEKLY", "MONTHLY", "YEARLY")))
    months = draw(st.none() | _list(st.integers(1, 12).map(str)))
    once = freq == "DAILY" or (freq == "MONTHLY" and months is not None)
    interval = 1 if once else draw(st.integers(1, 3 if freq == "YEARLY" else 20))
    parts = [f"FREQ={freq}", f"COUNT={draw(st.integers(1, 24))}", f"INTERVAL={interval}"]
    parts += draw(st.sampled_from(([], *([f"WKST={day}"] for day in WEEKDAYS))))
    named = [] if months is None else [f"BYMONTH={months}"]
    match draw(st.sampled_from(("none", "month days", "weekdays", "both", "numbered"))):
        case "month days" if freq != "WEEKLY":
            limit = 31 if months is None and interval == 1 else 28
            named.append(f"BYMONTHDAY={draw(_list(_signed(limit)))}")
        case "both" if freq != "WEEKLY":
            named.append(f"BYMONTHDAY={draw(_list(_signed(28)))}")
            named.append(f"BYDAY={draw(_list(st.sampled_from(WEEKDAYS)))}")
        case "numbered" if freq in ("MONTHLY", "YEARLY"):
            limit = 53 if freq == "YEARLY" and months is None else 5
            one = st.tuples(_signed(limit), st.sampled_from(WEEKDAYS)).map("".join)
            named.append(f"BYDAY={draw(_list(one))}")
        case "weekdays":
            named.append(f"BYDAY={draw(_list(st.sampled_from(WEEKDAYS)))}")
    if named and draw(st.booleans()):
        others = draw(st.lists(_signed(6).filter(lambda n: n not in ("1", "-1")), max_size=2))
        always = draw(st.sampled_from(("1", "-1")))
        named.append(f"BYSETPOS={','.join({always, *others})}")
    return ";".join(draw(st.permutations([*parts, *named])))


def _oracle_days(rule: str, begin: datetime) -> list[datetime]:
    """The naive local times by dateutil from `begin` on, within the ten years of our bound."""
    endless = ";".join(part for part in rule.split(";") if not part.startswith("COUNT="))
    first = begin
    if "FREQ=WEEKLY" in rule and "BYSETPOS" in rule and "BYDAY" in rule:
        # dateutil counts positions in the first week from DTSTART on, and not in the whole week.
        week_start = next((WEEKDAYS.index(p[5:]) for p in rule.split(";") if p[:5] == "WKST="), 0)
        first -= timedelta(days=(begin.weekday() - week_start) % 7)
    last = begin + timedelta(days=MAX_DAYS)
    found = rrulestr(endless, dtstart=first).between(first, last, inc=True)
    return [day for day in found if day >= begin]


def _expected(rule: str, start: datetime, zone: ZoneInfo) -> list[datetime] | None:
    """By dateutil, without times that do not exist; None when there are not so many in ten years."""
    here = start.astimezone(zone).replace(tzinfo=None)
    count = parse_rule(rule).count or 0
    found = [start]
    for day in _oracle_days(rule, here)[1:]:
        there = day.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if there.astimezone(zone).replace(tzinfo=None) == day:
            found.append(there)
    return found[:count] if len(found) >= count else None


@settings(max_examples=300, deadline=None)
@given(
    rule=rules(),
    begin=st.datetimes(WALL_CLOCK, WALL_CLOCK + timedelta(days=1500)),
    zone=st.sampled_from(ZONES),
)
def test_every_rule_means_what_dateutil_says(rule: str, begin: datetime, zone: str) -> None:
    """From the first day on that the rule names, each occurrence, at the same local time."""
    days = _oracle_days(rule, begin.replace(second=0, microsecond=0))
    assume(days)
    start = days[0].replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    assume(start.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == days[0])
    assume(_oracle_days(rule, days[0])[:1] == days[:1])
    try:
        found = starts(parse_rule(rule), start, zone=zone, latest=start)
    except Invalid:
        found = None
    assert found == _expected(rule, start, ZoneInfo(zone))


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
