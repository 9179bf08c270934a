"""The daily quota: counted before each call, a reserve for sessions that start soon, never exceeded."""

import asyncio
from datetime import timedelta

import pytest

from hoop_events.base import Personal
from hoop_platform.reconcile.quota import CLOCK_DOUBT, midnight_after, release_after

HOUR = timedelta(hours=1)
DAILY_REFUSAL = {
    "code": 429,
    "message": "You have exceeded the daily rate limit (100) of Meeting Create/Update API requests.",
}


async def world_with_limit(new_world, limit):
    knobs = {"daily_limit": limit, "delete_counts": True}
    world = await new_world(knobs=knobs, zoom_daily_limit=limit)
    await world.advance_to(midnight_after(world.now) + 12 * HOUR)
    await world.connect()
    return world


async def zoom_counted(world):
    """The calls that Zoom accepted and refused, over all days."""
    state = await world.control("state")
    days = [day for user in state["calls"].values() for day in user.values()]
    verbs = ("create", "update", "delete")
    return sum(day.get(v, 0) for day in days for v in verbs), sum(
        day.get("refused", 0) for day in days
    )


async def count_call(world, account_id, day):
    """Count a call of Ada's at Zoom, five of which are allowed a day."""
    return await world.db.fetchval("SELECT count_call($1, 'zoom', 'ada', $2, 5)", account_id, day)


async def test_56_meetings_beyond_the_quota_are_pending_until_midnight(new_world):
    """The next 00:00 UTC; no call beyond the limit is made."""
    world = await world_with_limit(new_world, 5)
    booked = [await world.book(start=world.now + (1 + n) * HOUR) for n in range(7)]

    await world.run_workers()

    meetings = [await world.meeting_of(one) for one in booked]
    assert [m.state for m in meetings] == ["ready"] * 5 + ["pending"] * 2
    assert {(m.reason, m.expected_at) for m in meetings[5:]} == {
        ("daily_quota", midnight_after(world.now))
    }
    assert await zoom_counted(world) == (5, 0)


async def test_56_a_reserve_is_kept_for_sessions_that_start_soon(new_world):
    """Of ten calls, two are kept for the sessions of the next 24 hours."""
    world = await world_with_limit(new_world, 10)
    far = [await world.book(start=world.now + (48 + n) * HOUR) for n in range(10)]
    await world.run_workers()
    assert [(await world.meeting_of(one)).state for one in far] == ["ready"] * 8 + ["pending"] * 2

    soon = [await world.book(start=world.now + HOUR) for _ in range(3)]
    await world.run_workers()

    assert [(await world.meeting_of(one)).state for one in soon] == ["ready"] * 2 + ["pending"]
    assert await zoom_counted(world) == (10, 0)


async def test_57_after_midnight_the_soonest_come_first_and_none_is_lost(new_world):
    """Twelve wait, four a day fit: three more days, in the order of their starts."""
    world = await world_with_limit(new_world, 5)
    days = [40, 70, 50, 60, 45, 65, 55, 75]
    for day in days:
        await world.book(start=world.now + day * 24 * HOUR)
    await world.run_workers()
    assert len(await world.meetings()) == 4

    provider_user = (await world.db.fetchval("SELECT external_id FROM provider_account")) or ""
    await world.advance_to(release_after(world.now, provider_user))
    await world.run_workers()

    # the simulator lists meetings in the order in which they were created
    starts = [meeting["start_time"] for meeting in await world.meetings()]
    assert starts == sorted(starts)
    assert len(starts) == len(days)
    assert await zoom_counted(world) == (8, 0)


async def test_57_not_before_midnight(new_world):
    """A minute before, no call is made."""
    world = await world_with_limit(new_world, 5)
    for n in range(6):
        await world.book(start=world.now + (48 + n) * HOUR)
    await world.run_workers()
    await world.advance_to(midnight_after(world.now) - timedelta(minutes=1))
    await world.clear_calls()

    await world.run_workers()

    assert await world.calls() == []


async def test_58_creates_updates_and_deletes_count_together(new_world):
    """Each call counts, whatever its outcome."""
    world = await world_with_limit(new_world, 5)
    start = world.now + 2 * HOUR
    first, second = await world.book(start=start), await world.book(start=start)
    await world.run_workers()
    await world.cancel(first)
    await world.edit(second, personal=Personal(title="Another matter"))
    await world.run_workers()
    last = [await world.book(start=start) for _ in range(2)]
    await world.run_workers()

    assert await world.count_writes() == {"C": 3, "U": 1, "D": 1}
    assert sorted([(await world.meeting_of(one)).state for one in last]) == ["pending", "ready"]
    assert await zoom_counted(world) == (5, 0)


async def test_58_a_call_without_a_response_counts(new_world):
    """Otherwise the provider would count more calls than we do."""
    world = await world_with_limit(new_world, 5)
    await world.fault("commit-then-500", "POST", times=1)
    await world.book(start=world.now + HOUR)

    await world.run_workers()

    assert await world.db.fetchval("SELECT sum(calls) FROM provider_quota") == 1


