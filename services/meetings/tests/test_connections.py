"""Meetings of hosts who are not connected, disconnect, lose their approval, or connect again."""

import asyncio
from datetime import timedelta

import pytest

from hoop_events.base import Personal
from hoop_platform.reconcile.outcome import Failed
from meetings.jobs.background import background_tasks, idle_grants

HOUR = timedelta(hours=1)


async def api_calls(world):
    """All requests that Zoom received, those for tokens included."""
    return [f"{e['method']} {e['path']}" for e in await world.control("log")]


async def test_13_without_a_connection_the_link_waits_for_one(new_world):
    """The appointment says what to do; after connecting, the link is created."""
    world = await new_world()
    booked = await world.book()
    await world.run_workers()
    assert [(m.state, m.reason) for m in await world.announcements(booked)] == [
        ("blocked", "connect_zoom")
    ]
    assert await world.calls() == []

    await world.connect()
    await world.run_workers()

    assert (await world.meeting_of(booked)).state == "ready"
    assert await world.count_writes() == {"C": 1}


async def test_13_connecting_after_the_end_creates_no_meeting(new_world):
    """No call is made."""
    world = await new_world()
    booked = await world.book()
    await world.run_workers()
    await world.advance_to(booked.end_time)

    await world.connect()
    await world.run_workers()

    assert await world.count_writes() == {}


async def test_14_a_connection_that_waits_for_an_administrator_says_so(new_world):
    """Zoom shows "Request access" and never redirects back, so the client sets `waitingForAdmin`."""
    world = await new_world(knobs={"consent": "request_access"})
    booked = await world.book()
    begun = await world.request("POST", "/connect", {"userId": world.host})
    await world.visit(begun.body["authorizeUrl"])
    await world.request("PUT", f"/{begun.body['connectionId']}", {"waitingForAdmin": True})
    await world.run_workers()
    assert (await world.meeting_of(booked)).reason == "waiting_for_admin"

    await world.control("settings", {"consent": "approve"})
    await world.connect()
    await world.run_workers()

    assert (await world.meeting_of(booked)).state == "ready"
    assert await world.count_writes() == {"C": 1}


async def test_50_disconnecting_ends_all_calls_and_keeps_the_links(new_world):
    """One call is left, which revokes the grant; no meeting is touched."""
    world = await new_world()
    connection_id = await world.connect()
    kept = await world.book()
    await world.run_workers()
    link = (await world.meeting_of(kept)).join_url
    await world.clear_calls()

    await world.disconnect(connection_id)
    await world.run_workers()

    meeting = await world.meeting_of(kept)
    assert (meeting.state, meeting.join_url) == ("detached", link)
    assert await api_calls(world) == ["POST /oauth/revoke"]
    assert len(await world.meetings()) == 1


async def test_50_due_operations_are_not_executed_after_disconnecting(new_world):
    """A create, an update and a delete are due: none is executed, only the grant is revoked."""
    world = await new_world()
    connection_id = await world.connect()
    edited, cancelled = await world.book(), await world.book()
    await world.run_workers()
    await world.clear_calls()
    await world.book()
    await world.edit(edited, personal=Personal(title="Another matter"))
    await world.cancel(cancelled)

    await world.disconnect(connection_id)
    await world.run_workers()

    assert await api_calls(world) == ["POST /oauth/revoke"]


async def test_50_a_token_that_was_fetched_before_disconnecting_is_not_used(new_world):
    """The connection is checked again in the transaction that stores the intent."""
    world = await new_world()
    connection_id = await world.connect()
    booked = await world.book()
    claimed = await world.claim()
    assert claimed.observed.credential is not None
    await world.disconnect(connection_id)
    await world.clear_calls()

    assert isinstance(await world.attempt(claimed), Failed)

    assert await api_calls(world) == []
    assert await world.object_states(booked) == []


