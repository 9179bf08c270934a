"""What becomes of links as appointments are booked, moved and cancelled: row by row of the table of situations."""

from datetime import timedelta

import pytest

from hoop_events.base import Personal
from hoop_platform.ids import new_id
from meetings import handlers

HOUR = timedelta(hours=1)


async def a_class(world, size, start=None):
    """So many appointments of one class session."""
    first = await world.book(shared=True, start=start)
    return [first, *[await joining(world, first, title=f"Client {n}") for n in range(1, size)]]


async def joining(world, first, *, title="Another client"):
    """One more appointment of the session."""
    return await world.book(
        session=first.session,
        start=first.start_time,
        shared=True,
        personal=Personal(title=title),
    )


async def links(world):
    return {meeting["join_url"] for meeting in await world.meetings()}


async def test_01_a_1_to_1_booking_gets_a_link_of_its_own(world):
    """One call, and the link is announced; nothing of the host's own way in is."""
    booked = await world.book()

    await world.run_workers()

    [meeting] = await world.meetings()
    assert [(m.state, m.join_url) for m in await world.announcements(booked)] == [
        ("ready", meeting["join_url"])
    ]
    assert await world.count_writes() == {"C": 1}
    assert (meeting["topic"], meeting["duration"]) == ("Ada meets Carl", 60)
    assert meeting["start_time"] == booked.start_time.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "zak=" not in str(await world.db.fetch("SELECT body::text FROM outbox"))


async def test_02_two_bookings_of_one_contact_get_two_links(world):
    """Links are not reused between appointments."""
    first, second = await world.book(), await world.book()

    await world.run_workers()

    assert (await world.meeting_of(first)).join_url != (await world.meeting_of(second)).join_url
    assert await world.count_writes() == {"C": 2}


@pytest.mark.parametrize("kind", ["custom", "phone", "address", "default", "gmeet", "booker"])
async def test_03_what_does_not_meet_on_zoom_gets_no_link(world, kind):
    """Not even a wish is written."""
    booked = await world.book(meeting_location_type=kind)

    await world.run_workers()

    assert await world.calls("POST") == []
    assert await world.announcements(booked) == []
    assert await world.desired_state(booked) is None


async def test_04_the_second_booking_of_a_session_shares_its_link_also_when_it_is_pending(world):
    """One wish, however many come before it is worked on, or after."""
    first, second = await a_class(world, 2)
    await world.run_workers()
    third = await joining(world, first)
    await world.run_workers()

    assert await world.count_writes() == {"C": 1}
    assert await links(world) == {(await world.meeting_of(third)).join_url}
    assert len(await world.announcements(second)) == 1


async def test_05_a_full_class_has_one_link(world):
    """Ten appointments, one call; the name of none of them stands in the title."""
    booked = await a_class(world, 10)

    await world.run_workers()

    [meeting] = await world.meetings()
    assert await world.count_writes() == {"C": 1}
    assert (await world.meeting_of(booked[9])).join_url == meeting["join_url"]
    assert meeting["topic"] == "Group session"


async def test_06_the_same_slot_with_another_host_has_a_link_of_its_own(world):
    """Each in the account of its host."""
    other = world.tenant.user_ids[1]
    await world.connect(other, "bea@example.com")
    start = world.now + 24 * HOUR
    await world.book(start=start)
    await world.book(start=start, hosts=(other,))

    await world.run_workers()

    meetings = await world.meetings()
    assert {meeting["user"] for meeting in meetings} == {"ada@example.com", "bea@example.com"}
    assert await world.count_writes() == {"C": 2}


async def test_07_a_collective_has_one_link_by_its_first_host(world):
    """The others need no account."""
    booked = await world.book(hosts=(world.host, world.tenant.user_ids[1]))

    await world.run_workers()

    assert (await world.meeting_of(booked)).state == "ready"
    assert await world.count_writes() == {"C": 1}


async def test_08_a_series_gets_a_link_per_occurrence_soonest_first(world):
    """All at booking time, whatever the order in which the events come."""
    days = (3, 1, 5, 2, 4)
    for day in days:
        await world.book(start=world.now + day * 24 * HOUR)

    await world.run_workers()

    made = [meeting["start_time"] for meeting in await world.meetings()]
    assert made == sorted(made)
    assert await world.count_writes() == {"C": 5}


