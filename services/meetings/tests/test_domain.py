"""The domain: the desired meeting, the next step, the status shown, and the daily quota."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoop_platform.ids import new_id
from hoop_platform.reconcile.observed_state import (
    SETTLE_TIME,
    ExternalObject,
    ObservedAccount,
    ObservedState,
)
from hoop_platform.reconcile.plan import Create, Delete, InSync, LookUp, Update, WaitFor
from hoop_platform.reconcile.quota import allowance, is_urgent, midnight_after, release_after
from hoop_platform.reconcile.reconciler import Obstacle
from meetings.domain.plan import detached, plan
from meetings.domain.sessions import DesiredMeeting, MeetingKey
from meetings.domain.status import meeting_status

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOST, US, THEM = new_id(), new_id(), new_id()
ACTIVE = ObservedAccount(US, True, None, "ada", {})
DESIRED = DesiredMeeting("needed", HOST, NOW + HOUR, NOW + 2 * HOUR, "UTC", "Title")
JOIN_URL = "https://zoom.us/j/81"
LIVE = ExternalObject(
    1, "live", US, "81", content=DESIRED.content, data={"joinUrl": JOIN_URL}, age=HOUR
)


def test_a_desired_meeting_equals_itself_after_json():
    """To JSON and back."""
    assert DesiredMeeting.from_json({**DESIRED.to_json(), "connection": None}) == DESIRED


@pytest.mark.parametrize(
    ("length", "minutes"),
    [(0, 1), (1, 1), (60, 1), (61, 2), (3600, 60), (3601, 61), (10**6, 1440)],
)
def test_the_length_is_in_whole_minutes_rounded_up(length, minutes):
    """Providers accept 1 to 1440."""
    desired = replace(DESIRED, end=DESIRED.start + timedelta(seconds=length))
    assert desired.minutes == minutes


def test_a_meeting_key_can_be_read_from_its_subject():
    key = MeetingKey(new_id(), new_id(), "zoom")
    assert MeetingKey.from_subject(key.account_id, key.subject) == key


OBJECTS = st.builds(
    ExternalObject,
    generation=st.just(0),
    connection_id=st.sampled_from([US, THEM]),
    state=st.sampled_from(["intended", "live", "to_delete", "gone", "abandoned"]),
    external_id=st.just("81"),
    content=st.sampled_from([None, DESIRED.content, {"topic": "Old", "minutes": 60}]),
    data=st.sampled_from([{}, {"joinUrl": JOIN_URL}]),
    looked_up=st.booleans(),
    age=st.sampled_from([timedelta(), SETTLE_TIME - timedelta(seconds=1), SETTLE_TIME, HOUR]),
)
"""Any external object. A session has one live meeting at most: a unique index ensures it."""


def numbered(objects):
    lives = [n for n, one in enumerate(objects) if one.state == "live"]
    kept = [one for n, one in enumerate(objects) if n not in lives[1:]]
    return [replace(one, generation=n + 1) for n, one in enumerate(kept)]


class Provider:
    """The effect of each step at a provider: a call without a response may have worked or not."""

    def __init__(self, objects, data):
        self.objects, self.data = {m.generation: m for m in objects}, data

    def take(self, step, account):
        match step:
            case LookUp():
                self._look_up(account)
            case Create(generation):
                self.objects[generation] = replace(
                    LIVE, generation=generation, connection_id=account.connection_id
                )
            case Delete(meeting):
                self.objects[meeting.generation] = replace(meeting, state="gone")
            case Update(meeting):
                self.objects[meeting.generation] = replace(meeting, content=DESIRED.content)
            case WaitFor(wait):
                self.objects = {g: replace(m, age=m.age + wait) for g, m in self.objects.items()}

    def _look_up(self, account):
        for intended in list(self.objects.values()):
            if intended.state != "intended" or intended.connection_id != account.connection_id:
                continue
            if self.data.draw(st.booleans()):
                has_live = any(m.state == "live" for m in self.objects.values())
                state = "to_delete" if has_live else "live"
                found = replace(LIVE, generation=intended.generation, state=state)
                self.objects[intended.generation] = found
            else:
                state = "gone" if intended.age >= SETTLE_TIME else "intended"
                self.objects[intended.generation] = replace(intended, state=state, looked_up=True)


@given(
    objects=st.lists(OBJECTS, max_size=4).map(numbered),
    phase=st.sampled_from(["needed", "unconfirmed", "unneeded"]),
    data=st.data(),
)
def test_from_any_state_the_steps_lead_to_the_desired_meeting(objects, phase, data):
    """Exactly one live meeting if one is needed and none is detached, else none; and no endless loop."""
    desired, provider = replace(DESIRED, phase=phase), Provider(objects, data)
    history = {m.generation: m for m in objects if m.connection_id == THEM}
    for _ in range(40):
        observed = ObservedState(ACTIVE, list(provider.objects.values()))
        step = plan(desired, observed, lost_calls="found", now=NOW)
        if isinstance(step, InSync):
            break
        provider.take(step, ACTIVE)
    else:
        pytest.fail("the steps never end")

    ours = [m for m in provider.objects.values() if m.connection_id == US]
    live = [m for m in ours if m.state == "live"]
    least = phase == "needed" and detached(observed) is None
    assert least <= len(live) <= (phase == "needed")
    assert not [m for m in ours if m.state in ("intended", "to_delete")]
    states = {g: provider.objects[g].state for g in history}
    assert states == {g: m.state for g, m in history.items()}


@given(objects=st.lists(OBJECTS, max_size=4).map(numbered))
def test_after_the_session_nothing_is_changed(objects):
    """Half-open: the end is after the session."""
    observed = ObservedState(ACTIVE, objects)
    assert plan(DESIRED, observed, lost_calls="found", now=DESIRED.end) == InSync()


def test_a_link_is_shown_as_soon_as_there_is_one():
    """Even if the last attempt has failed."""
    observed, down = ObservedState(ACTIVE, [LIVE]), Obstacle("down", "no response")
    meeting = meeting_status("zoom", "Zoom", DESIRED, observed, down, now=NOW)
    assert (meeting.state, meeting.join_url, meeting.reason) == ("ready", JOIN_URL, None)


@pytest.mark.parametrize(
    ("account", "reason", "again"),
    [
        (None, "connect_zoom", False),
        (ObservedAccount(US, False, "awaiting_authorization", None, {}), "connect_zoom", False),
        (ObservedAccount(US, False, "reconnect_needed", "ada", {}), "connect_zoom", True),
        (ObservedAccount(US, False, "waiting_for_admin", None, {}), "waiting_for_admin", False),
    ],
)
def test_a_host_who_is_not_connected_sees_what_to_do(account, reason, again):
    """Connect, connect again, or wait for the administrator."""
    meeting = meeting_status("zoom", "Zoom", DESIRED, ObservedState(account, []), now=NOW)
    assert (meeting.state, meeting.reason) == ("blocked", reason)
    assert ("again" in meeting.message) is again


def test_a_session_that_ended_without_a_link_is_too_late():
    """The host is not asked to connect any more."""
    meeting = meeting_status("zoom", "Zoom", DESIRED, ObservedState(None, []), now=DESIRED.end)
    assert (meeting.state, meeting.reason) == ("failed", "too_late")


@pytest.mark.parametrize(
    ("obstacle", "state", "reason"),
    [
        ("quota", "pending", "daily_quota"),
        ("down", "pending", "provider_down"),
        ("busy", "pending", "provider_busy"),
        ("rejected", "failed", "rejected"),
        ("unusable", "failed", "unverifiable_link"),
    ],
)
def test_every_obstacle_has_a_message_for_people(obstacle, state, reason):
    """With the provider's name."""
    observed = ObservedState(ACTIVE, [])
    meeting = meeting_status(
        "teams", "Microsoft Teams", DESIRED, observed, Obstacle(obstacle, "x"), now=NOW
    )
    assert (meeting.state, meeting.reason) == (state, reason)
    assert "Microsoft Teams" in meeting.message


@pytest.mark.parametrize(("limit", "far"), [(100, 80), (10, 8), (5, 4), (1, 1), (100_000, 99_980)])
def test_a_reserve_is_kept_of_each_day(limit, far):
    """Twenty calls, or a fifth of small limits."""
    assert (allowance(limit, urgent=False), allowance(limit, urgent=True)) == (far, limit)


def test_soon_means_within_a_day():
    """Half-open, as all our intervals."""
    assert is_urgent(NOW + 24 * HOUR - timedelta(seconds=1), now=NOW)
    assert not is_urgent(NOW + 24 * HOUR, now=NOW)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 -- the zone is given beside it
def test_the_next_day_begins_at_midnight_utc(now):
    """Within 24 hours; all desired states of a user are released at one moment within a minute."""
    midnight = midnight_after(now)
    assert timedelta() < midnight - now <= 24 * HOUR
    assert (midnight.hour, midnight.minute, midnight.second) == (0, 0, 0)
    assert timedelta() < release_after(now, "ada") - midnight <= timedelta(minutes=1)


def test_users_are_released_at_moments_of_their_own():
    """Not all at once."""
    assert len({release_after(NOW, f"user {n}") for n in range(50)}) > 20
