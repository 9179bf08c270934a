"""Editing the dates of a calendar, with any changes in any order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain.calendar_types import MAX_DATES, check_settings, edited_dates
from hoop_platform.errors import Invalid

DATES = [f"2027-03-0{n}" for n in range(1, 6)]
edits = st.lists(
    st.tuples(st.sampled_from(DATES), st.integers(0, 23), st.booleans(), st.booleans()), max_size=12
)


def fields(date: str, hour: int, deleted: bool) -> dict[str, Any]:
    return {"date": date, "hours": [hour], "deleted": deleted}


@given(edits)
def test_each_date_is_what_was_said_of_it_last(steps: list[tuple[str, int, bool, bool]]) -> None:
    """By date or by id, one after the other, as in a plain dict; an id lasts as long as its entry."""
    entries: list[dict[str, Any]] = []
    model: dict[str, int] = {}
    ids: dict[str, str] = {}
    for n, (date, hour, deleted, by_id) in enumerate(steps):
        edit = fields(date, hour, deleted)
        if by_id and date in ids:
            edit = {"id": ids[date], **{name: edit[name] for name in ("hours", "deleted")}}
        entries = edited_dates(entries, [edit], [f"new-{n}"])
        if deleted:
            model.pop(date, None)
            ids.pop(date, None)
        else:
            model[date] = hour
            ids.setdefault(date, f"new-{n}")
        assert {e["date"]: e["hours"][0] for e in entries} == model
        assert {e["date"]: e["id"] for e in entries} == ids


def test_a_date_stands_once() -> None:
    """Given twice in one request, or moved onto another: refused, with the path of the second."""
    with pytest.raises(Invalid) as refused:
        edited_dates([], [fields(DATES[0], 9, False)] * 2, ["a", "b"])
    assert refused.value.details[0].path == "availabilities.1.date"
    stored = edited_dates([], [fields(date, 9, False) for date in DATES[:2]], ["a", "b"])
    with pytest.raises(Invalid):
        edited_dates(stored, [{"id": "a", "date": DATES[1]}], ["c"])


def test_so_many_dates_and_no_more() -> None:
    days = [f"20{year}-01-{day:02}" for year in range(10, 30) for day in range(1, 27)]
    with pytest.raises(Invalid) as refused:
        edited_dates([], [fields(day, 9, False) for day in days[: MAX_DATES + 1]], days[:501])
    assert refused.value.details[0].code == "too_many"


def test_a_calendar_of_before_a_rule_can_be_renamed() -> None:
    """Only what a change touches is looked at."""
    before = {"calendarType": "personal", "teamMembers": [], "name": "Old"}
    check_settings(before, {**before, "name": "New"})
    with pytest.raises(Invalid):
        check_settings(before, {**before, "teamMembers": [{"userId": "a"}, {"userId": "b"}]})
