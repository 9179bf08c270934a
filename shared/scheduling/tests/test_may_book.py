"""What may be booked with whom: buffers, limits, members, and the reason for each refusal."""

import pytest
from slot_oracle.small_calendar import (
    ALL_WEEK,
    ELEVEN,
    MIDNIGHT,
    NINE,
    NOON,
    TEN,
    TODAY,
    calendar,
    may_book_at,
    starts,
)

from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.explain import explain
from hoop_scheduling.listing import free_slots, free_starts
from hoop_scheduling.rules import SlotRules
from hoop_scheduling.without_one import ExcludedAppointment
from hoop_scheduling.zones import DAY, HOUR, MINUTE


@pytest.mark.parametrize(
    ("reason", "start", "fields", "more"),
    [
        ("inactive", TEN, {"isActive": False}, {}),
        ("not_a_member", TEN, {}, {"host": "zoe"}),
        ("wrong_length", TEN, {}, {"hours": 2}),
        ("wrong_length", TEN, {}, {"hours": 0, "ignore_rules": True}),
        ("notice", TEN, {"allowBookingAfter": 10.5, "allowBookingAfterUnit": "hours"}, {}),
        ("notice", TEN, {}, {"now": TEN + 1}),
        ("horizon", TEN + DAY, {"allowBookingFor": 1, "allowBookingForUnit": "days"}, {}),
        ("closed", NOON, {}, {}),
        ("closed", ELEVEN + MINUTE, {}, {}),
        ("not_on_grid", TEN + MINUTE, {}, {}),
        ("day_full", TEN, {"appoinmentPerDay": 2}, {"day_counts": {TODAY: 2}}),
        ("busy", TEN, {}, {"busy": {"ada": Busy.of([(TEN, TEN + 1)])}}),
        ("busy", TEN, {}, {"busy": {"cal": Busy.of([(NINE, NOON)])}}),
        ("full", TEN, {}, {"seats": {("ada", TEN): Seats(ELEVEN, 1)}}),
    ],
)
def test_the_reason_of_a_refusal(reason, start, fields, more):
    """The first rule that refuses the booking, by its stable name."""
    verdict = may_book_at(calendar("ada", **fields), start, **more)

    assert not verdict
    assert (verdict.reason, verdict.hosts) == (reason, ())


def test_without_its_members_a_calendar_has_no_host():
    """One that never had members is its own host; one that lost them all offers and books nothing."""
    never, lost = calendar(), calendar(needsHost=True)

    assert may_book_at(never, TEN).hosts == ("cal",)
    assert may_book_at(lost, TEN).reason == "no_host"
    assert may_book_at(lost, TEN, ignore_rules=True).reason == "no_host"
    assert may_book_at(lost, TEN, host="ada").reason == "no_host"
    assert free_starts(lost, busy={}, window=(MIDNIGHT, NOON), now=MIDNIGHT) == []
    reasons = explain(lost, busy={}, window=(MIDNIGHT, NOON), now=MIDNIGHT, zone="UTC")
    assert set(reasons.values()) == {"no_host"}
    assert may_book_at(calendar("ada", needsHost=True), TEN).hosts == ("ada",)


def test_an_appointment_may_keep_a_length_of_its_own():
    """All of it must be open and free, on the grid; nothing else differs."""
    rules = calendar("ada")
    busy = {"ada": Busy.of([(ELEVEN + 30 * MINUTE, NOON)])}

    assert may_book_at(rules, TEN, hours=1.5, any_length=True)
    assert may_book_at(rules, TEN, hours=1.5, any_length=True, busy=busy)
    assert may_book_at(rules, TEN, hours=2, any_length=True, busy=busy).reason == "busy"
    assert may_book_at(rules, ELEVEN, hours=1.5, any_length=True).reason == "closed"
    assert may_book_at(rules, TEN + MINUTE, hours=1.5, any_length=True).reason == "not_on_grid"
    assert may_book_at(rules, TEN, hours=0, any_length=True).reason == "wrong_length"


def test_a_verdict_names_the_hosts_who_can_take_it():
    """The member who is free, not the one who is busy."""
    verdict = may_book_at(calendar("ada", "bob"), TEN, busy={"ada": Busy.of([(TEN, ELEVEN)])})

    assert verdict
    assert verdict.hosts == ("bob",)


