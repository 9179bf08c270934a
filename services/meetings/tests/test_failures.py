"""Lost answers, hanging and lying providers, killed processes: exactly one meeting in the end."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from hoop_platform import failpoints
from hoop_platform.reconcile.desired_state import Done
from meetings.domain import SETTLE_TIME
from meetings.jobs.reconcile import reconcile_meeting

SHORT_TIMEOUT = pytest.mark.parametrize("zoom_timeout", [1.5])
SOON = timedelta(seconds=45)
"""Longer than any wait after a first failure, and than a lease."""


async def settle(world):
    """Let time pass until nothing is left to do."""
    for _ in range(12):
        await world.advance(SOON)
        await world.run_workers()
    waiting = "SELECT count(*) FROM work WHERE status <> 'done'"
    assert await world.db.fetchval(waiting) == 0


async def exactly_one(world, booked):
    """One meeting, and it is the one that is shown."""
    await settle(world)
    [meeting] = await world.meetings()
    shown = await world.meeting_of(booked)
    assert (shown.state, shown.join_url) == ("ready", meeting["join_url"])


@pytest.mark.parametrize(
    "at", ["meeting_claimed", "meeting_intended", "meeting_created", "meeting_recorded"]
)
async def test_60_a_crash_at_any_point_leaves_exactly_one(world, at):
    """Between intent and call, between answer and record: the next attempt finds out."""
    booked = await world.book()
    failpoints.arm(f"{at}=raise:1")
    with suppress(RuntimeError):  # where no attempt's own handling would catch it
        await world.run_workers()
    assert not failpoints._armed

    await exactly_one(world, booked)
    assert len(await world.calls("POST")) == 1


@pytest.mark.parametrize(
    "at", ["meeting_marked_for_deletion", "meeting_deleted", "meeting_recorded"]
)
async def test_60_a_crash_while_dropping_leaves_none(world, at):
    """Deleting is repeated; that it is gone already is fine."""
    booked = await world.book()
    await world.run_workers()
    await world.cancel(booked)
    failpoints.arm(f"{at}=raise:1")
    with suppress(RuntimeError):  # where no attempt's own handling would catch it
        await world.run_workers()
    assert not failpoints._armed

    await settle(world)
    assert await world.meetings() == []
    assert (await world.meeting_of(booked)).state == "none"


@SHORT_TIMEOUT
@pytest.mark.parametrize(
    "fault",
    ["drop-after-commit", "commit-then-500", "commit-then-502", "truncate", "hang-after-commit"],
)
async def test_60_an_answer_lost_after_the_deed_is_adopted(world, fault):
    """The meeting that exists is found by its mark; no other is made."""
    booked = await world.book()
    await world.fault(fault, "POST", times=1)
    await world.run_workers()
    shown = await world.meeting_of(booked)
    assert (shown.state, shown.reason) == ("pending", "provider_down")

    await exactly_one(world, booked)
    assert await world.count_writes() == {"C": 1}


@SHORT_TIMEOUT
@pytest.mark.parametrize("fault", ["status:500", "status:503", "garbage", "drop", "hang"])
async def test_60_a_call_that_came_to_nothing_is_made_again(world, fault):
    """After having looked whether it did."""
    booked = await world.book()
    await world.fault(fault, "POST", times=1)
    await world.run_workers()

    await exactly_one(world, booked)
    assert await world.count_writes() == {"C": 2}


@SHORT_TIMEOUT
async def test_60_a_deed_that_comes_true_late_is_taken_back(world):
    """Zoom executes the first call after the second: the surplus goes, the shown link stays."""
    booked = await world.book()
    await world.fault("slow:2.5", "POST", times=1)
    await world.run_workers()
    await world.advance(timedelta(seconds=5))
    await world.run_workers()
    link = (await world.meeting_of(booked)).join_url
    assert link is not None
    await world.wait_until(lambda: two_exist(world))

    await exactly_one(world, booked)
    assert (await world.meeting_of(booked)).join_url == link
    assert await world.count_writes() == {"C": 2, "D": 1}


async def two_exist(world):
    return len(await world.meetings()) == 2


async def came_true(world, fault):
    """A slow call is executed in the end, although nobody waits for it any more."""
    log = await world.control("log")
    return not fault.startswith("slow") or any(e["fault"] and e["did"] == 201 for e in log)


@SHORT_TIMEOUT
@pytest.mark.parametrize("fault", ["hang", "hang-after-commit", "slow:2.5"])
async def test_cancelled_while_zoom_hangs_nothing_remains(world, fault):
    """Whether or not the call comes true in the end."""
    booked = await world.book()
    await world.fault(fault, "POST", times=1)
    await world.run_during_call(world.run_workers(), world.cancel(booked))
    await world.clear_faults()
    await world.wait_until(lambda: came_true(world, fault))

    await settle(world)
    assert await world.meetings() == []
    assert (await world.meeting_of(booked)).state == "none"


@SHORT_TIMEOUT
@pytest.mark.parametrize("fault", ["hang", "hang-after-commit", "slow:2.5"])
async def test_moved_while_zoom_hangs_only_the_last_time_has_a_meeting(world, fault):
    """One link, for the last of three times."""
    booked = await world.book()
    await world.fault(fault, "POST", times=1)

    async def move_twice():
        nonlocal booked
        for _ in range(2):
            booked = await world.move(booked)

    await world.run_during_call(world.run_workers(), move_twice())
    await world.clear_faults()
    await world.wait_until(lambda: came_true(world, fault))

    await exactly_one(world, booked)


async def test_60_a_process_that_comes_back_too_late_makes_no_second_meeting(world):
    """It lost its lease between its intent and its call: what it makes is found, and goes."""
    booked = await world.book()
    failpoints.arm("meeting_intended=hang:1")
    zombie = asyncio.ensure_future(world.meeting_worker.once())  # noqa: TID251 -- it outlives its use
    await world.wait_until(lambda: intended(world, booked))
    await world.advance(SOON)
    await world.run_workers()
    link = (await world.meeting_of(booked)).join_url
    assert link is not None
    zombie.cancel()

    await exactly_one(world, booked)
    assert (await world.meeting_of(booked)).join_url == link


async def intended(world, booked):
    return await world.object_states(booked) == ["intended"]


async def test_60_what_a_zombie_made_is_dropped(world):
    """Its call was under way when it lost the lease; it still writes down what it learnt."""
    booked = await world.book()
    await world.fault("slow:0.4", "POST", times=1)

    async def somebody_else():
        await world.advance(SOON)
        await world.meeting_worker.once()

    await world.run_during_call(world.meeting_worker.once(), somebody_else())

    await exactly_one(world, booked)
    assert "live" in await world.object_states(booked)


async def test_31_what_is_cancelled_after_its_wish_was_claimed_is_not_made(world):
    """The wish is looked at once more before the call: it would have been made in vain."""
    booked = await world.book()
    [claimed] = await world.meeting_worker._claim(1)
    await world.cancel(booked)

    assert await reconcile_meeting(world.runtime, claimed) == Done()

    assert await world.calls("POST") == []
    assert await world.db.fetchval("SELECT count(*) FROM provider_call_quota") == 0


async def test_60_who_has_lost_the_lease_makes_nothing(world):
    """Somebody else may be at it by now."""
    booked = await world.book()
    [claimed] = await world.meeting_worker._claim(1)
    await world.advance(SOON)

    assert await reconcile_meeting(world.runtime, claimed) == Done()

    assert await world.calls("POST") == []
    await exactly_one(world, booked)


async def test_59_an_outage_of_hours_makes_links_late_and_loses_none(world):
    """While it lasts each user of Zoom's is tried now and then; the appointments say why they wait."""
    booked = [await world.book() for _ in range(5)]
    await world.fault("status:503")
    for _ in range(30):
        await world.advance(timedelta(minutes=6))
        await world.run_workers()
    tried = len(await world.calls())
    assert tried < 60
    assert "provider_down" in {(await world.meeting_of(one)).reason for one in booked}

    await world.clear_faults()
    await settle(world)

    assert len(await world.meetings()) == 5
    assert {(await world.meeting_of(one)).state for one in booked} == {"ready"}


