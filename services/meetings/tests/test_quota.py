"""A hundred changes a day: counted before they are made, kept for who needs them soon, never one more."""

import asyncio
from datetime import timedelta

import pytest

from hoop_events.base import Personal
from meetings.domain import midnight_after, release_after
from meetings.store import quota

HOUR = timedelta(hours=1)


async def with_limit(new_world, limit, **knobs):
    usual = {"daily_limit": limit, "delete_counts": True, **knobs}
    world = await new_world(knobs=usual, zoom_daily_limit=limit)
    await world.advance_to(midnight_after(world.now) + 12 * HOUR)
    await world.connect()
    return world


async def zoom_counted(world):
    """What Zoom let through and refused, over all days."""
    state = await world.control("state")
    days = [day for user in state["calls"].values() for day in user.values()]
    verbs = ("create", "update", "delete")
    return sum(day.get(v, 0) for day in days for v in verbs), sum(
        day.get("refused", 0) for day in days
    )


async def test_56_what_does_not_fit_into_the_day_waits_and_says_until_when(new_world):
    """The rest is pending until the next 00:00 UTC; nothing beyond the limit is asked."""
    world = await with_limit(new_world, 5)
    booked = [await world.book(start=world.now + (1 + n) * HOUR) for n in range(7)]

    await world.run_workers()

    shown = [await world.meeting_of(one) for one in booked]
    assert [m.state for m in shown] == ["ready"] * 5 + ["pending"] * 2
    assert {(m.reason, m.expected_at) for m in shown[5:]} == {
        ("daily_quota", midnight_after(world.now))
    }
    assert await zoom_counted(world) == (5, 0)


async def test_56_a_reserve_is_kept_for_who_starts_soon(new_world):
    """Of ten calls two are kept for the next 24 hours."""
    world = await with_limit(new_world, 10)
    far = [await world.book(start=world.now + (48 + n) * HOUR) for n in range(10)]
    await world.run_workers()
    assert [(await world.meeting_of(one)).state for one in far] == ["ready"] * 8 + ["pending"] * 2

    soon = [await world.book(start=world.now + HOUR) for _ in range(3)]
    await world.run_workers()

    assert [(await world.meeting_of(one)).state for one in soon] == ["ready"] * 2 + ["pending"]
    assert await zoom_counted(world) == (10, 0)


async def test_57_after_midnight_the_soonest_come_first_and_none_is_lost(new_world):
    """Twelve wait, four a day fit: three more days, in the order of their starts."""
    world = await with_limit(new_world, 5)
    days = [40, 70, 50, 60, 45, 65, 55, 75]
    for day in days:
        await world.book(start=world.now + day * 24 * HOUR)
    await world.run_workers()
    assert len(await world.meetings()) == 4

    provider_user = (await world.db.fetchval("SELECT external_id FROM provider_account")) or ""
    await world.advance_to(release_after(world.now, provider_user))
    await world.run_workers()

    # the simulator lists meetings in the order in which they were made
    made = [meeting["start_time"] for meeting in await world.meetings()]
    assert made == sorted(made)
    assert len(made) == len(days)
    assert await zoom_counted(world) == (8, 0)


async def test_57_not_before_midnight(new_world):
    """A minute before nothing is tried."""
    world = await with_limit(new_world, 5)
    for n in range(6):
        await world.book(start=world.now + (48 + n) * HOUR)
    await world.run_workers()
    await world.advance_to(midnight_after(world.now) - timedelta(minutes=1))
    await world.clear_calls()

    await world.run_workers()

    assert await world.calls() == []


async def test_58_makes_changes_and_drops_count_together(new_world):
    """Attempts count, whatever became of them."""
    world = await with_limit(new_world, 5)
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


async def test_58_a_call_whose_answer_was_lost_has_been_spent(new_world):
    """Otherwise the provider would have counted more than we."""
    world = await with_limit(new_world, 5)
    await world.fault("commit-then-500", "POST", times=1)
    await world.book(start=world.now + HOUR)

    await world.run_workers()

    assert await world.db.fetchval("SELECT sum(calls) FROM provider_call_quota") == 1


async def test_58_replicas_count_on_one_ledger(new_world):
    """Fifty ask at once for the last five calls: five get one."""
    world = await with_limit(new_world, 5)
    day = world.now.date()

    async def ask(n):
        account_id = world.tenant.user_ids[n % 2]  # two accounts of ours, one user of Zoom's
        async with world.db.transaction() as db:
            return await quota.upsert_call(db, account_id, "zoom", "ada", day=day, allowance=5)

    granted = await asyncio.gather(*(ask(n) for n in range(50)))

    assert sum(granted) == 5


async def test_an_edit_never_touches_the_reserve(new_world):
    """The title follows tomorrow; the link is as good as it was."""
    world = await with_limit(new_world, 5)
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
async def test_zoom_itself_may_say_that_the_day_is_used_up(new_world, bare):
    """Other apps of the host spend there, too. Observed: without a header, only in words."""
    world = await with_limit(new_world, 50)
    await world.control("settings", {"daily_limit": 2, "bare_429": bare})
    booked = [await world.book(start=world.now + 14 * HOUR) for _ in range(5)]
    await world.run_workers()

    shown = [await world.meeting_of(one) for one in booked]
    assert sorted(m.state for m in shown) == ["pending"] * 3 + ["ready"] * 2
    assert {m.reason for m in shown} == {"daily_quota", None}
    assert await zoom_counted(world) == (2, 1)

    await world.control("settings", {"daily_limit": 50})
    await world.advance_to(midnight_after(world.now) + timedelta(minutes=2))
    await world.run_workers()
    assert len(await world.meetings()) == 5


async def test_two_accounts_that_share_a_zoom_user_share_its_day(new_world):
    """The limit is Zoom's, for its user."""
    world = await with_limit(new_world, 5)
    day = world.now.date()
    async with world.db.transaction() as db:
        who = (world.tenant.location_id, "zoom", "ada")
        for _ in range(5):
            assert await quota.upsert_call(db, *who, day=day, allowance=5)
        other = (world.tenant.account_id, "zoom", "ada")
        assert not await quota.upsert_call(db, *other, day=day, allowance=5)
        assert await quota.upsert_call(db, *other, day=day + timedelta(days=1), allowance=5)