async def test_10_before_confirmation_there_is_no_link(world):
    """It says what it waits for, and the link is made on confirmation."""
    booked = await world.book(confirmed=False, appointment_status="new")
    await world.run_workers()
    assert await world.count_writes() == {}
    assert (await world.meeting_of(booked)).reason == "awaiting_confirmation"

    await world.edit(booked, confirmed=True, appointment_status="confirmed")
    await world.run_workers()

    assert await world.count_writes() == {"C": 1}
    assert (await world.meeting_of(booked)).state == "ready"


async def test_11_a_session_that_becomes_shared_keeps_its_link(world):
    """Capacity was raised: the next booking gets the same link."""
    first = await world.book()
    await world.run_workers()
    link = (await world.meeting_of(first)).join_url

    second = await joining(world, first)
    await world.run_workers()

    assert await links(world) == {link}
    assert (await world.meeting_of(second)).join_url == link


async def test_16_a_meeting_that_the_host_made_himself_is_let_be(world):
    """Not used, not changed, not removed, whatever it is called."""
    await world.control("meetings", {"user": "ada@example.com", "topic": "Ada meets Carl"})
    booked = await world.book()
    await world.run_workers()
    await world.cancel(booked)
    await world.run_workers()

    assert [meeting["agenda"] for meeting in await world.meetings()] == [""]
    assert await world.count_writes() == {"C": 1, "D": 1}


async def test_20_another_title_keeps_the_link(world):
    """The title of a 1:1 follows at Zoom; nothing is announced anew."""
    booked = await world.book()
    await world.run_workers()
    [before] = await world.meetings()

    await world.edit(booked, personal=Personal(title="Another matter"))
    await world.run_workers()

    [after] = await world.meetings()
    assert (after["id"], after["topic"]) == (before["id"], "Another matter")
    assert await world.count_writes() == {"C": 1, "U": 1}
    assert len(await world.announcements(booked)) == 1


async def test_20_an_edit_that_zoom_need_not_know_makes_no_call(world):
    """Nor a new wish: notes, a contact, the link shown on the appointment."""
    booked = await world.book()
    await world.run_workers()
    before = await world.desired_state(booked)

    await world.edit(booked, contact_id=new_id(), personal=Personal(title=booked.personal.title))

    assert (await world.desired_state(booked))["desired_sequence"] == before["desired_sequence"]


async def test_20_an_edit_waits_behind_whoever_needs_a_link(world):
    """Even behind a booking that starts much later."""
    booked = await world.book()
    await world.run_workers()
    await world.edit(booked, personal=Personal(title="Another matter"))
    await world.book(start=booked.start_time + 240 * HOUR)

    await world.run_workers()

    verbs = [c.split()[0] for c in await world.calls() if c.split()[0] in ("POST", "PATCH")]
    assert verbs == ["POST", "POST", "PATCH"]


async def test_21_a_longer_appointment_keeps_its_link(world):
    """The meeting's duration follows the latest end of the seats."""
    first, _ = await a_class(world, 2)
    await world.run_workers()
    link = await links(world)

    await world.edit(first, end_time=first.start_time + 1.5 * HOUR)
    await world.run_workers()

    assert await links(world) == link
    assert [meeting["duration"] for meeting in await world.meetings()] == [90]
    assert await world.count_writes() == {"C": 1, "U": 1}


@pytest.mark.parametrize("status", ["showed", "noshow", "completed"])
async def test_22_what_has_taken_place_keeps_its_link(world, status):
    """No call."""
    booked = await world.book()
    await world.run_workers()

    await world.edit(booked, appointment_status=status)
    await world.run_workers()

    assert await world.count_writes() == {"C": 1}
    assert (await world.meeting_of(booked)).state == "ready"


async def test_23_a_moved_appointment_gets_a_new_link(world):
    """The old one is dropped for good, and no longer shown."""
    before = await world.book()
    await world.run_workers()
    old = (await world.meeting_of(before)).join_url

    after = await world.move(before)
    await world.run_workers()

    assert await links(world) == {(await world.meeting_of(after)).join_url}
    assert await links(world) != {old}
    assert (await world.meeting_of(before)).state == "none"
    assert await world.count_writes() == {"C": 2, "D": 1}