async def test_51_cancelling_or_moving_after_disconnecting_makes_no_call(new_world):
    """The moved appointment is blocked; the cancelled one shows no link."""
    world = await new_world()
    connection_id = await world.connect()
    to_cancel, to_move = await world.book(), await world.book()
    await world.run_workers()
    await world.disconnect(connection_id)
    await world.run_workers()
    await world.clear_calls()

    await world.cancel(to_cancel)
    moved = await world.move(to_move)
    await world.run_workers()

    assert await api_calls(world) == []
    assert (await world.meeting_of(to_cancel)).join_url is None
    assert ((await world.meeting_of(moved)).state, (await world.meeting_of(moved)).reason) == (
        "blocked",
        "connect_zoom",
    )
    assert len(await world.meetings()) == 2


@pytest.mark.parametrize("zoom_user", ["ada@example.com", "another@example.com"])
async def test_52_53_reconnecting_creates_only_missing_links(new_world, zoom_user):
    """With the same Zoom account or another, old meetings are neither adopted nor deleted."""
    world = await new_world()
    connection_id = await world.connect()
    kept, moved = await world.book(), await world.book()
    await world.run_workers()
    old = {meeting["id"] for meeting in await world.meetings()}
    await world.disconnect(connection_id)
    without = await world.move(moved)
    await world.run_workers()
    await world.clear_calls()

    await world.connect(zoom_user=zoom_user)
    await world.run_workers()

    assert await world.count_writes() == {"C": 1}
    assert (await world.meeting_of(kept)).state == "detached"
    assert (await world.meeting_of(without)).state == "ready"
    assert old < {meeting["id"] for meeting in await world.meetings()}


async def test_52_after_reconnecting_a_later_move_gets_a_new_link(new_world):
    """The old meeting stays at Zoom."""
    world = await new_world()
    connection_id = await world.connect()
    booked = await world.book()
    await world.run_workers()
    await world.disconnect(connection_id)
    await world.connect()
    await world.run_workers()
    await world.clear_calls()

    moved = await world.move(booked)
    await world.run_workers()

    assert (await world.meeting_of(moved)).state == "ready"
    assert await world.count_writes() == {"C": 1}
    assert len(await world.meetings()) == 2


async def test_42_a_deleted_user_is_disconnected(world):
    """As by a request to disconnect; the user can not be connected again."""
    booked = await world.book()
    await world.run_workers()
    await world.clear_calls()

    await world.remove_user(world.host)
    await world.run_workers()

    assert (await world.meeting_of(booked)).state == "detached"
    assert await api_calls(world) == ["POST /oauth/revoke"]
    again = await world.request("POST", "/connect", {"userId": world.host})
    assert again.status == 404


async def test_54_a_withdrawn_approval_keeps_links_and_blocks_new_ones(world):
    """Until the host reconnects after a new approval; the same meetings are kept then."""
    kept = await world.book()
    await world.run_workers()
    await world.control("revoke", {"user": "ada@example.com", "reason": "4738"})
    blocked = await world.book()
    await world.cancel(await world.move(kept))
    await world.run_workers()
    assert (await world.meeting_of(blocked)).reason == "waiting_for_admin"

    await world.connect()
    await world.run_workers()

    assert (await world.meeting_of(blocked)).state == "ready"
    assert await world.object_states(kept) == ["gone"]
    assert len(await world.meetings()) == 1


async def test_a_ready_link_outlives_the_loss_of_the_grant(world):
    """It is not announced again."""
    kept = await world.book()
    await world.run_workers()
    await world.control("revoke", {"user": "ada@example.com"})
    await world.book()
    await world.edit(kept, personal=Personal(title="Another matter"))
    await world.run_workers()

    assert [m.state for m in await world.announcements(kept)] == ["ready"]


async def test_a_rejected_token_is_refreshed_once(world):
    """After a 401 the call is repeated with a new token."""
    await world.fault("status:401", "POST", times=1)
    booked = await world.book()

    await world.run_workers()

    assert (await world.meeting_of(booked)).state == "ready"
    assert len(await world.meetings()) == 1
    assert await world.object_states(booked) == ["live"]


async def test_after_a_second_401_the_host_must_reconnect(world):
    """Reconnecting creates the link."""
    await world.fault("status:401", "POST", times=2)
    booked = await world.book()
    await world.run_workers()
    assert (await world.meeting_of(booked)).reason == "connect_zoom"
    assert await world.count_writes() == {"C": 2}

    await world.connect()
    await world.run_workers()

    assert (await world.meeting_of(booked)).state == "ready"


