"""Domain functions and parsers: event ids, drafts, the next step, weeks, Google's error responses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoop_events.base import Personal
from hoop_events.booking import Appointment, Meeting
from hoop_platform.ids import new_id
from hoop_platform.providers.errors import (
    IdTaken,
    ObjectNotFound,
    OutcomeUnknown,
    PermissionLost,
    QuotaExceeded,
    RateLimited,
    RequestRejected,
    TokenRejected,
)
from sync_google.domain.busy import (
    Window,
    blocked_user,
    by_week,
    merged,
    week_name,
    weeks_of,
    whole_days,
)
from sync_google.domain.identifiers import event_id
from sync_google.domain.plan import (
    CreateEvent,
    DeleteEvent,
    EventDraft,
    ExternalObject,
    InSync,
    UpdateEvent,
    draft_of,
    next_step,
)
from sync_google.providers.google.error_responses import error_from_response, parse_retry_after
from sync_google.providers.google.parsing import fields_match, parse_json, parse_listed_event

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DRAFT = EventDraft("Ada and Bob", "Bring it", "Main Street", NOON, NOON + HOUR, "UTC")
LIVE = ExternalObject(1, "ada", "x1", "live", '"1"', DRAFT, drifted=False, age=HOUR)


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
    """Event ids consist of the characters that Google allows, and begin with the appointment's id."""
    appointment_id = new_id()
    first = event_id(appointment_id, one)
    assert first.startswith(appointment_id)
    assert set(first) <= set("0123456789abcdefghijklmnopqrstuv")
    assert int(first[26:], 32) == one
    assert (first == event_id(appointment_id, other)) == (one == other)


def test_the_draft_of_an_appointment() -> None:
    """Title, description, address and times; the link once it is ready; never the staff's notes."""
    assert draft_of(appointment()) == DRAFT
    assert EventDraft.from_json(DRAFT.as_json()) == DRAFT
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
def test_an_appointment_that_occupies_no_time_has_no_draft(changes) -> None:
    assert draft_of(appointment(**changes)) is None


@pytest.mark.parametrize(
    ("desired", "observed", "step"),
    [
        (None, [], InSync()),
        (DRAFT, [], CreateEvent()),
        (DRAFT, [LIVE], InSync()),
        (None, [LIVE], DeleteEvent(LIVE)),
        (DRAFT, [replace(LIVE, state="gone")], CreateEvent()),
        (DRAFT, [replace(LIVE, state="abandoned")], CreateEvent()),
        (None, [replace(LIVE, state="abandoned")], InSync()),
        (DRAFT, [replace(LIVE, drifted=True)], UpdateEvent(replace(LIVE, drifted=True))),
        (DRAFT, [replace(LIVE, draft=None)], UpdateEvent(replace(LIVE, draft=None))),
        (DRAFT, [replace(LIVE, state="intended")], CreateEvent(replace(LIVE, state="intended"))),
        (
            DRAFT,
            [replace(LIVE, remote_calendar="b")],
            DeleteEvent(replace(LIVE, remote_calendar="b")),
        ),
        (DRAFT, [LIVE, replace(LIVE, generation=2)], DeleteEvent(LIVE)),
    ],
)
def test_the_next_step(desired, observed, step) -> None:
    """One event if one is desired, in the right calendar, with the right fields; no other event."""
    assert next_step(desired, observed, remote_calendar="ada") == step