async def test_24_moved_into_a_session_of_others_it_gets_theirs(world):
    """Its own old session is empty then, and its meeting is dropped."""
    alone = await world.book(shared=True)
    others = await a_class(world, 2, start=alone.start_time + 48 * HOUR)
    await world.run_workers()
    link = (await world.meeting_of(others[0])).join_url

    moved = await world.move(
        alone, session=others[0].session, start_time=others[0].start_time, shared=True
    )
    await world.run_workers()

    assert await links(world) == {link}
    assert (await world.meeting_of(moved)).join_url == link
    assert await world.count_writes() == {"C": 2, "D": 1}


async def test_25_moved_out_of_a_session_of_others_they_keep_theirs(world):
    """The one who moves gets a new one."""
    staying, mover = await a_class(world, 2)
    await world.run_workers()
    link = (await world.meeting_of(staying)).join_url

    moved = await world.move(mover, shared=True)
    await world.run_workers()

    assert await links(world) == {link, (await world.meeting_of(moved)).join_url}
    assert await world.count_writes() == {"C": 2}


async def test_26_moved_away_and_back_it_gets_yet_another_link(world):
    """Sessions and links are never reused."""
    first = await world.book()
    await world.run_workers()
    second = await world.move(first)
    await world.run_workers()
    third = await world.move(second, start_time=first.start_time)
    await world.run_workers()

    urls = {m.join_url for at in (first, second, third) for m in await world.announcements(at)}
    assert len(urls - {None}) == 3
    assert await links(world) == {(await world.meeting_of(third)).join_url}
    assert await world.count_writes() == {"C": 3, "D": 2}


async def test_27_moved_three_times_while_zoom_is_down_it_gets_one_link(world):
    """For the last time; the others were never made."""
    await world.fault("status:503")
    booked = await world.book()
    await world.run_workers()
    for _ in range(3):
        booked = await world.move(booked)
        await world.run_workers()
    await world.clear_faults()

    for _ in range(8):
        await world.advance(timedelta(minutes=1))
        await world.run_workers()

    [meeting] = await world.meetings()
    assert meeting["start_time"] == booked.start_time.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (await world.meeting_of(booked)).join_url == meeting["join_url"]


async def test_28_the_last_one_cancelled_takes_the_meeting_with_it(world):
    """Dropped for good; the link is no longer shown."""
    booked = await world.book()
    await world.run_workers()

    await world.cancel(booked)
    await world.run_workers()

    assert await world.meetings() == []
    assert [m.state for m in await world.announcements(booked)] == ["ready", "none"]
    assert (await world.meeting_of(booked)).join_url is None
    assert await world.count_writes() == {"C": 1, "D": 1}


async def test_29_cancelled_while_others_remain_the_link_stays(world):
    """No call, nothing announced."""
    leaving, _ = await a_class(world, 2)
    await world.run_workers()

    await world.cancel(leaving)
    await world.run_workers()

    assert await world.count_writes() == {"C": 1}
    assert [m.state for m in await world.announcements(leaving)] == ["ready"]


async def test_30_the_slot_of_a_cancelled_one_never_gets_its_link(world):
    """Another session at the same time: another link."""
    first = await world.book()
    await world.run_workers()
    old = (await world.meeting_of(first)).join_url
    await world.cancel(first)

    second = await world.book(start=first.start_time)
    await world.run_workers()

    assert (await world.meeting_of(second)).join_url != old
    assert await links(world) == {(await world.meeting_of(second)).join_url}
    assert await world.count_writes() == {"C": 2, "D": 1}


async def test_31_cancelled_before_the_link_was_made_there_is_none(world):
    """No call at all."""
    await world.cancel(await world.book())

    await world.run_workers()

    assert await world.count_writes() == {}
    assert await world.meetings() == []


async def test_32_cancelled_and_confirmed_again_it_gets_a_new_link(world):
    """A new session, as booking opens one."""
    booked = await world.book()
    await world.run_workers()
    cancelled = await world.cancel(booked)
    again = await world.edit(
        cancelled, occupies=True, appointment_status="confirmed", session=new_id()
    )
    await world.run_workers()

    assert await links(world) == {(await world.meeting_of(again)).join_url}
    assert await world.count_writes() == {"C": 2, "D": 1}


async def test_33_one_occurrence_moved_leaves_the_others_alone(world):
    """Only that one changes."""
    series = [await world.book(start=world.now + day * 24 * HOUR) for day in (1, 2, 3)]
    await world.run_workers()

    await world.move(series[1], start_time=series[1].start_time + 2 * HOUR)
    await world.run_workers()

    for kept in (series[0], series[2]):
        assert [m.state for m in await world.announcements(kept)] == ["ready"]
    assert await world.count_writes() == {"C": 4, "D": 1}


