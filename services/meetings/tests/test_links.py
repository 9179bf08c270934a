"""The links of appointments that are booked, moved and cancelled: the table of situations, row by row."""

from datetime import timedelta

import pytest

from hoop_events.base import Personal
from hoop_platform.ids import new_id
from meetings import handlers

HOUR = timedelta(hours=1)


async def book_class(world, size, start=None):
    """`size` appointments of one class session."""
    first = await world.book(shared=True, start=start)
    others = [await book_same(world, first, title=f"Client {n}") for n in range(1, size)]
    return [first, *others]


async def book_same(world, first, *, title="Another client"):
    """One more appointment of the same session."""
    return await world.book(
        session=first.session,
        start=first.start_time,
        shared=True,
        personal=Personal(title=title),
    )


async def links(world):
    """The join links of all meetings at Zoom."""
    return {meeting["join_url"] for meeting in await world.meetings()}


async def test_01_a_1_to_1_booking_gets_a_link_of_its_own(world):
    """One call; the join link is announced, the host's start link is not."""
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
async def test_03_an_appointment_elsewhere_than_on_zoom_gets_no_link(world, kind):
    """There is no desired state either."""
    booked = await world.book(meeting_location_type=kind)

    await world.run_workers()

    assert await world.calls("POST") == []
    assert await world.announcements(booked) == []
    assert await world.desired_state(booked) is None


async def test_04_the_second_booking_of_a_session_shares_its_link_also_when_it_is_pending(world):
    """One create, for members that join before and after it."""
    first, second = await book_class(world, 2)
    await world.run_workers()
    third = await book_same(world, first)
    await world.run_workers()

    assert await world.count_writes() == {"C": 1}
    assert await links(world) == {(await world.meeting_of(third)).join_url}
    assert len(await world.announcements(second)) == 1


async def test_05_a_full_class_has_one_link(world):
    """Ten appointments, one call; the topic contains nobody's title."""
    booked = await book_class(world, 10)

    await world.run_workers()

    [meeting] = await world.meetings()
    assert await world.count_writes() == {"C": 1}
    assert (await world.meeting_of(booked[9])).join_url == meeting["join_url"]
    assert meeting["topic"] == "Group session"


async def test_06_the_same_slot_with_another_host_has_a_link_of_its_own(world):
    """Each is created in the account of its host."""
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
    """The other hosts need no Zoom account."""
    booked = await world.book(hosts=(world.host, world.tenant.user_ids[1]))

    await world.run_workers()

    assert (await world.meeting_of(booked)).state == "ready"
    assert await world.count_writes() == {"C": 1}


async def test_08_a_series_gets_a_link_per_occurrence_soonest_first(world):
    """All at booking time, whatever the order of the events."""
    days = (3, 1, 5, 2, 4)
    for day in days:
        await world.book(start=world.now + day * 24 * HOUR)

    await world.run_workers()

    starts = [meeting["start_time"] for meeting in await world.meetings()]
    assert starts == sorted(starts)
    assert await world.count_writes() == {"C": 5}


async def test_10_before_confirmation_there_is_no_link(world):
    """The reason says so, and the link is created on confirmation."""
    booked = await world.book(confirmed=False, appointment_status="new")
    await world.run_workers()
    assert await world.count_writes() == {}
    assert (await world.meeting_of(booked)).reason == "awaiting_confirmation"

    await world.edit(booked, confirmed=True, appointment_status="confirmed")
    await world.run_workers()

    assert await world.count_writes() == {"C": 1}
    assert (await world.meeting_of(booked)).state == "ready"


async def test_11_a_session_that_becomes_shared_keeps_its_link(world):
    """After the capacity was raised, the next booking gets the same link."""
    first = await world.book()
    await world.run_workers()
    link = (await world.meeting_of(first)).join_url

    second = await book_same(world, first)
    await world.run_workers()

    assert await links(world) == {link}
    assert (await world.meeting_of(second)).join_url == link


async def test_16_a_meeting_that_the_host_created_at_zoom_is_not_touched(world):
    """Neither used nor changed nor deleted, whatever its topic."""
    await world.control("meetings", {"user": "ada@example.com", "topic": "Ada meets Carl"})
    booked = await world.book()
    await world.run_workers()
    await world.cancel(booked)
    await world.run_workers()

    assert [meeting["agenda"] for meeting in await world.meetings()] == [""]
    assert await world.count_writes() == {"C": 1, "D": 1}


async def test_20_another_title_keeps_the_link(world):
    """The topic of a 1:1 is updated at Zoom; nothing is announced again."""
    booked = await world.book()
    await world.run_workers()
    [before] = await world.meetings()

    await world.edit(booked, personal=Personal(title="Another matter"))
    await world.run_workers()

    [after] = await world.meetings()
    assert (after["id"], after["topic"]) == (before["id"], "Another matter")
    assert await world.count_writes() == {"C": 1, "U": 1}
    assert len(await world.announcements(booked)) == 1


