"""The text of slots: ISO 8601 with the offset of the requested zone, grouped by local date."""

from datetime import UTC, datetime

from hoop_scheduling.formatting import _MAX_TEXTS_PER_ZONE, _texts, format_starts
from hoop_scheduling.zones import epoch_ms

MINUTE = 60_000


def at(*parts):
    return epoch_ms(datetime(*parts, tzinfo=UTC))


def test_slots_are_grouped_by_the_date_of_the_requested_zone():
    """A New York evening is the next morning in Kolkata; days without slots are absent."""
    starts = [at(2027, 3, 1, 14), at(2027, 3, 1, 23), at(2027, 3, 4, 14)]

    assert format_starts(starts, "America/New_York") == {
        "2027-03-01": ["2027-03-01T09:00:00-05:00", "2027-03-01T18:00:00-05:00"],
        "2027-03-04": ["2027-03-04T09:00:00-05:00"],
    }
    assert list(format_starts(starts, "Asia/Kolkata")) == ["2027-03-01", "2027-03-02", "2027-03-04"]


def test_an_hour_that_occurs_twice_is_distinguished_by_its_offset():
    """Both passes are shown."""
    starts = [at(2027, 11, 7, 5, 30), at(2027, 11, 7, 6, 30)]

    assert format_starts(starts, "America/New_York") == {
        "2027-11-07": ["2027-11-07T01:30:00-04:00", "2027-11-07T01:30:00-05:00"]
    }


def test_a_date_that_occurs_twice_keeps_all_its_slots():
    """St. John's once went back over midnight: the day before came again for an hour."""
    starts = [at(2006, 10, 29, 2, minute) for minute in (20, 30, 31)]

    days = format_starts(starts, "America/St_Johns")

    assert sorted(text for texts in days.values() for text in texts) == [
        "2006-10-28T23:01:00-03:30",
        "2006-10-28T23:50:00-02:30",
        "2006-10-29T00:00:00-02:30",
    ]


def test_no_starts_have_no_dates():
    """No slots, no dates."""
    assert format_starts([], "UTC") == {}


def test_the_cache_of_texts_is_bounded():
    """For any number of instants of one zone."""
    starts = range(0, (_MAX_TEXTS_PER_ZONE + 10) * MINUTE, MINUTE)

    days = format_starts(starts, "Etc/GMT+1")

    assert sum(map(len, days.values())) == len(starts)
    assert len(_texts("Etc/GMT+1")) <= _MAX_TEXTS_PER_ZONE