async def test_34_another_host_makes_another_link(world):
    """In his account; who has not connected is asked to."""
    other = world.tenant.user_ids[1]
    before = await world.book()
    await world.run_workers()

    after = await world.move(before, start_time=before.start_time, hosts=(other,))
    await world.run_workers()
    assert await world.meetings() == []
    assert (await world.meeting_of(after)).reason == "connect_zoom"

    await world.connect(other, "bea@example.com")
    await world.run_workers()
    assert [meeting["user"] for meeting in await world.meetings()] == ["bea@example.com"]
    assert (await world.meeting_of(after)).state == "ready"


async def test_35_moved_from_zoom_to_another_place_its_meeting_is_dropped(world):
    """And made anew when it comes back; its session is the same all the time."""
    booked = await world.book()
    await world.run_workers()
    elsewhere = await world.edit(booked, meeting_location_type="phone")
    await world.run_workers()
    assert await world.meetings() == []

    await world.edit(elsewhere, meeting_location_type="zoom")
    await world.run_workers()

    said = await world.announcements(booked)
    assert [m.state for m in said] == ["ready", "none", "ready"]
    assert said[0].join_url != said[2].join_url


async def test_40_a_meeting_that_is_over_is_never_touched(world):
    """Neither made nor dropped."""
    held, never_made = await world.book(), None
    await world.run_workers()
    await world.clear_calls()
    await world.advance_to(held.end_time + HOUR)
    await world.cancel(held)
    never_made = await world.book(start=world.now - 3 * HOUR)

    await world.run_workers()

    assert await world.calls() == []
    assert (await world.meeting_of(never_made)).reason == "too_late"


async def test_41_a_meeting_that_its_host_deleted_is_made_anew_at_the_next_call(world):
    """Announced as a changed link."""
    booked = await world.book()
    await world.run_workers()
    [meeting] = await world.meetings()
    async with world.http.delete(f"{world.sim_url}/_sim/meetings/{meeting['id']}") as answer:
        assert answer.status == 204

    await world.edit(booked, personal=Personal(title="Another matter"))
    await world.run_workers()

    said = await world.announcements(booked)
    assert [m.state for m in said] == ["ready", "ready"]
    assert await links(world) == {said[1].join_url}


async def test_41_a_meeting_that_its_host_deleted_need_not_be_dropped(world):
    """404 on deletion is what we want."""
    booked = await world.book()
    await world.run_workers()
    [meeting] = await world.meetings()
    async with world.http.delete(f"{world.sim_url}/_sim/meetings/{meeting['id']}") as answer:
        assert answer.status == 204

    await world.cancel(booked)
    await world.run_workers()

    assert (await world.desired_state(booked))["status"] == "done"
    assert await world.object_states(booked) == ["gone"]


async def test_43_one_session_on_zoom_and_elsewhere_has_a_link_for_zoom_alone(world):
    """A seat on Teams neither counts for Zoom's link nor against it."""
    on_zoom, on_teams = await a_class(world, 2)
    await world.edit(on_teams, meeting_location_type="ms_teams")
    await world.run_workers()
    assert await world.count_writes() == {"C": 1}

    await world.cancel(on_zoom)
    await world.run_workers()
    assert await world.meetings() == []


async def test_a_tombstone_takes_the_last_of_an_appointment(world):
    """A month after it was deleted; nothing is wished for it again."""
    booked = await world.cancel(await world.book())
    await world.run_workers()

    async with world.db.transaction() as db:
        await handlers.on_appointment_tombstone(db, booked.id)

    assert await world.db.fetchval("SELECT count(*) FROM session_member") == 0
    assert (await world.request("GET", f"/meetings/{booked.id}")).status == 404
    await world.run_workers()
    assert await world.calls("POST") == []


async def test_the_seat_of_an_old_event_is_not_taken_again(world):
    """Delivered once more after the cancellation, the first event changes nothing."""
    booked = await world.book()
    await world.run_workers()
    await world.cancel(booked)
    await world.edit(booked.model_copy(update={"sequence": 0}))
    await world.run_workers()

    assert await world.meetings() == []
    assert await world.count_writes() == {"C": 1, "D": 1}
