"""Opening hours on the days on which clocks change, as decision 3 defines, and grids of starts."""

from datetime import date

from hoop_scheduling.hours import OpeningHours, OpeningPlan, fits, starts
from hoop_scheduling.zones import DAY, MINUTE, day_number, epoch_ms, utc_datetime

NEW_YORK = "America/New_York"
SPRING, AUTUMN = date(2027, 3, 14), date(2027, 11, 7)
HALF_HOUR = 30 * MINUTE


def daily(zone, *spans):
    return OpeningPlan((OpeningHours(zone, (tuple(spans),) * 7),))


def grid(plan, day, zone=NEW_YORK, *, length=HALF_HOUR, step=HALF_HOUR):
    """The starts of one local day as the clocks of the zone show them."""
    middle = day_number(day) * DAY
    found = starts(plan, length=length, step=step, window=(middle - DAY, middle + 2 * DAY))
    local = [utc_datetime(start, zone) for start in found]
    return [f"{at:%H:%M%z}" for at in local if at.date() == day]


def test_an_opening_over_the_gap_is_an_hour_shorter():
    """From one to four there are two hours, and no clock shows half past two."""
    shown = grid(daily(NEW_YORK, (60, 240)), SPRING)

    assert shown == ["01:00-0500", "01:30-0500", "03:00-0400", "03:30-0400"]


def test_an_opening_that_begins_in_the_gap_begins_when_the_gap_ends():
    """Half past two does not exist; three o'clock does."""
    assert grid(daily(NEW_YORK, (150, 210)), SPRING) == ["03:00-0400"]


def test_an_opening_within_the_gap_does_not_happen():
    """The times from two to three do not exist."""
    assert grid(daily(NEW_YORK, (120, 180)), SPRING) == []


def test_an_opening_over_the_overlap_offers_both_passes():
    """From one to three there are three hours, one o'clock comes twice."""
    shown = grid(daily(NEW_YORK, (60, 180)), AUTUMN, step=60 * MINUTE)

    assert shown == ["01:00-0400", "01:00-0500", "02:00-0500"]


def test_an_opening_within_the_overlap_happens_twice():
    """A quarter past one until a quarter to two, in summer time and again in winter time."""
    assert grid(daily(NEW_YORK, (75, 105)), AUTUMN) == ["01:15-0400", "01:15-0500"]


def test_an_hourly_grid_goes_on_in_elapsed_time_after_half_an_hour_is_skipped():
    """On Lord Howe Island the clocks jump from two to half past two."""
    shown = grid(
        daily("Australia/Lord_Howe", (60, 270)),
        date(2027, 10, 3),
        "Australia/Lord_Howe",
        step=60 * MINUTE,
    )

    assert shown == ["01:00+1030", "02:30+1100", "03:30+1100"]


def test_a_day_begins_at_the_end_of_a_midnight_that_does_not_exist():
    """In Santiago that Sunday begins at one o'clock; the first opening of the day with it."""
    shown = grid(daily("America/Santiago", (0, 120)), date(2027, 9, 5), "America/Santiago")

    assert shown == ["01:00-0300", "01:30-0300"]


def test_a_day_that_was_skipped_has_no_openings():
    """Samoa went from 29 to 31 December 2011."""
    plan = daily("Pacific/Apia", (540, 600))

    assert grid(plan, date(2011, 12, 29), "Pacific/Apia") != []
    assert grid(plan, date(2011, 12, 30), "Pacific/Apia") == []
    assert grid(plan, date(2011, 12, 31), "Pacific/Apia") != []


def test_hours_open_all_night_take_bookings_over_midnight():
    """An opening until midnight goes on in the one from midnight, each with its own grid."""
    night = daily(NEW_YORK, (0, 120), (1380, 1440))

    shown = grid(night, date(2027, 6, 2), length=60 * MINUTE, step=40 * MINUTE)

    assert shown == ["00:00-0400", "00:40-0400", "23:00-0400", "23:40-0400"]


def test_schedules_of_two_zones_are_open_together_each_with_its_own_grid():
    """Kolkata's half hours stand beside London's full hours where both are open."""
    plan = OpeningPlan(
        (
            OpeningHours("Europe/London", (((600, 720),),) * 7),
            OpeningHours("Asia/Kolkata", (((930, 990),),) * 7),
            OpeningHours("Etc/GMT", (((600, 660),),) * 7),
        )
    )

    shown = grid(plan, date(2027, 1, 5), "Europe/London", step=60 * MINUTE)

    assert shown == ["10:00+0000", "11:00+0000"]
    assert grid(plan, date(2027, 6, 1), "Europe/London", step=60 * MINUTE) == [
        "10:00+0100",
        "11:00+0100",
    ]


def test_overlapping_grids_offer_each_start_once_and_in_order():
    """Two schedules that share the morning do not double it."""
    plan = OpeningPlan(
        tuple(OpeningHours(zone, (((600, 690),),) * 7) for zone in ("UTC", "Etc/GMT"))
    )

    assert grid(plan, date(2027, 1, 5), "UTC") == ["10:00+0000", "10:30+0000", "11:00+0000"]


def test_a_date_decides_over_the_whole_local_day():
    """Openings of a schedule in another zone within that day are removed, the rest stays."""
    tokyo = OpeningHours("Asia/Tokyo", (((720, 900),),) * 7)  # 23:00 to 02:00 in New York
    second = day_number(date(2027, 6, 2))
    plan = OpeningPlan((tokyo,), dated=OpeningHours(NEW_YORK, dates=((second, ((600, 660),)),)))
    night = ["00:00-0400", "00:30-0400", "01:00-0400", "01:30-0400", "23:00-0400", "23:30-0400"]

    assert grid(plan, date(2027, 6, 1)) == night
    assert grid(plan, date(2027, 6, 2)) == ["10:00-0400", "10:30-0400"]
    assert grid(plan, date(2027, 6, 3)) == night


def test_what_is_open_for_a_whole_length():
    """Members of a collective calendar need not share the grid, only the opening."""
    plan = daily("UTC", (600, 660), (720, 780))
    ten = epoch_ms(utc_datetime(day_number(date(2027, 6, 1)) * DAY + 600 * MINUTE))

    bits = fits(plan, [ten - 1, ten, ten + 20 * MINUTE, ten + 31 * MINUTE], HALF_HOUR)

    assert bits == 0b0110


def test_the_grid_continues_over_the_border_of_cached_blocks():
    """Grids are cached for 32 days each; an opening over such a border keeps its grid."""
    border, step = 655 * 32 * DAY, 70 * MINUTE
    plan = daily(NEW_YORK, (0, 1440))
    opens = max(start for start, _ in plan.openings(border, border + 1) if start < border)

    found = starts(plan, length=HALF_HOUR, step=step, window=(opens, border + 2 * step))

    assert found == list(range(opens, border + 2 * step, step))
    assert found[0] < border < found[-1]
