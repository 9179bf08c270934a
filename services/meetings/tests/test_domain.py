"""The rules alone: what a session asks for, what to do next, what to show, what a day allows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoop_platform.ids import new_id
from meetings.domain import (
    SETTLE,
    Access,
    Create,
    Drop,
    Edit,
    LookLater,
    LookUp,
    Made,
    NoAccess,
    Place,
    Rest,
    Wanted,
    World,
    allowance,
    failed,
    is_urgent,
    midnight_after,
    next_step,
    pending,
    release_after,
    shown,
)

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOST, US, THEM = new_id(), new_id(), new_id()
ACTIVE = Access(US, True, None, "ada", 3)
WANTED = Wanted("wanted", HOST, NOW + HOUR, NOW + 2 * HOUR, "UTC", "Title")
LIVE = Made(1, US, "live", "81", "https://zoom.us/j/81", "Title", 60, looked=False, age=HOUR)


def test_a_wish_survives_being_written_down():
    """As JSON and back."""
    assert Wanted.from_json({**WANTED.as_json(), "connection": None}) == WANTED


@pytest.mark.parametrize(
    ("length", "minutes"),
    [(0, 1), (1, 1), (60, 1), (61, 2), (3600, 60), (3601, 61), (10**6, 1440)],
)
def test_a_length_is_told_in_whole_minutes_rounded_up(length, minutes):
    """Providers take 1 to 1440."""
    wanted = replace(WANTED, end=WANTED.start + timedelta(seconds=length))
    assert wanted.minutes == minutes


def test_a_place_is_named_by_its_subject():
    place = Place(new_id(), new_id(), "zoom")
    assert Place.of(place.account_id, place.subject) == place


MADE = st.builds(
    Made,
    generation=st.just(0),
    connection_id=st.sampled_from([US, THEM]),
    state=st.sampled_from(["intended", "live", "to_delete", "gone", "abandoned"]),
    external_id=st.just("81"),
    join_url=st.sampled_from([None, "https://zoom.us/j/81"]),
    topic=st.sampled_from(["Title", "Old"]),
    minutes=st.just(60),
    looked=st.booleans(),
    age=st.sampled_from([timedelta(), SETTLE - timedelta(seconds=1), SETTLE, HOUR]),
)
"""Any reference. A session has one live meeting at most: the database sees to that."""


def numbered(made):
    lives = [n for n, one in enumerate(made) if one.state == "live"]
    kept = [one for n, one in enumerate(made) if n not in lives[1:]]
    return [replace(one, generation=n + 1) for n, one in enumerate(kept)]


class Provider:
    """What happens when a step is taken: every lost call may turn out either way."""

    def __init__(self, made, truths):
        self.made, self.truths = {m.generation: m for m in made}, truths

    def take(self, step, access):
        match step:
            case LookUp():
                self._look(access)
            case Create(generation):
                self.made[generation] = replace(
                    LIVE, generation=generation, connection_id=access.connection_id
                )
            case Drop(made):
                self.made[made.generation] = replace(made, state="gone")
            case Edit(made):
                self.made[made.generation] = replace(made, topic="Title", minutes=60)
            case LookLater(wait):
                self.made = {g: replace(m, age=m.age + wait) for g, m in self.made.items()}

    def _look(self, access):
        for made in list(self.made.values()):
            if made.state != "intended" or made.connection_id != access.connection_id:
                continue
            if self.truths.draw(st.booleans()):
                state = (
                    "to_delete" if any(m.state == "live" for m in self.made.values()) else "live"
                )
                found = replace(LIVE, generation=made.generation, state=state)
                self.made[made.generation] = found
            else:
                state = "gone" if made.age >= SETTLE else "intended"
                self.made[made.generation] = replace(made, state=state, looked=True)


@given(
    made=st.lists(MADE, max_size=4).map(numbered),
    phase=st.sampled_from(["wanted", "awaiting", "over"]),
    data=st.data(),
)
def test_whatever_was_left_behind_step_by_step_it_becomes_right(made, phase, data):
    """Exactly one meeting of ours where one is wanted and none is history; none elsewhere; no loop."""
    wanted, provider = replace(WANTED, phase=phase), Provider(made, data)
    history = {m.generation: m for m in made if m.connection_id == THEM}
    for _ in range(40):
        world = World(ACTIVE, list(provider.made.values()))
        step = next_step(wanted, world, now=NOW)
        if isinstance(step, Rest):
            break
        provider.take(step, ACTIVE)
    else:
        pytest.fail("it never comes to rest")

    ours = [m for m in provider.made.values() if m.connection_id == US]
    live = [m for m in ours if m.state == "live"]
    least = phase == "wanted" and world.detached is None
    assert least <= len(live) <= (phase == "wanted")
    assert not [m for m in ours if m.state in ("intended", "to_delete")]
    assert {g: provider.made[g].state for g in history} == {g: m.state for g, m in history.items()}


@given(made=st.lists(MADE, max_size=4).map(numbered), ended=st.booleans())
def test_without_access_no_step_calls(made, ended):
    """Nor when all is over."""
    access = None if ended else replace(ACTIVE, active=False)
    step = next_step(WANTED, World(access, made), now=NOW)
    assert isinstance(step, Rest | NoAccess)
    assert next_step(WANTED, World(ACTIVE, made), now=WANTED.end) == Rest()


def test_a_link_is_shown_as_soon_as_there_is_one():
    """Whatever trouble there was on the way."""
    down = pending("zoom", "provider_down")
    meeting = shown("zoom", WANTED, World(ACTIVE, [LIVE]), now=NOW, trouble=down)
    assert (meeting.state, meeting.join_url, meeting.reason) == ("ready", LIVE.join_url, None)


@pytest.mark.parametrize(
    ("access", "reason", "again"),
    [
        (None, "connect_zoom", False),
        (Access(US, False, "awaiting_authorization", None, 1), "connect_zoom", False),
        (Access(US, False, "reconnect_needed", "ada", 4), "connect_zoom", True),
        (Access(US, False, "waiting_for_admin", None, 2), "waiting_for_admin", False),
    ],
)
def test_who_is_not_connected_is_told_what_to_do(access, reason, again):
    """Connect, connect again, or wait for the administrator."""
    meeting = shown("zoom", WANTED, World(access, []), now=NOW)
    assert (meeting.state, meeting.reason) == ("blocked", reason)
    assert ("again" in meeting.message) is again


def test_what_is_over_without_a_link_says_that_it_is_too_late():
    """Not that the host should connect."""
    meeting = shown("zoom", WANTED, World(None, []), now=WANTED.end)
    assert (meeting.state, meeting.reason) == ("failed", "too_late")


def test_every_trouble_says_something_to_people():
    """With the provider's name."""
    for reason in ("daily_quota", "provider_down", "provider_busy"):
        assert "Zoom" in pending("zoom", reason).message
    for reason in ("rejected", "unverifiable_link"):
        assert "Microsoft Teams" in failed("teams", reason).message


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
    """Within 24 hours, and all of a user's wishes are released at one moment soon after."""
    midnight = midnight_after(now)
    assert timedelta() < midnight - now <= 24 * HOUR
    assert (midnight.hour, midnight.minute, midnight.second) == (0, 0, 0)
    assert timedelta() < release_after(now, "ada") - midnight <= timedelta(minutes=1)


def test_users_are_released_at_moments_of_their_own():
    """Not all at once."""
    assert len({release_after(NOW, f"user {n}") for n in range(50)}) > 20