@pytest.mark.parametrize(("own", "theirs", "gap"), [(15, 0, 15), (0, 15, 15), (15, 20, 20)])
def test_the_gap_between_two_appointments_is_the_larger_buffer(own, theirs, gap):
    """Not the sum: the padded time of each may touch the core time of the other, not overlap it."""
    rules = calendar("ada", slotInterval=1, preBuffer=own)
    busy = {"ada": Busy.of([(NINE, NINE + 30 * MINUTE, 0, theirs * MINUTE)])}

    first = free_starts(rules, busy=busy, window=(MIDNIGHT, NOON), now=MIDNIGHT)[0]

    assert first == NINE + (30 + gap) * MINUTE
    assert may_book_at(rules, first, busy=busy)
    assert may_book_at(rules, first - MINUTE, busy=busy).reason == "busy"


def test_the_buffers_of_the_later_appointment_count_as_well():
    """The later appointment's buffer before, the earlier one's buffer after."""
    later = {"ada": Busy.of([(ELEVEN, NOON, 20 * MINUTE, 0)])}

    assert starts(calendar("ada"), busy=later) == [9]
    assert starts(calendar("ada", slotBuffer=61, openHours=ALL_WEEK), busy=later) == []


def test_round_robin_tries_the_highest_priority_first():
    """Ties by user id."""
    team = [{"userId": "cyd"}, {"userId": "bob"}, {"userId": "ada", "priority": 0}]

    assert may_book_at(calendar(*team), TEN).hosts == ("bob", "cyd", "ada")


def test_equal_distribution_tries_the_least_loaded_first():
    """Weighted by priority: three times the weight, three times the share."""
    team = [{"userId": "ada", "priority": 1}, {"userId": "bob", "priority": 0}, "cyd"]
    rules = calendar(*team, eventType="RoundRobin_OptimizeForEqualDistribution")

    assert may_book_at(rules, TEN, loads={"ada": 5, "bob": 2}).hosts == ("cyd", "ada", "bob")


def test_a_collective_needs_everyone():
    """One busy member is enough for a refusal; a verdict names all hosts, the primary first."""
    rules = calendar("ada", {"userId": "bob", "isPrimary": True}, kind="collective")
    busy = {"ada": Busy.of([(TEN, ELEVEN)])}

    assert starts(rules, busy=busy) == [9, 11]
    assert may_book_at(rules, ELEVEN, busy=busy, host="ada").hosts == ("bob", "ada")
    assert may_book_at(rules, ELEVEN, busy=busy, host="zoe").reason == "not_a_member"


