"""A provider that is added by one module (`parley.py`) and one line behaves as the built-in ones."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import parley
import parley_simulator
import pytest

from hoop_events.base import Personal
from hoop_events.meeting_locations import PROVIDERS_WITH_ADAPTER
from hoop_platform import failpoints
from meetings.providers.registry import PROVIDERS


@pytest.fixture
async def world(new_world, tmp_path, monkeypatch):
    """A world whose first user has connected Parley."""
    (tmp_path / "offset").write_text("0")
    async with parley_simulator.serve(tmp_path / "offset") as simulator:
        monkeypatch.setitem(PROVIDERS, "parley", parley.conference(simulator.url))
        world = await new_world()
        world.provider, world.sim_url = "parley", simulator.url
        await world.connect()
        yield world


async def assert_exactly_one(world, booked):
    """In the end one room exists, and its link is the announced one."""
    await world.settle()
    [room] = await world.meetings()
    announced = await world.meeting_of(booked)
    assert (announced.provider, announced.state) == ("parley", "ready")
    assert announced.join_url == room["url"]


async def test_it_makes_moves_and_drops_meetings(world):
    """A room of its own for each session; none after the last cancellation."""
    booked = await world.book()
    await world.run_workers()
    await assert_exactly_one(world, booked)

    edited = await world.edit(booked, personal=Personal(title="Another matter"))
    await world.run_workers()
    assert [room["topic"] for room in await world.meetings()] == ["Another matter"]

    moved = await world.move(edited)
    await assert_exactly_one(world, moved)
    assert (await world.meeting_of(booked)).state == "none"

    await world.cancel(moved)
    await world.settle()
    assert await world.meetings() == []


async def test_a_refused_token_is_refreshed_once(world):
    """The call is repeated with the new token."""
    await world.fault("status:401", "PUT", "^/rooms/", times=1)
    booked = await world.book()
    await world.run_workers()
    await assert_exactly_one(world, booked)


async def test_a_grant_that_ended_blocks_until_the_host_connects_again(world):
    """The appointment says what to do."""
    await world.fault("status:401", "PUT", "^/rooms/")
    booked = await world.book()
    await world.run_workers()
    meeting = await world.meeting_of(booked)
    assert (meeting.state, meeting.reason) == ("blocked", "connect_parley")
    assert "must connect Parley again" in meeting.message

    await world.clear_faults()
    await world.connect()
    await world.run_workers()
    await assert_exactly_one(world, booked)


async def test_a_429_with_retry_after_stops_all_calls_of_its_user(world):
    """For as long as Parley demands; the appointments say so."""
    await world.fault("status:429", "PUT", "^/rooms/", times=1)
    booked = [await world.book() for _ in range(3)]
    await world.run_workers()
    assert len(await world.calls("PUT")) == 1
    assert "provider_busy" in {(await world.meeting_of(one)).reason for one in booked}

    await world.advance(timedelta(seconds=121))
    await world.run_workers()
    assert {(await world.meeting_of(one)).state for one in booked} == {"ready"}


@pytest.mark.parametrize(
    "fault", ["drop-after-commit", "commit-then-500", "truncate", "status:500", "drop"]
)
async def test_a_lost_response_leads_to_exactly_one_room(world, fault):
    booked = await world.book()
    await world.fault(fault, "PUT", "^/rooms/", times=1)
    await world.run_workers()
    await assert_exactly_one(world, booked)


@pytest.mark.parametrize("point", ["claimed", "intended", "created", "performed", "recorded"])
async def test_a_crash_at_any_point_leaves_exactly_one_room(world, point):
    booked = await world.book()
    failpoints.arm(f"meeting_{point}=raise:1")
    with suppress(RuntimeError):  # raised outside of the attempt's own error handling
        await world.run_workers()
    assert not failpoints.armed()
    await assert_exactly_one(world, booked)


async def test_cancelled_while_the_answer_is_lost_no_room_remains(world):
    booked = await world.book()
    await world.fault("drop-after-commit", "PUT", "^/rooms/", times=1)
    await asyncio.gather(world.run_workers(), world.cancel(booked))
    await world.settle()
    assert await world.meetings() == []


def test_what_can_be_chosen_is_what_has_an_adapter():
    """Booking refuses the locations of other providers, and learns of a new adapter from the events' table."""
    assert set(PROVIDERS) == PROVIDERS_WITH_ADAPTER
