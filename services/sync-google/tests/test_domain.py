"""The rules by themselves: ids, drafts, the next step, weeks, and what Google's answers mean."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoop_events.base import Personal
from hoop_events.booking import Appointment, Meeting
from hoop_platform.ids import new_id
from sync_google.domain import (
    AccessLost,
    Change,
    Draft,
    Insert,
    Made,
    Missing,
    NoAnswer,
    QuotaSpent,
    Rejected,
    Remove,
    Rest,
    Taken,
    TokenRejected,
    TooMany,
    Window,
    blocked_user,
    by_week,
    draft_of,
    event_id,
    merged,
    next_step,
    week_name,
    weeks_of,
    whole_days,
)
from sync_google.google import item, says
from sync_google.google.reading import data_of
from sync_google.google.refusals import pause, trouble

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DRAFT = Draft("Ada and Bob", "Bring it", "Main Street", NOON, NOON + HOUR, "UTC")
MADE = Made(1, "ada", "x1", "live", '"1"', DRAFT, drifted=False, age=HOUR)


def appointment(**changes) -> Appointment:
    state = Appointment(
        id=new_id(),
        sequence=1,
        version=1,
        calendar_id=new_id(),
        location_id=new_id(),
        contact_id=new_id(),
        start_time=NOON,
        end_time=NOON + HOUR,
        time_zone="UTC",
        appointment_status="confirmed",
        occupies=True,
        confirmed=True,
        session=new_id(),
        hosts=(new_id(),),
        personal=Personal(title="Ada and Bob", description="Bring it", address="Main Street"),
        date_added=NOON,
        date_updated=NOON,
    )
    return state.model_copy(update=changes)


@given(st.integers(1, 40_000), st.integers(1, 40_000))
def test_each_generation_has_an_id_of_its_own(one: int, other: int) -> None:
    """Made of the characters that Google allows, and beginning with the appointment's."""
    appointment_id = new_id()
    made = event_id(appointment_id, one)
    assert made.startswith(appointment_id)
    assert set(made) <= set("0123456789abcdefghijklmnopqrstuv")
    assert int(made[26:], 32) == one
    assert (made == event_id(appointment_id, other)) == (one == other)


def test_what_is_written() -> None:
    """Title, text, place and times; the link as soon as it is ready; staff's notes never."""
    assert draft_of(appointment()) == DRAFT
    assert Draft.from_json(DRAFT.as_json()) == DRAFT
    link = Meeting(provider="zoom", state="ready", join_url="https://zoom.example/j/1")
    online = draft_of(appointment(meeting=link, personal=Personal(title=" ", notes="secret")))
    assert online == replace(
        DRAFT,
        summary="Appointment",
        description="Join: https://zoom.example/j/1",
        location="https://zoom.example/j/1",
    )
    pending = link.model_copy(update={"state": "pending"})
    assert draft_of(appointment(meeting=pending)) == DRAFT


@pytest.mark.parametrize("changes", [{"occupies": False}, {"deleted": True}])
def test_what_occupies_nothing_is_not_shown(changes) -> None:
    assert draft_of(appointment(**changes)) is None


@pytest.mark.parametrize(
    ("wanted", "made", "step"),
    [
        (None, [], Rest()),
        (DRAFT, [], Insert()),
        (DRAFT, [MADE], Rest()),
        (None, [MADE], Remove(MADE)),
        (DRAFT, [replace(MADE, state="gone")], Insert()),
        (DRAFT, [replace(MADE, state="abandoned")], Insert()),
        (None, [replace(MADE, state="abandoned")], Rest()),
        (DRAFT, [replace(MADE, drifted=True)], Change(replace(MADE, drifted=True))),
        (DRAFT, [replace(MADE, draft=None)], Change(replace(MADE, draft=None))),
        (DRAFT, [replace(MADE, state="intended")], Insert(replace(MADE, state="intended"))),
        (DRAFT, [replace(MADE, remote_calendar="b")], Remove(replace(MADE, remote_calendar="b"))),
        (DRAFT, [MADE, replace(MADE, generation=2)], Remove(MADE)),
    ],
)
def test_the_next_step(wanted, made, step) -> None:
    """One where one is wanted, in the right calendar, saying the right thing; none elsewhere."""
    assert next_step(wanted, made, remote_calendar="ada") == step


@given(
    st.lists(
        st.builds(
            Made,
            generation=st.integers(1, 5),
            remote_calendar=st.sampled_from("ab"),
            event_id=st.just("x"),
            state=st.sampled_from(["intended", "live", "gone", "abandoned"]),
            etag=st.none(),
            draft=st.sampled_from([DRAFT, None]),
            drifted=st.booleans(),
            age=st.just(HOUR),
        ),
        max_size=4,
        unique_by=lambda made: made.generation,
    ),
    st.sampled_from([DRAFT, None]),
)
def test_steps_end_with_what_is_wanted(made: list[Made], wanted: Draft | None) -> None:
    """Wherever one begins: when nothing is left to do, exactly what was wanted exists."""
    for _ in range(12):
        step = next_step(wanted, made, remote_calendar="a")
        if isinstance(step, Rest):
            break
        made = _taken(step, made, wanted)
    live = [m for m in made if m.may_exist]
    assert [(m.remote_calendar, m.state, m.draft) for m in live] == (
        [("a", "live", wanted)] if wanted else []
    )