def test_a_collective_uses_the_grid_of_the_primary_and_the_hours_of_all():
    """Ada comes half an hour later and leaves half an hour earlier than Bob."""
    team = [{"userId": "ada"}, {"userId": "bob", "isPrimary": True}]
    days = ["monday", "tuesday", "wednesday", "thursday", "friday"]
    later = [{"from": "09:30", "to": "11:30"}]
    plan = {
        "userId": "ada",
        "timezone": "UTC",
        "rules": [{"type": "wday", "day": day, "intervals": later} for day in days],
    }
    fields = {"id": "cal", "teamMembers": team, "openHours": ALL_WEEK, "slotDuration": 60}
    rules = SlotRules.from_calendar(fields | {"calendarType": "collective"}, "UTC", [plan])
    hourly = SlotRules.from_calendar(
        fields | {"calendarType": "collective", "slotInterval": 60}, "UTC", [plan]
    )

    assert starts(rules) == [9.5, 10, 10.5]
    assert starts(hourly) == [10]
    assert may_book_at(hourly, NINE + HOUR // 2).reason == "not_on_grid"
    assert may_book_at(hourly, NINE).reason == "closed"


def test_only_the_requested_members_count():
    """A client may request one member or several; users outside the team have no slots."""
    rules, busy = calendar("ada", "bob"), {"ada": Busy.of([(NINE, ELEVEN)])}

    assert starts(rules, busy=busy, hosts=["ada"]) == [11]
    assert starts(rules, busy=busy, hosts=["ada", "bob"]) == [9, 10, 11]
    assert starts(rules, busy=busy, hosts=["zoe"]) == []
    assert free_slots(rules, busy=busy, hosts=["zoe"], window=(NINE, TEN), now=MIDNIGHT) == []


def test_a_moved_appointment_may_overlap_its_old_time():
    """Its time, its seat and its count in the day are free for itself."""
    rules = calendar("ada", slotInterval=30, appoinmentPerDay=1)
    occupancy = {"busy": {"ada": Busy.of([(TEN, ELEVEN, 0, 0)])}, "day_counts": {TODAY: 1}}
    itself = ExcludedAppointment("cal", ["ada"], TEN, ELEVEN)

    assert starts(rules, **occupancy) == []
    assert starts(rules, leave_out=itself, **occupancy) == [9, 9.5, 10, 10.5, 11]


def test_moving_here_from_another_calendar_frees_the_hosts_time_only():
    """Seats and limits of the other calendar do not count; leaving out an unknown one changes nothing."""
    rules = calendar("ada", appoinmentPerDay=1)
    moving = ExcludedAppointment("other", ["ada", "zoe"], TEN, ELEVEN)
    busy = {"ada": Busy.of([(TEN, ELEVEN), (NINE, NINE + 1)])}

    assert starts(rules, busy=busy, leave_out=moving) == [10, 11]
    assert starts(rules, busy=busy, leave_out=moving, day_counts={TODAY: 1}) == []
    assert starts(
        rules, busy=busy, leave_out=ExcludedAppointment("other", ["ada"], NOON, NOON + 1)
    ) == [11]


def test_ignoring_the_range_keeps_the_other_rules():
    """Minimum notice and horizon are skipped, the hours are not."""
    rules = calendar("ada", allowBookingAfter=3, allowBookingAfterUnit="days")

    assert may_book_at(rules, TEN, now=NOON, ignore_range=True)
    assert may_book_at(rules, NOON, now=NOON, ignore_range=True).reason == "closed"


def test_ignoring_the_rules_keeps_core_times_and_inactive():
    """Off the grid, out of hours, any length, no buffers; but core times never overlap."""
    rules = calendar("ada", slotBuffer=60, appoinmentPerDay=1)
    more = {"busy": {"ada": Busy.of([(TEN, ELEVEN, HOUR, HOUR)])}, "ignore_rules": True}

    assert may_book_at(rules, ELEVEN, hours=0.1, day_counts={TODAY: 1}, now=NOON, **more).hosts == (
        "ada",
    )
    assert may_book_at(rules, ELEVEN - 1, hours=0.1, **more).reason == "busy"
    assert (
        may_book_at(calendar("ada", isActive=False), NOON, ignore_rules=True).reason == "inactive"
    )


def test_empty_busy_times_occupy_nothing():
    """An interval that ends at its start blocks no slot."""
    assert starts(calendar("ada"), busy={"ada": Busy.of([(TEN + 1, TEN + 1)])}) == [9, 10, 11]
    assert starts(calendar("ada"), busy={"ada": Busy.of([])}) == [9, 10, 11]


def test_an_empty_window_holds_no_start():
    """[start, start) has no starts."""
    assert free_starts(calendar("ada"), busy={}, window=(TEN, TEN), now=MIDNIGHT) == []


def test_each_member_of_a_round_robin_has_a_grid_of_their_own():
    """A schedule of Ada's own on the half hour beside Bob on the hour: both are offered."""
    hours = [{"from": "09:30", "to": "12:30"}]
    plan = {
        "userId": "ada",
        "timezone": "UTC",
        "rules": [{"type": "date", "date": TODAY.isoformat(), "intervals": hours}],
    }
    team = [{"userId": "ada"}, {"userId": "bob"}]
    fields = {"id": "cal", "teamMembers": team, "openHours": ALL_WEEK}
    rules = SlotRules.from_calendar(
        fields | {"slotDuration": 60, "slotInterval": 60}, "UTC", [plan]
    )

    assert starts(rules) == [9, 9.5, 10, 10.5, 11, 11.5]
    assert may_book_at(rules, TEN).hosts == ("bob",)
    assert may_book_at(rules, TEN + HOUR // 2).hosts == ("ada",)
    assert may_book_at(rules, TEN + MINUTE).reason == "not_on_grid"


def test_the_first_and_the_last_instant_are_bookable():
    """Two hours' notice at seven: nine o'clock; one day ahead at nine: nine tomorrow."""
    seven = NINE - 2 * HOUR
    notice = calendar("ada", allowBookingAfter=2)
    horizon = calendar("ada", allowBookingFor=1)

    assert may_book_at(notice, NINE, now=seven)
    assert may_book_at(notice, NINE, now=seven + 1).reason == "notice"
    assert may_book_at(horizon, NINE + DAY, now=NINE)
    assert may_book_at(horizon, NINE + DAY, now=NINE - 1).reason == "horizon"