async def test_an_outage_for_one_host_is_not_one_for_another(world):
    """The gate is that of Zoom's user."""
    other = world.tenant.user_ids[1]
    await world.connect(other, "bea@example.com")
    match = {"method": "*", "path": "^/v2/", "user": "ada@example.com"}
    await world.control("faults", {"match": match, "do": "status:503"})
    await world.book()
    booked = await world.book(hosts=(other,))

    await world.run_workers()

    assert (await world.meeting_of(booked)).state == "ready"


async def test_zoom_cannot_be_reached_at_all(new_world):
    """Certainly nothing was made: no look-up is needed afterwards."""
    world = await new_world()
    await world.connect()
    settings = world.runtime.settings.model_copy(update={"zoom_api_url": "http://127.0.0.1:1/v2"})
    right = world.runtime.settings
    object.__setattr__(world.runtime, "settings", settings)
    booked = await world.book()
    await world.run_workers()
    assert (await world.meeting_of(booked)).reason == "provider_down"
    assert await world.object_states(booked) == ["gone"]

    object.__setattr__(world.runtime, "settings", right)
    await exactly_one(world, booked)
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
async def test_429_is_waited_out(world, headers, seconds):
    """Nothing of this host is tried before; then the link is made, by a second call."""
    await world.fault("status:429", "POST", times=1, headers=headers)
    booked = await world.book()
    await world.book()
    await world.run_workers()
    tried = len(await world.calls("POST"))
    assert tried == 1
    if seconds > 1:
        await world.advance(timedelta(seconds=seconds - 3))
        await world.run_workers()
        assert len(await world.calls("POST")) == 1

    await world.advance(timedelta(seconds=4))
    await world.run_workers()

    assert (await world.meeting_of(booked)).state == "ready"
    assert await world.count_writes() == {"C": 3}


