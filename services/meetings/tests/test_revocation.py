"""Disconnecting ends with one last call: the grant is revoked at Zoom, once nobody uses it any more."""

import asyncio
from datetime import timedelta

import pytest

from hoop_platform.reconcile.claims import Position, claim_due
from meetings.__main__ import service

REVOKE = "POST /oauth/revoke"


async def api_calls(world):
    """All requests that Zoom received since the last `clear_calls`."""
    return [f"{entry['method']} {entry['path']}" for entry in await world.control("log")]


async def credentials(world):
    return await world.db.fetchval("SELECT count(*) FROM credential")


async def test_the_tokens_are_kept_for_one_call_and_then_deleted(new_world):
    """Not in the request: a Zoom that is down delays nobody's disconnection."""
    world = await new_world()
    connection_id = await world.connect()
    await world.clear_calls()

    await world.disconnect(connection_id)
    assert (await api_calls(world), await credentials(world)) == ([], 1)
    await world.run_workers()

    assert (await api_calls(world), await credentials(world)) == ([REVOKE], 0)


async def test_a_second_disconnection_revokes_nothing(new_world):
    world = await new_world()
    connection_id = await world.connect()
    await world.disconnect(connection_id)
    await world.run_workers()
    await world.clear_calls()

    await world.disconnect(connection_id)
    await world.run_workers()

    assert await api_calls(world) == []


async def test_zoom_is_down_and_hears_of_it_later(new_world):
    world = await new_world()
    connection_id = await world.connect()
    await world.fault("status:503", path="^/oauth/revoke", times=2)
    await world.disconnect(connection_id)
    await world.run_workers()
    assert await credentials(world) == 1

    await world.settle()

    assert await credentials(world) == 0
    assert (await api_calls(world)).count(REVOKE) == 3


async def test_a_process_that_dies_before_the_call_leaves_it_to_the_next(new_world):
    """It has leased the desired state, and nothing else."""
    world = await new_world()
    connection_id = await world.connect()
    await world.disconnect(connection_id)
    await claim_due(world.db, service.reconciles, 8, Position())
    await world.clear_calls()

    await world.settle()

    assert (await api_calls(world), await credentials(world)) == ([REVOKE], 0)


async def test_a_grant_that_another_user_of_ours_uses_stays(new_world):
    """Two users share a Zoom account: the first to leave takes nothing from the other."""
    world = await new_world()
    first, other = [await world.connect(host) for host in world.tenant.user_ids[:2]]
    await world.disconnect(first)
    await world.clear_calls()
    await world.run_workers()
    assert (await api_calls(world), await credentials(world)) == ([], 1)

    await world.disconnect(other)
    await world.run_workers()

    assert (await api_calls(world), await credentials(world)) == ([REVOKE], 0)


async def test_a_zoom_user_that_another_account_uses_keeps_the_grant(new_world):
    """Zoom has one grant of its user to our app, whichever account of ours it serves."""
    world = await new_world()
    connection_id = await world.connect()
    row = await world.db.fetchrow("SELECT external_id FROM provider_account")
    await elsewhere_connected(world, row["external_id"])
    await world.disconnect(connection_id)
    await world.clear_calls()

    await world.run_workers()

    assert await api_calls(world) == []
    assert await credentials(world) == 1


async def elsewhere_connected(world, external_id):
    """Another account of ours has connected the same user of Zoom."""
    await world.db.execute(
        """
        WITH kept AS (
            INSERT INTO credential (account_id, id, provider, provider_user, sealed, scopes,
                                    fresh_until, created_at, updated_at)
            SELECT gen_random_uuid(), gen_random_uuid(), provider, provider_user, sealed, scopes,
                   fresh_until, created_at, updated_at FROM credential RETURNING *)
        INSERT INTO provider_account (account_id, id, provider, owner_kind, owner_id, status,
                                      external_id, credential_id, created_at, updated_at)
        SELECT account_id, gen_random_uuid(), provider, 'user', gen_random_uuid(), 'active', $1,
               id, created_at, updated_at FROM kept
        """,
        external_id,
    )


async def test_who_reconnects_before_the_call_keeps_the_grant(new_world):
    """The new connection works; the old tokens are those that Zoom has replaced anyway."""
    world = await new_world()
    await world.disconnect(await world.connect())
    await world.connect()
    await world.clear_calls()

    await world.run_workers()
    booked = await world.book()
    await world.run_workers()

    assert REVOKE not in await api_calls(world)
    assert (await world.meeting_of(booked)).state == "ready"


async def test_the_call_is_the_last_one(new_world):
    """A meeting is being created when its host disconnects: that call ends first."""
    world = await new_world()
    connection_id = await world.connect()
    await world.book()
    await world.fault("slow:0.3", "POST", times=1)

    async def both_workers():
        await asyncio.gather(world.run_workers(), run_soon(world))

    await world.run_during_call(both_workers(), world.disconnect(connection_id), method="POST")
    await world.advance(world.RETRY_WAIT)
    await world.run_workers()

    calls = await api_calls(world)
    assert (calls[-1], calls.count(REVOKE)) == (REVOKE, 1)


async def run_soon(world):
    """Another process looks for work while the first one waits for Zoom."""
    for _ in range(5):
        await asyncio.sleep(0.05)
        await world.worker.once()


@pytest.mark.parametrize("reason", ["invalid", "4738"])
async def test_a_grant_that_zoom_has_ended_is_not_revoked(new_world, reason):
    """The withdrawal has deleted the tokens; disconnecting makes no call."""
    world = await new_world()
    connection_id = await world.connect()
    await world.control("revoke", {"user": "ada@example.com", "reason": reason})
    await world.book()
    await world.run_workers()
    assert await credentials(world) == 0
    await world.clear_calls()

    await world.disconnect(connection_id)
    await world.run_workers()

    assert await api_calls(world) == []


async def test_after_a_week_the_tokens_are_deleted_anyway(new_world):
    """Zoom has refused our app itself all the time; no secret is kept for ever."""
    world = await new_world()
    connection_id = await world.connect()
    await world.fault("status:401", path="^/oauth/revoke")
    await world.disconnect(connection_id)
    await world.run_workers()

    await world.advance(timedelta(days=7))
    await world.run_workers()

    assert await credentials(world) == 0
    row = await world.db.fetchrow("SELECT status, last_error FROM work WHERE kind = 'grant'")
    assert row["status"] == "failed"
