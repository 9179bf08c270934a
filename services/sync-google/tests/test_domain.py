"""Domain functions and parsers: event ids, drafts, the next step, weeks, Google's error responses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoop_events.base import Personal
from hoop_events.booking import Appointment, Meeting
from hoop_events.calendar_uid import calendar_uid
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
from hoop_platform.reconcile.observed_state import (
    ExternalObject,
    ObservedAccount,
    ObservedState,
)
from hoop_platform.reconcile.plan import Create, Delete, InSync, Step, Update
from sync_google.domain.busy import (
    Window,
    blocked_user,
    by_week,
    merged,
    week_name,
    weeks_of,
    whole_days,
)
from sync_google.domain.identifiers import event_id, event_subject
from sync_google.domain.plan import DesiredEvent, EventDraft, draft_of, plan
from sync_google.providers.google.error_responses import error_from_response
from sync_google.providers.google.parsing import fields_match, parse_json, parse_listed_event

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DRAFT = EventDraft("Ada and Bob", "Bring it", "Main Street", NOON, NOON + HOUR, "UTC")
EVENT = DesiredEvent(DRAFT, sequence=1)
NO_EVENT = DesiredEvent(None, sequence=1)
ADA = ObservedAccount("c", active=True, reason=None, external_id="ada", settings={})
LIVE = ExternalObject(
    1, "live", "c", "x1", EVENT.content, {"calendar": "ada", "etag": '"1"'}, age=HOUR
)
DRIFTED = replace(LIVE, data={**LIVE.data, "drift": "changed"})
ELSEWHERE = replace(LIVE, data={"calendar": "bob"})
INTENDED = replace(LIVE, state="intended", content=None)


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


@given(st.integers(1, 40_000), st.integers(1, 40_000), st.booleans())
def test_each_generation_has_an_id_of_its_own(one: int, other: int, same: bool) -> None:
    """Ids consist of the characters that Google allows; two connections never choose the same."""
    appointment_id, connection_id = new_id(), new_id()
    first = event_id(event_subject(appointment_id, connection_id), one)
    assert first.startswith(appointment_id + connection_id)
    assert set(first) <= set("0123456789abcdefghijklmnopqrstuv")
    assert int(first[52:], 32) == one
    subject = event_subject(appointment_id, connection_id if same else new_id())
    assert (first == event_id(subject, other)) == (same and one == other)


@given(st.integers(1, 40_000))
def test_the_first_id_is_used_once(generation: int) -> None:
    """The first event of the connection that has it, and no other event."""
    appointment_id = new_id()
    subject = event_subject(appointment_id, new_id())
    first, later = event_id(subject, 1, has_first_id=True), event_id(subject, generation)
    assert f"{first}@google.com" == calendar_uid(appointment_id)
    assert later != first
    if generation > 1:
        assert event_id(subject, generation, has_first_id=True) == later


def test_a_title_is_read_in_the_direction_of_its_letters() -> None:
    title = Personal(title="Pay \u202eexe.lacol\u2066 now")
    assert draft_of(appointment(personal=title)).summary == "Pay exe.lacol now"


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
    ("desired", "objects", "step"),
    [
        (NO_EVENT, [], InSync()),
        (EVENT, [], Create(1)),
        (EVENT, [LIVE], InSync()),
        (NO_EVENT, [LIVE], Delete(LIVE)),
        (EVENT, [replace(LIVE, state="gone")], Create(2)),
        (EVENT, [replace(LIVE, state="abandoned")], Create(2)),
        (NO_EVENT, [replace(LIVE, state="abandoned")], InSync()),
        (EVENT, [DRIFTED], Update(DRIFTED)),
        (EVENT, [replace(LIVE, content=None)], Update(replace(LIVE, content=None))),
        (EVENT, [INTENDED], Create(1)),
        (NO_EVENT, [INTENDED], Delete(INTENDED)),
        (EVENT, [ELSEWHERE], Delete(ELSEWHERE)),
        (
            EVENT,
            [replace(INTENDED, data={"calendar": "bob"})],
            Delete(replace(INTENDED, data={"calendar": "bob"})),
        ),
        (EVENT, [replace(LIVE, state="to_delete")], Delete(replace(LIVE, state="to_delete"))),
        (EVENT, [LIVE, replace(INTENDED, generation=2)], Delete(replace(INTENDED, generation=2))),
    ],
)
def test_the_next_step(desired, objects, step) -> None:
    """One event if one is desired, in the right calendar, with the right fields; no other event."""
    assert plan(desired, ObservedState(ADA, objects), lost_calls="repeated") == step


@pytest.mark.parametrize("desired", [EVENT, NO_EVENT])
@pytest.mark.parametrize("objects", [[], [LIVE], [INTENDED], [replace(LIVE, state="abandoned")]])
def test_nothing_is_done_through_an_ended_connection(desired, objects) -> None:
    """Google is not called again: what exists there stays."""
    assert plan(desired, ObservedState(None, objects), lost_calls="repeated") == InSync()


@st.composite
def observed_states(draw) -> ObservedState:
    """Any objects of the subject, one of them live at most, as the database guarantees."""
    objects = draw(
        st.lists(
            st.builds(
                ExternalObject,
                generation=st.integers(1, 5),
                state=st.sampled_from(["intended", "live", "to_delete", "gone", "abandoned"]),
                connection_id=st.sampled_from(["c", "c", "ended"]),
                content=st.sampled_from([EVENT.content, None]),
                data=st.fixed_dictionaries(
                    {"calendar": st.sampled_from(["ada", "bob"])}, optional={"drift": st.just("x")}
                ),
            ),
            max_size=4,
            unique_by=(
                lambda found: found.generation,
                lambda found: found.state == "live" or found.generation,
            ),
        )
    )
    return ObservedState(ADA, objects)


@given(observed_states(), st.sampled_from([EVENT, NO_EVENT]))
def test_steps_end_with_the_desired_state(observed: ObservedState, desired: DesiredEvent) -> None:
    """From any observed state, when no step is left exactly the desired event exists."""
    for _ in range(12):
        step = plan(desired, observed, lost_calls="repeated")
        if isinstance(step, InSync):
            break
        observed = observed.with_objects(after_step(step, desired))
    there = [found for found in observed.ours if found.may_exist]
    assert [(found.data, found.state, found.content) for found in there] == (
        [({"calendar": "ada"}, "live", desired.content)] if desired.draft else []
    )


def after_step(step: Step, desired: DesiredEvent) -> ExternalObject:
    match step:
        case Delete(found):
            return replace(found, state="gone", content=None)
        case Create(generation) | Update(ExternalObject(generation=generation)):
            return ExternalObject(
                generation, "live", "c", "x", desired.content, {"calendar": "ada"}
            )
    raise AssertionError(step)


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