async def test_429_for_hours_is_said(world):
    """An instant, as Zoom writes it; the appointment says until when."""
    then = world.now.replace(microsecond=0) + timedelta(hours=2)
    said = then.isoformat().replace("+00:00", "Z")
    await world.fault("status:429", "POST", times=1, headers={"Retry-After": said})
    booked = await world.book()

    await world.run_workers()

    shown = await world.meeting_of(booked)
    assert shown.reason == "provider_busy"
    assert shown.expected_at is not None
    assert abs(shown.expected_at - then) < timedelta(seconds=5)


async def test_a_meeting_that_zoom_refuses_is_visibly_failed(world):
    """It is not tried for ever; a change of the appointment tries again."""
    body = {"code": 300, "message": "Validation Failed.", "errors": [{"field": "topic"}]}
    await world.fault("status:400", "POST", times=1, body=body)
    booked = await world.book()
    await world.run_workers()
    shown = await world.meeting_of(booked)
    assert (shown.state, shown.reason) == ("failed", "rejected")
    assert "Validation Failed. topic" in (await world.desired_state(booked))["last_error"]

    await world.edit(booked, end_time=booked.end_time + timedelta(minutes=30))
    await world.run_workers()

    assert (await world.meeting_of(booked)).state == "ready"


async def test_a_link_that_leads_elsewhere_is_never_shown(new_world):
    """The meeting is deleted, the wish has visibly failed."""
    world = await new_world(knobs={"join_base_url": "https://zoom.us.example.net/j"})
    await world.connect()
    booked = await world.book()

    await world.run_workers()

    shown = await world.meeting_of(booked)
    assert (shown.state, shown.reason) == ("failed", "unverifiable_link")
    assert await world.meetings() == []
    assert await world.count_writes() == {"C": 1, "D": 1}


@SHORT_TIMEOUT
@pytest.mark.parametrize("fault", ["garbage", "truncate", "status:500", "hang"])
async def test_a_look_up_that_fails_decides_nothing(world, fault):
    """Neither a second meeting nor a given-up one."""
    booked = await world.book()
    await world.fault("drop-after-commit", "POST", times=1)
    await world.run_workers()
    await world.fault(fault, "GET", times=2)

    await exactly_one(world, booked)
    assert await world.count_writes() == {"C": 1}


@pytest.mark.parametrize("fault", ["drop-after-commit", "garbage", "commit-then-500", "drop"])
async def test_a_deletion_in_doubt_is_repeated(world, fault):
    """200 with a page of HTML is no success either."""
    booked = await world.book()
    await world.run_workers()
    await world.cancel(booked)
    await world.fault(fault, "DELETE", times=1)
    await world.run_workers()
    assert await world.object_states(booked) == ["to_delete"]

    await settle(world)
    assert await world.meetings() == []
    assert await world.count_writes() == {"C": 1, "D": 2}


async def test_a_deletion_that_zoom_refuses_is_tried_again_every_hour(world):
    """A meeting that is running, say; nothing of it is shown meanwhile."""
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


async def test_a_list_that_cannot_be_read_decides_nothing(world):
    """One of ours without a link, a list without an end: neither is "not there"."""
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

    await exactly_one(world, booked)
    assert await world.count_writes() == {"C": 1}


async def test_a_meeting_is_found_among_many(world):
    """The list has pages, and shows only the beginning of an agenda."""
    for n in range(310):
        start = (world.now + timedelta(hours=n)).strftime("%Y-%m-%dT%H:%M:%SZ")
        said = {"user": "ada@example.com", "agenda": "ref: none of yours", "start_time": start}
        await world.control("meetings", said)
    booked = await world.book(start=world.now + timedelta(days=300))
    await world.fault("drop-after-commit", "POST", times=1)
    await world.run_workers()
    await settle(world)

    assert (await world.meeting_of(booked)).state == "ready"
    assert len(await world.meetings()) == 311
    assert await world.count_writes() == {"C": 1}


async def test_the_token_endpoint_is_down(world):
    """A wish waits; the connection is not taken for lost."""
    await world.advance(timedelta(hours=2))
    await world.fault("status:503", path="^/oauth/", times=1)
    booked = await world.book()
    await world.run_workers()
    assert (await world.meeting_of(booked)).reason == "provider_down"

    await exactly_one(world, booked)


async def test_no_call_is_begun_when_the_lease_is_nearly_over(world, monkeypatch):
    """It would end after somebody else has taken over."""
    monkeypatch.setattr("meetings.jobs.reconcile.CALL_SECONDS", -1.0)
    booked = await world.book()
    await world.meeting_worker.once()
    assert await world.calls("POST") == []
    assert (await world.desired_state(booked))["status"] == "due"

    monkeypatch.undo()
    await exactly_one(world, booked)


def test_a_lost_call_has_settled_before_it_is_judged():
    """Three times the longest call."""
    assert timedelta(seconds=30) <= SETTLE_TIME