@given(
    st.lists(
        st.builds(
            ExternalObject,
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
        unique_by=lambda event: event.generation,
    ),
    st.sampled_from([DRAFT, None]),
)
def test_steps_end_with_the_desired_state(
    observed: list[ExternalObject], desired: EventDraft | None
) -> None:
    """From any observed state, when no step is left exactly the desired event exists."""
    for _ in range(12):
        step = next_step(desired, observed, remote_calendar="a")
        if isinstance(step, InSync):
            break
        observed = _after_step(step, observed, desired)
    live = [m for m in observed if m.may_exist]
    assert [(m.remote_calendar, m.state, m.draft) for m in live] == (
        [("a", "live", desired)] if desired else []
    )


def _after_step(
    step, observed: list[ExternalObject], desired: EventDraft | None
) -> list[ExternalObject]:
    if isinstance(step, DeleteEvent):
        return [replace(m, state="gone") if m == step.event else m for m in observed]
    known = step.intended if isinstance(step, CreateEvent) else step.event
    new = ExternalObject(9, "a", "x", "live", '"1"', desired, drifted=False, age=HOUR)
    return [*(m for m in observed if m != known), new]


HOURS = st.integers(0, 24 * 20).map(lambda hours: NOON + hours * HOUR)


@given(st.lists(st.tuples(HOURS, HOURS)))
def test_weeks_contain_the_same_hours(intervals) -> None:
    """Merged and split by week, no hour is lost, doubled, or in another week than its own."""
    window = Window.around(NOON, horizon=timedelta(days=10))
    hours = {start + n * HOUR for start, end in intervals for n in range((end - start) // HOUR)}
    weeks = by_week(intervals, window)
    found = [
        (week, start + n * HOUR)
        for week, during in weeks.items()
        for start, end in during
        for n in range((end - start) // HOUR)
    ]
    expected = [h for h in hours if window.start <= h < window.end]
    assert sorted(found, key=lambda pair: pair[1]) == [(week_name(h), h) for h in sorted(expected)]
    assert set(weeks) <= set(weeks_of(window))


def test_weeks_at_the_turn_of_the_year() -> None:
    """The first days of 2027 belong to the ISO week 2026-W53."""
    assert week_name(datetime(2027, 1, 3, 23, tzinfo=UTC)) == "2026-W53"
    assert week_name(datetime(2027, 1, 4, tzinfo=UTC)) == "2027-W01"


def test_merging() -> None:
    """Touching intervals become one; empty and inverted ones are dropped."""
    a, b, c, d = (NOON + n * HOUR for n in range(4))
    assert merged([(c, d), (a, b), (b, c), (b, b), (c, a)]) == [(a, d)]


@pytest.mark.parametrize("zone", ["America/Santiago", "Africa/Cairo", "Asia/Beirut"])
def test_days_without_a_midnight_leave_no_gap(zone: str) -> None:
    """In zones whose clocks go forward at midnight, each day still begins where the last one ended."""
    days = [datetime(2027, 1, 1, tzinfo=UTC).date() + timedelta(days=n) for n in range(365)]
    for first, second, third in zip(days, days[1:], days[2:], strict=False):
        assert (
            whole_days(first, second, ZoneInfo(zone))[1]
            == (whole_days(second, third, ZoneInfo(zone))[0])
        )


def test_the_user_whom_a_connection_blocks() -> None:
    assert blocked_user("u", ["a", "b"]) == "u"
    assert blocked_user(None, ["a"]) == "a"
    assert blocked_user(None, ["a", "b"]) is None
    assert blocked_user(None, []) is None


def envelope(reason: str) -> dict:
    return {"error": {"errors": [{"reason": reason}]}}


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (400, "invalid", RequestRejected),
        (401, "authError", TokenRejected),
        (403, "rateLimitExceeded", RateLimited),
        (403, "userRateLimitExceeded", RateLimited),
        (403, "dailyLimitExceeded", RateLimited),
        (403, "accessNotConfigured", RateLimited),
        (403, "quotaExceeded", QuotaExceeded),
        (403, "insufficientPermissions", PermissionLost),
        (403, "requiredAccessLevel", PermissionLost),
        (403, "forbiddenForNonOrganizer", RequestRejected),
        (404, "notFound", ObjectNotFound),
        (409, "duplicate", IdTaken),
        (410, "deleted", ObjectNotFound),
        (429, "rateLimitExceeded", RateLimited),
        (429, "", RateLimited),
        (500, "backendError", OutcomeUnknown),
        (503, "", OutcomeUnknown),
        (302, "", OutcomeUnknown),
        (404, "", OutcomeUnknown),  # a proxy's page: says nothing about the event
        (403, "", OutcomeUnknown),
    ],
)
def test_the_error_of_a_response(status, reason, kind) -> None:
    body = envelope(reason) if reason else None
    assert type(error_from_response(status, body, None)) is kind


@given(st.one_of(st.none(), st.integers(), st.text(), st.dictionaries(st.just("error"), st.text())))
def test_a_malformed_envelope_leaves_the_outcome_unknown(body) -> None:
    assert isinstance(error_from_response(404, body, None), OutcomeUnknown)


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
    """Seconds or a date; None for anything else, and for a date in the past."""
    assert parse_retry_after(text, now=NOON) == wait


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
def test_any_listed_event_is_parsed_or_left_out(fields) -> None:
    """No event that a person may create makes the parser raise."""
    parsed = parse_listed_event(fields, ZoneInfo("UTC"))
    assert parsed is None or (
        parsed.id == fields["id"] and (parsed.cancelled or parsed.during is not None)
    )
    assert fields_match(fields, DRAFT) in (True, False)


@given(st.binary(max_size=40))
def test_any_bytes_can_be_parsed(raw) -> None:
    parse_json(raw)


def test_json_nested_too_deeply_is_no_json() -> None:
    assert parse_json(b"[" * 200_000) is None