async def test_20_an_edit_that_does_not_concern_zoom_makes_no_call(world):
    """Nor a new desired state: another contact, say."""
    booked = await world.book()
    await world.run_workers()
    before = await world.desired_state(booked)

    await world.edit(booked, contact_id=new_id(), personal=Personal(title=booked.personal.title))

    assert (await world.desired_state(booked))["desired_sequence"] == before["desired_sequence"]


async def test_20_an_update_waits_until_all_links_are_created(world):
    """Also the link of a booking that starts much later."""
    booked = await world.book()
    await world.run_workers()
    await world.edit(booked, personal=Personal(title="Another matter"))
    await world.book(start=booked.start_time + 240 * HOUR)

    await world.run_workers()

    verbs = [c.split()[0] for c in await world.calls() if c.split()[0] in ("POST", "PATCH")]
    assert verbs == ["POST", "POST", "PATCH"]


async def test_21_a_longer_appointment_keeps_its_link(world):
    """The meeting lasts until the latest end of the session's members."""
    first, _ = await book_class(world, 2)
    await world.run_workers()
    link = await links(world)

    await world.edit(first, end_time=first.start_time + 1.5 * HOUR)
    await world.run_workers()

    assert await links(world) == link
    assert [meeting["duration"] for meeting in await world.meetings()] == [90]
    assert await world.count_writes() == {"C": 1, "U": 1}


@pytest.mark.parametrize("status", ["showed", "noshow", "completed"])
async def test_22_an_appointment_that_took_its_time_keeps_its_link(world, status):
    """No call is made."""
    booked = await world.book()
    await world.run_workers()

    await world.edit(booked, appointment_status=status)
    await world.run_workers()

    assert await world.count_writes() == {"C": 1}
    assert (await world.meeting_of(booked)).state == "ready"


async def test_23_a_moved_appointment_gets_a_new_link(world):
    """The old one is deleted, and no longer shown."""
    before = await world.book()
    await world.run_workers()
    old = (await world.meeting_of(before)).join_url

    after = await world.move(before)
    await world.run_workers()

    assert await links(world) == {(await world.meeting_of(after)).join_url}
    assert await links(world) != {old}
    assert (await world.meeting_of(before)).state == "none"
    assert await world.count_writes() == {"C": 2, "D": 1}


async def test_24_moved_into_another_session_it_gets_the_link_of_that_session(world):
    """Its old session is empty then, and its meeting is deleted."""
    alone = await world.book(shared=True)
    others = await book_class(world, 2, start=alone.start_time + 48 * HOUR)
    await world.run_workers()
    link = (await world.meeting_of(others[0])).join_url

    moved = await world.move(
        alone, session=others[0].session, start_time=others[0].start_time, shared=True
    )
    await world.run_workers()

    assert await links(world) == {link}
    assert (await world.meeting_of(moved)).join_url == link
    assert await world.count_writes() == {"C": 2, "D": 1}


async def test_25_moved_out_of_a_session_the_others_keep_their_link(world):
    """The moved appointment gets a new one."""
    staying, leaving = await book_class(world, 2)
    await world.run_workers()
    link = (await world.meeting_of(staying)).join_url

    moved = await world.move(leaving, shared=True)
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

    urls = {
        meeting.join_url
        for appointment in (first, second, third)
        for meeting in await world.announcements(appointment)
    }
    assert len(urls - {None}) == 3
    assert await links(world) == {(await world.meeting_of(third)).join_url}
    assert await world.count_writes() == {"C": 3, "D": 2}


async def test_27_moved_three_times_while_zoom_is_down_it_gets_one_link(world):
    """For the last start time; no other meeting was created."""
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


async def test_28_when_the_last_member_is_cancelled_the_meeting_is_deleted(world):
    """The link is no longer shown."""
    booked = await world.book()
    await world.run_workers()

    await world.cancel(booked)
    await world.run_workers()

    assert await world.meetings() == []
    assert [m.state for m in await world.announcements(booked)] == ["ready", "none"]
    assert (await world.meeting_of(booked)).join_url is None
    assert await world.count_writes() == {"C": 1, "D": 1}


async def test_29_cancelled_while_others_remain_the_link_stays(world):
    """No call is made, nothing is announced."""
    leaving, _ = await book_class(world, 2)
    await world.run_workers()

    await world.cancel(leaving)
    await world.run_workers()

    assert await world.count_writes() == {"C": 1}
    assert [m.state for m in await world.announcements(leaving)] == ["ready"]


