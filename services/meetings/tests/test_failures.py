"""Lost responses, hanging and faulty providers, crashed processes: exactly one meeting in the end."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from hoop_platform import failpoints
from hoop_platform.reconcile.observed_state import SETTLE_TIME
from hoop_platform.reconcile.outcome import Later

SHORT_TIMEOUT = pytest.mark.parametrize("zoom_timeout", [1.5])


async def assert_exactly_one(world, booked):
    """In the end one meeting exists, and its link is the announced one."""
    await world.settle()
    [existing] = await world.meetings()
    announced = await world.meeting_of(booked)
    assert (announced.state, announced.join_url) == ("ready", existing["join_url"])


@pytest.mark.parametrize("failpoint", ["claimed", "intended", "created", "performed", "recorded"])
async def test_60_a_crash_at_any_point_leaves_exactly_one(world, failpoint):
    """The next attempt finds out what the crashed one has done."""
    booked = await world.book()
    failpoints.arm(f"meeting_{failpoint}=raise:1")
    with suppress(RuntimeError):  # raised outside of the attempt's own error handling
        await world.run_workers()
    assert not failpoints.armed()

    await assert_exactly_one(world, booked)
    assert len(await world.calls("POST")) == 1


@pytest.mark.parametrize("failpoint", ["marked_for_deletion", "deleted", "performed", "recorded"])
async def test_60_a_crash_while_deleting_leaves_none(world, failpoint):
    """The deletion is repeated; a meeting that is gone already counts as deleted."""
    booked = await world.book()
    await world.run_workers()
    await world.cancel(booked)
    failpoints.arm(f"meeting_{failpoint}=raise:1")
    with suppress(RuntimeError):  # raised outside of the attempt's own error handling
        await world.run_workers()
    assert not failpoints.armed()

    await world.settle()
    assert await world.meetings() == []
    assert (await world.meeting_of(booked)).state == "none"


@SHORT_TIMEOUT
@pytest.mark.parametrize(
    "fault",
    ["drop-after-commit", "commit-then-500", "commit-then-502", "truncate", "hang-after-commit"],
)
async def test_60_a_meeting_whose_response_was_lost_is_adopted(world, fault):
    """It is found by its mark; no other is created."""
    booked = await world.book()
    await world.fault(fault, "POST", times=1)
    await world.run_workers()
    meeting = await world.meeting_of(booked)
    assert (meeting.state, meeting.reason) == ("pending", "provider_down")

    await assert_exactly_one(world, booked)
    assert await world.count_writes() == {"C": 1}


@SHORT_TIMEOUT
@pytest.mark.parametrize("fault", ["status:500", "status:503", "garbage", "drop", "hang"])
async def test_60_a_call_without_effect_is_repeated(world, fault):
    """After a look-up has found no meeting."""
    booked = await world.book()
    await world.fault(fault, "POST", times=1)
    await world.run_workers()

    await assert_exactly_one(world, booked)
    assert await world.count_writes() == {"C": 2}


@SHORT_TIMEOUT
async def test_60_a_meeting_created_late_is_deleted(world):
    """Zoom executes the first call after the second: the surplus is deleted, the link stays."""
    booked = await world.book()
    await world.fault("slow:2.5", "POST", times=1)
    await world.run_workers()
    await world.advance(timedelta(seconds=5))
    await world.run_workers()
    link = (await world.meeting_of(booked)).join_url
    assert link is not None
    await world.wait_until(lambda: two_meetings_exist(world))

    await assert_exactly_one(world, booked)
    assert (await world.meeting_of(booked)).join_url == link
    assert await world.count_writes() == {"C": 2, "D": 1}


async def two_meetings_exist(world):
    return len(await world.meetings()) == 2


async def executed(world, fault):
    """Whether Zoom has executed the call, if the fault is one that only delays it."""
    log = await world.control("log")
    return not fault.startswith("slow") or any(e["fault"] and e["did"] == 201 for e in log)


@SHORT_TIMEOUT
@pytest.mark.parametrize("fault", ["hang", "hang-after-commit", "slow:2.5"])
async def test_cancelled_while_zoom_hangs_nothing_remains(world, fault):
    """Whether or not Zoom executes the call in the end."""
    booked = await world.book()
    await world.fault(fault, "POST", times=1)
    await world.run_during_call(world.run_workers(), world.cancel(booked))
    await world.clear_faults()
    await world.wait_until(lambda: executed(world, fault))

    await world.settle()
    assert await world.meetings() == []
    assert (await world.meeting_of(booked)).state == "none"


@SHORT_TIMEOUT
@pytest.mark.parametrize("fault", ["hang", "hang-after-commit", "slow:2.5"])
async def test_moved_while_zoom_hangs_only_the_last_session_has_a_meeting(world, fault):
    """The appointment had three start times; one link, for the last."""
    booked = await world.book()
    await world.fault(fault, "POST", times=1)

    async def move_twice():
        nonlocal booked
        for _ in range(2):
            booked = await world.move(booked)

    await world.run_during_call(world.run_workers(), move_twice())
    await world.clear_faults()
    await world.wait_until(lambda: executed(world, fault))

    await assert_exactly_one(world, booked)


async def test_60_a_process_that_hangs_before_its_call_leaves_one_meeting(world):
    """It loses its lease between its intent and its call; another process takes over."""
    booked = await world.book()
    failpoints.arm("meeting_intended=hang:1")
    hanging = asyncio.ensure_future(world.meeting_worker.once())  # noqa: TID251 -- cancelled below
    await world.wait_until(lambda: intended(world, booked))
    await world.advance(world.RETRY_WAIT)
    await world.run_workers()
    link = (await world.meeting_of(booked)).join_url
    assert link is not None
    hanging.cancel()

    await assert_exactly_one(world, booked)
    assert (await world.meeting_of(booked)).join_url == link


async def intended(world, booked):
    return await world.object_states(booked) == ["intended"]


async def test_60_a_meeting_created_after_losing_the_lease_is_no_second_one(world):
    """The call was under way when the lease was lost; its meeting is recorded all the same."""
    booked = await world.book()
    await world.fault("slow:0.4", "POST", times=1)

    async def another_process():
        await world.advance(world.RETRY_WAIT)
        await world.meeting_worker.once()

    await world.run_during_call(world.meeting_worker.once(), another_process())

    await assert_exactly_one(world, booked)
    assert "live" in await world.object_states(booked)


async def test_31_an_appointment_cancelled_after_the_claim_gets_no_meeting(world):
    """The desired state is checked again before the call."""
    booked = await world.book()
    claimed = await world.claim()
    await world.cancel(booked)

    assert isinstance(await world.attempt(claimed), Later)

    assert await world.calls("POST") == []
    assert await world.db.fetchval("SELECT count(*) FROM provider_quota") == 0


async def test_60_without_the_lease_zoom_is_not_called(world):
    """Another process may work on the desired state by now."""
    booked = await world.book()
    claimed = await world.claim()
    await world.advance(world.RETRY_WAIT)

    assert isinstance(await world.attempt(claimed), Later)

    assert await world.calls("POST") == []
    await assert_exactly_one(world, booked)


async def test_59_an_outage_of_hours_makes_links_late_and_loses_none(world):
    """Meanwhile each Zoom user is tried now and then; the appointments say why they wait."""
    booked = [await world.book() for _ in range(5)]
    await world.fault("status:503")
    for _ in range(30):
        await world.advance(timedelta(minutes=6))
        await world.run_workers()
    assert len(await world.calls()) < 60
    assert "provider_down" in {(await world.meeting_of(one)).reason for one in booked}

    await world.clear_faults()
    await world.settle()

    assert len(await world.meetings()) == 5
    assert {(await world.meeting_of(one)).state for one in booked} == {"ready"}


async def test_an_outage_for_one_host_is_not_one_for_another(world):
    """The circuit is that of one Zoom user."""
    other = world.tenant.user_ids[1]
    await world.connect(other, "bea@example.com")
    match = {"method": "*", "path": "^/v2/", "user": "ada@example.com"}
    await world.control("faults", {"match": match, "do": "status:503"})
    await world.book()
    booked = await world.book(hosts=(other,))

    await world.run_workers()

    assert (await world.meeting_of(booked)).state == "ready"


async def test_zoom_cannot_be_reached_at_all(new_world):
    """The call had no effect, so no look-up is needed afterwards."""
    world = await new_world()
    await world.connect()
    settings = world.runtime.settings.model_copy(update={"zoom_api_url": "http://127.0.0.1:1/v2"})
    original = world.runtime.settings
    object.__setattr__(world.runtime, "settings", settings)
    booked = await world.book()
    await world.run_workers()
    assert (await world.meeting_of(booked)).reason == "provider_down"
    assert await world.object_states(booked) == ["gone"]

    object.__setattr__(world.runtime, "settings", original)
    await assert_exactly_one(world, booked)
    assert await world.calls("GET") == ["GET /v2/users/me"]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 1),
        ({}, 1),
        ({"Retry-After": "soon"}, 1),
    ],
)
async def test_after_a_429_zoom_is_not_called_before_retry_after(world, headers, seconds):
    """For no meeting of this host; then the link is created by a second call."""
    await world.fault("status:429", "POST", times=1, headers=headers)
    booked = await world.book()
    await world.book()
    await world.run_workers()
    assert len(await world.calls("POST")) == 1
    if seconds > 1:
        await world.advance(timedelta(seconds=seconds - 3))
        await world.run_workers()
        assert len(await world.calls("POST")) == 1

    await world.advance(timedelta(seconds=4))
    await world.run_workers()

    assert (await world.meeting_of(booked)).state == "ready"
    assert await world.count_writes() == {"C": 3}


async def test_a_429_for_hours_is_announced(world):
    """`Retry-After` is an instant, as Zoom writes it; the appointment shows when to expect the link."""
    then = world.now.replace(microsecond=0) + timedelta(hours=2)
    retry_after = then.isoformat().replace("+00:00", "Z")
    await world.fault("status:429", "POST", times=1, headers={"Retry-After": retry_after})
    booked = await world.book()

    await world.run_workers()

    meeting = await world.meeting_of(booked)
    assert meeting.reason == "provider_busy"
    assert meeting.expected_at is not None
    assert abs(meeting.expected_at - then) < timedelta(seconds=5)


async def test_a_meeting_that_zoom_refuses_is_visibly_failed(world):
    """It is tried again only after a change of the appointment."""
    body = {"code": 300, "message": "Validation Failed.", "errors": [{"field": "topic"}]}
    await world.fault("status:400", "POST", times=1, body=body)
    booked = await world.book()
    await world.run_workers()
    meeting = await world.meeting_of(booked)
    assert (meeting.state, meeting.reason) == ("failed", "rejected")
    assert "Validation Failed. topic" in (await world.desired_state(booked))["last_error"]

    await world.edit(booked, end_time=booked.end_time + timedelta(minutes=30))
    await world.run_workers()

    assert (await world.meeting_of(booked)).state == "ready"


async def test_a_link_that_leads_elsewhere_is_never_shown(new_world):
    """The meeting is deleted, the desired state has failed."""
    world = await new_world(knobs={"join_base_url": "https://zoom.us.example.net/j"})
    await world.connect()
    booked = await world.book()

    await world.run_workers()

    meeting = await world.meeting_of(booked)
    assert (meeting.state, meeting.reason) == ("failed", "unverifiable_link")
    assert await world.meetings() == []
    assert await world.count_writes() == {"C": 1, "D": 1}


@SHORT_TIMEOUT
@pytest.mark.parametrize("fault", ["garbage", "truncate", "status:500", "hang"])
async def test_after_a_failed_look_up_the_outcome_stays_unknown(world, fault):
    """No second meeting is created, and the first one is adopted later."""
    booked = await world.book()
    await world.fault("drop-after-commit", "POST", times=1)
    await world.run_workers()
    await world.fault(fault, "GET", times=2)

    await assert_exactly_one(world, booked)
    assert await world.count_writes() == {"C": 1}


@pytest.mark.parametrize("fault", ["drop-after-commit", "garbage", "commit-then-500", "drop"])
async def test_a_deletion_with_an_unknown_outcome_is_repeated(world, fault):
    """Also after a 200 with a page of HTML."""
    booked = await world.book()
    await world.run_workers()
    await world.cancel(booked)
    await world.fault(fault, "DELETE", times=1)
    await world.run_workers()
    assert await world.object_states(booked) == ["to_delete"]

    await world.settle()
    assert await world.meetings() == []
    assert await world.count_writes() == {"C": 1, "D": 2}


async def test_a_deletion_that_zoom_refuses_is_tried_again_every_hour(world):
    """For example, a running meeting; its link is not shown meanwhile."""
    booked = await world.book()
    await world.run_workers()
    await world.cancel(booked)
    body = {"code": 3000, "message": "Cannot access meeting information."}
    await world.fault("status:400", "DELETE", times=1, body=body)
    await world.run_workers()
    assert (await world.meeting_of(booked)).state == "none"
    assert "Cannot access" in (await world.desired_state(booked))["last_error"]

    await world.advance(timedelta(minutes=61))
    await world.run_workers()

    assert await world.meetings() == []


async def test_after_an_unreadable_list_the_outcome_stays_unknown(world):
    """A meeting of ours without a link, a list without an end, a body without a list."""
    booked = await world.book()
    await world.fault("drop-after-commit", "POST", times=1)
    await world.run_workers()
    ours = {"id": 1, "agenda": f"ref:{booked.session}/1\n", "topic": "x"}
    for body in ({"meetings": [ours]}, {"meetings": [], "next_page_token": "again"}, {}):
        await world.fault("status:200", "GET", times=40, body=body)
        await world.advance(timedelta(minutes=20))
        await world.run_workers()
        assert await world.object_states(booked) == ["intended"]
        await world.clear_faults()

    await assert_exactly_one(world, booked)
    assert await world.count_writes() == {"C": 1}


async def test_a_meeting_is_found_among_many(world):
    """The list has pages, and contains only the beginning of an agenda."""
    for n in range(310):
        start = (world.now + timedelta(hours=n)).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {"user": "ada@example.com", "agenda": "ref: none of yours", "start_time": start}
        await world.control("meetings", body)
    booked = await world.book(start=world.now + timedelta(days=300))
    await world.fault("drop-after-commit", "POST", times=1)
    await world.run_workers()
    await world.settle()

    assert (await world.meeting_of(booked)).state == "ready"
    assert len(await world.meetings()) == 311
    assert await world.count_writes() == {"C": 1}


async def test_the_token_endpoint_is_down(world):
    """The link is pending; the connection stays active."""
    await world.advance(timedelta(hours=2))
    await world.fault("status:503", path="^/oauth/", times=1)
    booked = await world.book()
    await world.run_workers()
    assert (await world.meeting_of(booked)).reason == "provider_down"

    await assert_exactly_one(world, booked)


async def test_no_call_is_begun_when_the_lease_is_nearly_over(world, monkeypatch):
    """It would end after another process has taken over."""
    monkeypatch.setattr("hoop_platform.reconcile.authorized_calls.CALL_SECONDS", -1.0)
    booked = await world.book()
    await world.meeting_worker.once()
    assert await world.calls("POST") == []
    assert (await world.desired_state(booked))["status"] == "due"

    monkeypatch.undo()
    await assert_exactly_one(world, booked)


def test_the_settle_time_is_three_times_the_longest_call():
    """Zoom's timeout is 10 seconds at most."""
    assert timedelta(seconds=30) <= SETTLE_TIME