async def test_58_replicas_share_one_count(new_world):
    """Of fifty simultaneous calls, the five that the quota allows are counted."""
    world = await world_with_limit(new_world, 5)
    day = world.now.date()

    async def count(n):
        account_id = world.tenant.user_ids[n % 2]  # two accounts of ours, one user of Zoom's
        return await count_call(world, account_id, day)

    counted = await asyncio.gather(*(count(n) for n in range(50)))

    assert sum(counted) == 5


async def test_an_update_never_uses_the_reserve(new_world):
    """The title is updated the next day; the link stays ready."""
    world = await world_with_limit(new_world, 5)
    booked = [await world.book(start=world.now + 14 * HOUR) for _ in range(4)]
    await world.run_workers()

    await world.edit(booked[0], personal=Personal(title="Another matter"))
    await world.run_workers()
    assert await world.count_writes() == {"C": 4}
    assert [m.state for m in await world.announcements(booked[0])] == ["ready"]

    await world.advance_to(midnight_after(world.now) + timedelta(minutes=2))
    await world.run_workers()
    assert (await world.count_writes())["U"] == 1


@pytest.mark.parametrize("bare", [True, False])
async def test_zoom_itself_may_refuse_for_the_rest_of_the_day(new_world, bare):
    """Other apps of the host use the same quota. `bare`: no header names the limit, only the message."""
    world = await world_with_limit(new_world, 50)
    await world.control("settings", {"daily_limit": 2, "bare_429": bare})
    booked = [await world.book(start=world.now + 14 * HOUR) for _ in range(5)]
    await world.run_workers()

    meetings = [await world.meeting_of(one) for one in booked]
    assert sorted(m.state for m in meetings) == ["pending"] * 3 + ["ready"] * 2
    assert {m.reason for m in meetings} == {"daily_quota", None}
    assert await zoom_counted(world) == (2, 1)

    await world.control("settings", {"daily_limit": 50})
    await world.advance_to(midnight_after(world.now) + timedelta(minutes=2))
    await world.run_workers()
    assert len(await world.meetings()) == 5


async def test_a_refusal_that_is_read_after_midnight_is_about_the_day_before(new_world):
    """The call was counted for the old day, and so is its response; the new day begins unused."""
    world = await world_with_limit(new_world, 50)
    await world.control("settings", {"daily_limit": 1})
    start, old_day = world.now + 60 * HOUR, world.now.date()
    await world.book(start=start)
    await world.run_workers()
    await world.clear_calls()
    last = await world.book(start=start)
    await world.advance_to(midnight_after(world.now) - timedelta(seconds=5))
    await world.fault("hang-after-commit:0.5", "POST", "/meetings$", times=1)

    await world.run_during_call(
        world.run_workers(), world.advance(timedelta(seconds=10)), method="POST"
    )

    days = await world.db.fetch("SELECT day FROM provider_quota WHERE exhausted")
    assert [row["day"] for row in days] == [old_day]
    await world.advance(timedelta(minutes=2))
    await world.run_workers()
    assert (await world.meeting_of(last)).state == "ready"


async def test_a_refusal_right_after_our_midnight_is_doubted(new_world):
    """Zoom's clock is behind ours: for Zoom it is still the day whose calls are used up."""
    world = await world_with_limit(new_world, 50)
    booked = [await world.book(start=world.now + (60 + n) * HOUR) for n in range(3)]
    await world.advance_to(midnight_after(world.now) + timedelta(seconds=30))
    await world.fault("status:429", "POST", "/meetings$", times=1, body=DAILY_REFUSAL)

    await world.run_workers()

    assert await world.count_writes() == {"C": 1}  # the circuit spares the user the other refusals
    assert not await world.db.fetch("SELECT FROM provider_quota WHERE exhausted")
    await world.advance(CLOCK_DOUBT)
    await world.run_workers()
    assert [(await world.meeting_of(one)).state for one in booked] == ["ready"] * 3


async def test_a_refusal_after_that_is_believed_at_the_first_call(new_world):
    """Other apps may have used up the day; then one call is refused, not one for each meeting."""
    world = await world_with_limit(new_world, 50)
    for n in range(3):
        await world.book(start=world.now + (60 + n) * HOUR)
    await world.advance_to(midnight_after(world.now) + CLOCK_DOUBT)
    await world.fault("status:429", "POST", "/meetings$", body=DAILY_REFUSAL)

    await world.run_workers()

    assert await world.count_writes() == {"C": 1}


async def test_two_accounts_with_one_zoom_user_share_its_quota(new_world):
    """The limit is Zoom's, for its user."""
    world = await world_with_limit(new_world, 5)
    day = world.now.date()
    for _ in range(5):
        assert await count_call(world, world.tenant.location_id, day)
    assert not await count_call(world, world.tenant.account_id, day)
    assert await count_call(world, world.tenant.account_id, day + timedelta(days=1))