async def test_30_a_new_booking_of_a_cancelled_slot_gets_a_new_link(world):
    """It is another session at the same time."""
    first = await world.book()
    await world.run_workers()
    old = (await world.meeting_of(first)).join_url
    await world.cancel(first)

    second = await world.book(start=first.start_time)
    await world.run_workers()

    assert (await world.meeting_of(second)).join_url != old
    assert await links(world) == {(await world.meeting_of(second)).join_url}
    assert await world.count_writes() == {"C": 2, "D": 1}


async def test_31_cancelled_before_the_link_was_created_there_is_none(world):
    """No call is made."""
    await world.cancel(await world.book())

    await world.run_workers()

    assert await world.count_writes() == {}
    assert await world.meetings() == []


async def test_32_cancelled_and_confirmed_again_it_gets_a_new_link(world):
    """Booking has given it a new session."""
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
    """Only its session changes."""
    series = [await world.book(start=world.now + day * 24 * HOUR) for day in (1, 2, 3)]
    await world.run_workers()

    await world.move(series[1], start_time=series[1].start_time + 2 * HOUR)
    await world.run_workers()

    for kept in (series[0], series[2]):
        assert [m.state for m in await world.announcements(kept)] == ["ready"]
    assert await world.count_writes() == {"C": 4, "D": 1}


async def test_34_with_another_host_there_is_another_link(world):
    """In the new host's account, once it is connected."""
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


async def test_35_changed_from_zoom_to_phone_its_meeting_is_deleted(world):
    """Changed back, it gets a new one; its session is the same all the time."""
    booked = await world.book()
    await world.run_workers()
    elsewhere = await world.edit(booked, meeting_location_type="phone")
    await world.run_workers()
    assert await world.meetings() == []

    await world.edit(elsewhere, meeting_location_type="zoom")
    await world.run_workers()

    announced = await world.announcements(booked)
    assert [m.state for m in announced] == ["ready", "none", "ready"]
    assert announced[0].join_url != announced[2].join_url


async def test_40_a_meeting_that_is_over_is_never_touched(world):
    """Neither created nor deleted."""
    held = await world.book()
    await world.run_workers()
    await world.clear_calls()
    await world.advance_to(held.end_time + HOUR)
    await world.cancel(held)
    past = await world.book(start=world.now - 3 * HOUR)

    await world.run_workers()

    assert await world.calls() == []
    assert (await world.meeting_of(past)).reason == "too_late"


async def test_41_a_meeting_deleted_by_its_host_is_created_again_at_the_next_call(world):
    """The new link is announced."""
    booked = await world.book()
    await world.run_workers()
    [meeting] = await world.meetings()
    async with world.http.delete(f"{world.sim_url}/_sim/meetings/{meeting['id']}") as response:
        assert response.status == 204

    await world.edit(booked, personal=Personal(title="Another matter"))
    await world.run_workers()

    announced = await world.announcements(booked)
    assert [m.state for m in announced] == ["ready", "ready"]
    assert await links(world) == {announced[1].join_url}


async def test_41_a_meeting_deleted_by_its_host_counts_as_deleted(world):
    """Zoom responds 404 to our deletion."""
    booked = await world.book()
    await world.run_workers()
    [meeting] = await world.meetings()
    async with world.http.delete(f"{world.sim_url}/_sim/meetings/{meeting['id']}") as response:
        assert response.status == 204

    await world.cancel(booked)
    await world.run_workers()

    assert (await world.desired_state(booked))["status"] == "done"
    assert await world.object_states(booked) == ["gone"]


async def test_43_a_session_on_zoom_and_teams_has_a_zoom_link_for_zoom_members(world):
    """A member on Teams does not keep Zoom's meeting alive."""
    on_zoom, on_teams = await book_class(world, 2)
    await world.edit(on_teams, meeting_location_type="ms_teams")
    await world.run_workers()
    assert await world.count_writes() == {"C": 1}

    await world.cancel(on_zoom)
    await world.run_workers()
    assert await world.meetings() == []


async def test_a_tombstone_deletes_all_that_is_stored_of_an_appointment(world):
    """A month after the appointment was deleted; nothing is desired for it again."""
    booked = await world.cancel(await world.book())
    await world.run_workers()

    async with world.db.transaction() as db:
        await handlers.on_appointment_tombstone(db, booked.id)

    assert await world.db.fetchval("SELECT count(*) FROM session_member") == 0
    assert (await world.request("GET", f"/meetings/{booked.id}")).status == 404
    await world.run_workers()
    assert await world.calls("POST") == []


async def test_an_old_event_does_not_revive_an_appointment(world):
    """Delivered again after the cancellation, the first event changes nothing."""
    booked = await world.book()
    await world.run_workers()
    await world.cancel(booked)
    await world.edit(booked.model_copy(update={"sequence": 0}))
    await world.run_workers()

    assert await world.meetings() == []
    assert await world.count_writes() == {"C": 1, "D": 1}