async def test_after_losing_a_scope_the_host_must_reconnect(world):
    """Zoom's error 4711, as after a change of the app's scopes."""
    body = {"code": 4711, "message": "Invalid access token, does not contain scopes."}
    await world.fault("status:400", "POST", times=1, body=body)
    booked = await world.book()
    await world.run_workers()

    assert (await world.meeting_of(booked)).reason == "connect_zoom"
    [row] = await world.db.fetch("SELECT status, reason FROM provider_account")
    assert (row["status"], row["reason"]) == ("pending", "scope_missing")


async def test_a_meeting_created_while_disconnecting_is_abandoned(new_world):
    """The response comes after the disconnection: the link is shown, the meeting stays at Zoom."""
    world = await new_world()
    connection_id = await world.connect()
    booked = await world.book()
    await world.fault("slow:0.3", "POST", times=1)

    await world.run_during_call(world.run_workers(), world.disconnect(connection_id), method="POST")
    await world.run_workers()

    assert (await world.meeting_of(booked)).state == "detached"
    assert await world.object_states(booked) == ["abandoned"]
    assert await world.count_writes() == {"C": 1}


@pytest.mark.parametrize("answer", ["slow:0.3", "drop-after-commit"])
async def test_a_meeting_deleted_while_disconnecting_is_never_shown_again(new_world, answer):
    """Whatever becomes of the call that deletes it: its link may lead nowhere."""
    world = await new_world()
    connection_id = await world.connect()
    booked = await world.book()
    await world.run_workers()
    by_phone = await world.edit(booked, meeting_location_type="phone")
    await world.fault(answer, "DELETE", times=1)

    await world.run_during_call(
        world.run_workers(), world.disconnect(connection_id), method="DELETE"
    )
    await world.edit(by_phone, meeting_location_type="zoom")
    await world.run_workers()

    meeting = await world.meeting_of(booked)
    assert (meeting.state, meeting.reason, meeting.join_url) == ("blocked", "connect_zoom", None)


async def test_connecting_refreshes_all_sessions_of_the_host(new_world):
    """More than one query returns; those that are over are left out."""
    world = await new_world()
    waiting = [await world.book(confirmed=False) for _ in range(105)]
    past = await world.book(start=world.now - timedelta(hours=3))
    connection_id = await world.connect()
    assert await world.connection_worker.once()

    for one in waiting:
        assert (await world.desired_state(one))["desired"]["connection"].startswith(connection_id)
    assert (await world.desired_state(past))["desired"]["connection"] is None


async def test_an_idle_grant_is_refreshed_before_it_expires(world):
    """Zoom does not document when an unused refresh token expires. After an outage it is tried again."""
    await world.advance(timedelta(days=8))
    await world.fault("status:503", path="^/oauth/token", times=1)
    [grants], going_on = idle_grants(world.runtime), asyncio.Event()
    await grants.refresh(going_on, now=world.now)
    assert await refreshes(world) == 1
    await world.advance(timedelta(minutes=10))

    await grants.refresh(going_on, now=world.now)
    await grants.refresh(going_on, now=world.now)

    assert await refreshes(world) == 2
    await world.book()
    await world.run_workers()
    assert len(await world.meetings()) == 1
    assert await refreshes(world) == 2


async def test_a_credential_that_does_not_open_ends_no_service(world):
    """Its key was removed: the background task goes on, and so do the grants of others."""
    await world.connect(host=world.tenant.user_ids[1], zoom_user="bob@example.com")
    await world.advance(timedelta(days=8))
    await world.db.execute(
        "UPDATE credential SET sealed = set_byte(sealed, 20, (get_byte(sealed, 20) + 1) % 256)"
        " WHERE fresh_until = (SELECT min(fresh_until) FROM credential)"
    )
    [task], stop = background_tasks(world.runtime), asyncio.Event()

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(task(stop))
        await world.wait_until(lambda: refreshes(world))
        assert not running.done()
        stop.set()


async def refreshes(world):
    """The number of refresh requests that Zoom received."""
    bodies = [entry["body"] for entry in await world.control("log") if entry["method"] == "POST"]
    return sum(bool(body) and body.get("grant_type") == "refresh_token" for body in bodies)
