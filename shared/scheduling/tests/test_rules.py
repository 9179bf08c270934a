"""Rules read from a calendar's fields as clients send them."""

from datetime import date

import pytest

from hoop_scheduling.rules import SlotRules
from hoop_scheduling.zones import DAY, HOUR, MINUTE, day_number, epoch_ms, utc_datetime

ZONE = "America/New_York"
MONDAY, TUESDAY = date(2027, 6, 7), date(2027, 6, 8)
NINE_TO_FIVE = {"openHour": 9, "openMinute": 0, "closeHour": 17, "closeMinute": 0}
MORNING = {"openHour": 8, "openMinute": 30, "closeHour": 12, "closeMinute": 0}
WEEK = [{"daysOfTheWeek": [1, 2, 3, 4, 5], "hours": [NINE_TO_FIVE]}]


def rules(*, schedules=(), **fields):
    return SlotRules.from_calendar({"id": "cal", "name": "Calls", **fields}, ZONE, schedules)


def schedule(user, *spans, zone=ZONE, **more):
    """Open on Mondays."""
    intervals = [{"from": start, "to": end} for start, end in spans]
    rule = {"type": "wday", "day": "monday", "intervals": intervals}
    return {"userId": user, "timezone": zone, "rules": [rule]} | more


def opened(host, day=MONDAY, zone=ZONE):
    """The openings of that local day in local time."""
    noon = day_number(day) * DAY + 16 * HOUR
    spans = [
        (utc_datetime(a, zone), utc_datetime(b, zone))
        for a, b in host.plan.openings(noon, noon + 1)
    ]
    return [f"{a:%H:%M}-{b:%H:%M}" for a, b in spans if a.date() == day]


def test_a_calendar_with_no_fields():
    """No hours, so no slots; half an hour every half hour, itself its only host."""
    least = rules()

    assert [host.id for host in least.hosts] == ["cal"]
    assert (least.kind, least.active, least.capacity, least.per_day) == ("event", True, 1, 0)
    assert (least.length, least.step) == (30 * MINUTE, 30 * MINUTE)
    assert (least.before, least.after) == (0, 0)
    assert opened(least.hosts[0]) == []
    assert least.earliest(5) == 5
    assert least.latest(5) is None


def test_durations_come_in_minutes_and_hours():
    """Each with a unit of its own."""
    found = rules(
        slotDuration=1.5,
        slotDurationUnit="hours",
        slotInterval=20,
        slotIntervalUnit="mins",
        preBuffer=5,
        slotBuffer=1,
        slotBufferUnit="hours",
        appoinmentPerSlot=10,
        appoinmentPerDay=4,
        isActive=False,
    )

    assert (found.length, found.step) == (90 * MINUTE, 20 * MINUTE)
    assert (found.before, found.after) == (5 * MINUTE, HOUR)
    assert (found.capacity, found.per_day, found.active) == (10, 4, False)


def test_notice_and_horizon_in_days_follow_local_time():
    """A day after one in the morning of the day that loses an hour is one in the morning."""
    now = epoch_ms(utc_datetime(1_805_004_000_000))  # 2027-03-14 01:00 in New York
    found = rules(
        allowBookingAfter=1,
        allowBookingAfterUnit="days",
        allowBookingFor=1,
        allowBookingForUnit="months",
    )

    assert found.earliest(now) == now + 23 * HOUR
    assert found.latest(now) == now + 31 * DAY - HOUR


@pytest.mark.parametrize(("hour", "minute"), [(23, 60), (24, 0), (24, 60)])
def test_midnight_is_spelled_in_several_ways(hour, minute):
    """Minutes go up to 60, and hour 24 is accepted."""
    late = {"openHour": 22, "openMinute": 0, "closeHour": hour, "closeMinute": minute}

    found = rules(openHours=[{"daysOfTheWeek": [1], "hours": [late]}])

    assert opened(found.hosts[0]) == ["22:00-00:00"]


def test_sunday_is_day_zero():
    """The hours of one weekday do not open another."""
    found = rules(openHours=[{"daysOfTheWeek": [0], "hours": [NINE_TO_FIVE]}])

    assert opened(found.hosts[0], date(2027, 6, 6)) == ["09:00-17:00"]
    assert opened(found.hosts[0], MONDAY) == []


def test_openings_that_touch_or_overlap_are_one():
    """In any order; one that closes before it opens is ignored."""
    evening = {"openHour": 17, "openMinute": 0, "closeHour": 19, "closeMinute": 0}
    never = {"openHour": 21, "openMinute": 0, "closeHour": 20, "closeMinute": 0}
    spans = [evening, NINE_TO_FIVE, never, MORNING]

    found = rules(openHours=[{"daysOfTheWeek": [1], "hours": spans}])

    assert opened(found.hosts[0]) == ["08:30-19:00"]