def _taken(step, made: list[Made], wanted: Draft | None) -> list[Made]:
    if isinstance(step, Remove):
        return [replace(m, state="gone") if m == step.made else m for m in made]
    known = step.again if isinstance(step, Insert) else step.made
    new = Made(9, "a", "x", "live", '"1"', wanted, drifted=False, age=HOUR)
    return [*(m for m in made if m != known), new]


HOURS = st.integers(0, 24 * 20).map(lambda hours: NOON + hours * HOUR)


@given(st.lists(st.tuples(HOURS, HOURS)))
def test_weeks_hold_the_same_hours(intervals) -> None:
    """Merged and cut by week, no hour is lost, doubled, or in another week than its own."""
    window = Window.around(NOON, horizon=timedelta(days=10))
    hours = {start + n * HOUR for start, end in intervals for n in range((end - start) // HOUR)}
    weeks = by_week(intervals, window)
    told = [
        (week, start + n * HOUR)
        for week, during in weeks.items()
        for start, end in during
        for n in range((end - start) // HOUR)
    ]
    expected = [h for h in hours if window.start <= h < window.end]
    assert sorted(told, key=lambda pair: pair[1]) == [(week_name(h), h) for h in sorted(expected)]
    assert set(weeks) <= set(weeks_of(window))


def test_weeks_at_the_turn_of_the_year() -> None:
    """As ISO counts: the first days of 2027 belong to the 53rd week of 2026."""
    assert week_name(datetime(2027, 1, 3, 23, tzinfo=UTC)) == "2026-W53"
    assert week_name(datetime(2027, 1, 4, tzinfo=UTC)) == "2027-W01"


def test_merging() -> None:
    """What touches becomes one; what takes no time is nothing."""
    a, b, c, d = (NOON + n * HOUR for n in range(4))
    assert merged([(c, d), (a, b), (b, c), (b, b), (c, a)]) == [(a, d)]


@pytest.mark.parametrize("zone", ["America/Santiago", "Africa/Cairo", "Asia/Beirut"])
def test_a_day_without_midnight_begins_when_it_begins(zone: str) -> None:
    """Where the clocks go forward at midnight, the days still follow one another without a gap."""
    days = [datetime(2027, 1, 1, tzinfo=UTC).date() + timedelta(days=n) for n in range(365)]
    for first, second, third in zip(days, days[1:], days[2:], strict=False):
        assert (
            whole_days(first, second, ZoneInfo(zone))[1]
            == (whole_days(second, third, ZoneInfo(zone))[0])
        )


def test_whom_a_connection_blocks() -> None:
    assert blocked_user("u", ["a", "b"]) == "u"
    assert blocked_user(None, ["a"]) == "a"
    assert blocked_user(None, ["a", "b"]) is None
    assert blocked_user(None, []) is None


def envelope(reason: str) -> dict:
    return {"error": {"errors": [{"reason": reason}]}}


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (400, "invalid", Rejected),
        (401, "authError", TokenRejected),
        (403, "rateLimitExceeded", TooMany),
        (403, "userRateLimitExceeded", TooMany),
        (403, "dailyLimitExceeded", TooMany),
        (403, "accessNotConfigured", TooMany),
        (403, "quotaExceeded", QuotaSpent),
        (403, "insufficientPermissions", AccessLost),
        (403, "requiredAccessLevel", AccessLost),
        (403, "forbiddenForNonOrganizer", Rejected),
        (404, "notFound", Missing),
        (409, "duplicate", Taken),
        (410, "deleted", Missing),
        (429, "rateLimitExceeded", TooMany),
        (429, "", TooMany),
        (500, "backendError", NoAnswer),
        (503, "", NoAnswer),
        (302, "", NoAnswer),
        (404, "", NoAnswer),  # some proxy's page: says nothing about the event
        (403, "", NoAnswer),
    ],
)
def test_what_a_refusal_means(status, reason, kind) -> None:
    said = envelope(reason) if reason else None
    assert type(trouble(status, said, None)) is kind


@given(st.one_of(st.none(), st.integers(), st.text(), st.dictionaries(st.just("error"), st.text())))
def test_an_odd_envelope_is_no_answer(said) -> None:
    assert isinstance(trouble(404, said, None), NoAnswer)


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("30", timedelta(seconds=30)),
        ("Mon, 01 Mar 2027 12:01:00 GMT", timedelta(minutes=1)),
        ("Mon, 01 Mar 2027 11:00:00 GMT", None),
        ("99999999", timedelta(hours=25)),
        ("0", None),
        ("soon", None),
        ("١٢", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(text, wait) -> None:
    """Seconds or a date; what is neither, or lies behind us, is no wait."""
    assert pause(text, now=NOON) == wait


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just("2027-03-01T12:00:00Z"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "status",
                    "start",
                    "end",
                    "dateTime",
                    "date",
                    "timeZone",
                    "attendees",
                    "self",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "id",
                "status",
                "start",
                "end",
                "attendees",
                "extendedProperties",
                "recurringEventId",
                "etag",
            ]
        ),
        JSON,
    )
)
def test_whatever_is_sent_as_an_event_is_read_or_left_out(said) -> None:
    """Nothing that somebody writes into his calendar can stop the reading of it."""
    read = item(said, ZoneInfo("UTC"))
    assert read is None or (read.id == said["id"] and (read.cancelled or read.during is not None))
    assert says(said, DRAFT) in (True, False)


@given(st.binary(max_size=40))
def test_no_bytes_are_too_odd(raw) -> None:
    data_of(raw)


def test_deep_nesting_is_no_answer() -> None:
    assert data_of(b"[" * 200_000) is None