@pytest.mark.parametrize(
    ("kind", "monday", "tuesday"),
    [
        (None, ["08:30-12:00"], ["09:00-17:00"]),
        (0, ["09:00-17:00"], ["09:00-17:00"]),
        (1, ["08:30-12:00"], []),
    ],
)
def test_the_availability_type_selects_open_hours_and_dates(kind, monday, tuesday):
    """Both, open hours only, dates only; the date is the local one despite its suffix."""
    dated = {"date": "2027-06-07T00:00:00.000Z", "hours": [MORNING]}

    host = rules(openHours=WEEK, availabilities=[dated], availabilityType=kind).hosts[0]

    assert (opened(host, MONDAY), opened(host, TUESDAY)) == (monday, tuesday)


def test_a_date_may_close_and_a_deleted_one_is_ignored():
    """An entry without hours is a holiday."""
    holiday = {"date": "2027-06-07T00:00:00.000Z", "hours": []}
    deleted = {"date": "2027-06-08T00:00:00.000Z", "hours": [], "deleted": True}

    host = rules(openHours=WEEK, availabilities=[holiday, deleted]).hosts[0]

    assert (opened(host, MONDAY), opened(host, TUESDAY)) == ([], ["09:00-17:00"])


def test_open_hours_may_come_as_an_empty_object():
    """As the vendor's own server sends them."""
    assert opened(rules(openHours={}).hosts[0]) == []


def test_a_schedule_replaces_the_hours_of_its_own_user():
    """The other member keeps the calendar's; a deleted schedule replaces nothing."""
    team = [{"userId": "ada"}, {"userId": "bob"}]
    plans = [schedule("ada", ("10:00", "11:30")), schedule("bob", ("07:00", "08:00"), deleted=True)]

    ada, bob = rules(openHours=WEEK, teamMembers=team, schedules=plans).hosts

    assert (opened(ada), opened(ada, TUESDAY)) == (["10:00-11:30"], [])
    assert opened(bob) == ["09:00-17:00"]


def test_without_several_members_a_schedule_replaces_the_calendars_hours():
    """It applies to the only host, whichever user it belongs to."""
    found = rules(openHours=WEEK, schedules=[schedule("ada", ("10:00", "11:30"))])

    assert opened(found.hosts[0]) == ["10:00-11:30"]


def test_several_schedules_of_a_user_are_open_together():
    """Each in its zone."""
    plans = [schedule("ada", ("10:00", "11:00")), schedule("ada", ("09:00", "10:00"), zone="UTC")]

    found = rules(teamMembers=[{"userId": "ada"}], schedules=plans)

    assert opened(found.hosts[0]) == ["05:00-06:00", "10:00-11:00"]


def test_a_date_of_a_schedule_replaces_its_weekday_and_the_calendars_date_both():
    """Dates of the calendar decide over schedules; with dates only, schedules do not count."""
    dated = {"type": "date", "date": "2027-06-07", "intervals": [{"from": "13:00", "to": "14:00"}]}
    plan = schedule("ada", ("10:00", "11:30"))
    plan["rules"].append(dated)
    entry = {"date": "2027-06-07T00:00:00.000Z", "hours": [MORNING]}

    assert opened(rules(schedules=[plan]).hosts[0]) == ["13:00-14:00"]
    assert opened(rules(schedules=[plan], availabilities=[entry]).hosts[0]) == ["08:30-12:00"]
    assert opened(rules(schedules=[plan], availabilityType=1).hosts[0]) == []


def test_the_primary_member_comes_first():
    """The others keep the order of the team; priorities have a default."""
    team = [
        {"userId": "ada", "priority": 0},
        {"userId": "bob", "priority": None},
        {"userId": "cyd", "priority": 1, "isPrimary": True},
    ]

    found = rules(calendarType="collective", teamMembers=team)

    assert [(host.id, host.priority) for host in found.hosts] == [
        ("cyd", 1),
        ("ada", 0),
        ("bob", 0.5),
    ]
    assert found.all_of
    assert found.host_ids == ("cyd", "ada", "bob")


@pytest.mark.parametrize(
    "field",
    [
        {"slotDuration": 0},
        {"slotInterval": 0.1},
        {"slotDurationUnit": "years"},
        {"appoinmentPerSlot": -1},
        {"appoinmentPerDay": -1},
        {"preBuffer": -5},
        {"allowBookingAfter": -1},
        {"allowBookingFor": 10**9},
        {"allowBookingForUnit": "years"},
    ],
)
def test_rules_that_make_no_sense_are_refused(field):
    """Booking refuses such fields; nothing is computed with them."""
    with pytest.raises((ValueError, KeyError)):
        rules(**field)


def test_a_zone_that_does_not_exist_is_refused():
    """The location's and the schedule's."""
    with pytest.raises(ValueError, match="Mars"):
        SlotRules.from_calendar({"id": "cal"}, "Mars/Olympus")
    with pytest.raises(ValueError, match="Mars"):
        rules(schedules=[schedule("ada", zone="Mars/Olympus")])


def test_equal_rules_share_cached_grids():
    """Rules that are read twice from one calendar are one key."""
    first, second = rules(openHours=WEEK), rules(openHours=WEEK)

    assert first == second
    assert hash(first.hosts[0].plan) == hash(second.hosts[0].plan)
