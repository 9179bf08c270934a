"""Schedules, block slots and groups: each change applies to the next booking."""

from typing import Any

import pytest

from booking.handlers.block_slots import change_block_slot, delete_block_slot
from booking.handlers.groups import change_group, delete_group, set_group_active
from booking.handlers.schedules import associate, change_schedule, delete_schedule, dissociate
from hoop_platform.errors import Conflict, Invalid, NotFound
from hoop_platform.ids import new_id

NOON, ONE = 180, 240


async def status(office: Any, calendar: str, minutes: int) -> int:
    """Of a booking that does not stay."""
    response = await office.book(calendar, minutes)
    if response.status == 200:
        await office.change(response.body["id"], appointmentStatus="cancelled")
    return int(response.status)


async def test_a_schedule_replaces_the_open_hours_it_is_associated_with(office: Any) -> None:
    """Mornings only while it is associated; all day before and after, and after it is deleted."""
    calendar = await office.calendar()
    schedule = await office.schedule()
    assert await status(office, calendar, ONE) == 200
    await office.run(associate, schedule.id, calendar)
    assert [await status(office, calendar, m) for m in (0, ONE)] == [200, 400]
    await office.run(dissociate, schedule.id, calendar)
    assert await status(office, calendar, ONE) == 200
    await office.run(associate, schedule.id, calendar)
    await office.run(delete_schedule, schedule.id)
    assert await status(office, calendar, ONE) == 200
    kinds = [kind for kind, _ in await office.announced(schedule.id)]
    assert kinds == ["ScheduleChanged"] * 4 + ["ScheduleDeleted"]
    with pytest.raises(NotFound):
        await office.run(associate, schedule.id, calendar)


async def test_a_changed_schedule_counts_at_once(office: Any) -> None:
    """New rules apply to the next booking; the same rules again are nothing."""
    calendar = await office.calendar()
    schedule = await office.schedule(calendar)
    assert await status(office, calendar, ONE) == 400
    rules = [{"type": "wday", "day": "monday", "intervals": [{"from": "12:00", "to": "17:00"}]}]
    changed = await office.run(change_schedule, schedule.id, {"rules": rules})
    assert [await status(office, calendar, m) for m in (0, ONE)] == [400, 200]
    again = await office.run(change_schedule, schedule.id, {"rules": rules})
    assert again.version == changed.version == 2
    assert len(await office.announced(schedule.id)) == 2
    assert changed.versions.keys() == {calendar}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"rules": [{"type": "wday", "day": "noday", "intervals": []}]}, "rules.0.day"),
        ({"rules": [{"type": "date", "date": "2027-13-01", "intervals": []}]}, "rules.0.date"),
        (
            {
                "rules": [
                    {"type": "wday", "day": "monday", "intervals": [{"from": "9:30", "to": "9:00"}]}
                ]
            },
            "rules.0.intervals",
        ),
    ],
)
async def test_a_schedule_that_says_nothing_sensible(office: Any, fields: Any, path: str) -> None:
    with pytest.raises(Invalid) as refused:
        await office.schedule(**fields)
    assert refused.value.details[0].path == path


async def test_a_block_of_a_user_blocks_all_their_calendars(office: Any) -> None:
    """An hour from noon, on both calendars; moved, the old hour is free; deleted, both are."""
    one, other = await office.calendar(), await office.calendar()
    block = await office.block(NOON, ONE, user_id=office.tenant.user_ids[0])
    assert [await status(office, c, NOON) for c in (one, other)] == [400, 400]
    assert await status(office, one, ONE) == 200
    moved = await office.run(
        change_block_slot,
        block.id,
        {"start_time": block.end_time, "end_time": block.end_time.replace(hour=19)},
    )
    assert moved.version == 2
    assert [await status(office, one, m) for m in (NOON, ONE)] == [200, 400]
    await office.run(delete_block_slot, block.id)
    assert await status(office, one, ONE) == 200
    versions = [body["state"]["versions"] for _, body in await office.announced(block.id)]
    counted = [fields[office.tenant.user_ids[0]] for fields in versions]
    assert counted == sorted({*counted})


async def test_a_block_of_a_calendar_or_a_room_blocks_that_only(office: Any) -> None:
    """A blocked calendar blocks no other; a blocked room blocks all calendars that need it."""
    one, other = await office.calendar(), await office.calendar()
    await office.block(NOON, ONE, calendar_id=one)
    assert [await status(office, c, NOON) for c in (one, other)] == [400, 200]
    room = await office.resource("rooms", other)
    await office.block(0, 60, resource_id=room.id)
    assert [await status(office, c, 0) for c in (one, other)] == [200, 400]


async def test_a_block_blocks_one_thing(office: Any) -> None:
    """Nothing, or two things, is refused; what the account does not have is unknown."""
    with pytest.raises(Invalid):
        await office.block(NOON, ONE)
    user, calendar = office.tenant.user_ids[0], await office.calendar()
    with pytest.raises(Invalid):
        await office.block(NOON, ONE, user_id=user, calendar_id=calendar)
    with pytest.raises(Invalid):
        await office.block(ONE, NOON, user_id=user)
    with pytest.raises(NotFound):
        await office.block(NOON, ONE, calendar_id=new_id())


async def test_a_group_switches_its_calendars(office: Any) -> None:
    """Off: none of its calendars takes anything; on again: they do; each change is announced."""
    group = await office.group("doctors")
    inside, outside = await office.calendar(), await office.calendar()
    await office.join(group.id, inside)
    await office.run(set_group_active, group.id, False)
    refused = await office.book(inside)
    assert (refused.status, refused.body["code"]) == (400, "calendar_inactive")
    assert await status(office, outside, 0) == 200
    await office.run(set_group_active, group.id, True)
    assert await status(office, inside, 0) == 200
    fields = [body["state"]["settings"]["isActive"] for _, body in await office.announced(inside)]
    assert fields[-2:] == [False, True]

    await office.run(delete_group, group.id)
    last = (await office.announced(inside))[-1][1]["state"]
    assert last["settings"]["groupId"] is None


async def test_a_slug_is_one_group_s_in_its_location(office: Any) -> None:
    """The second is refused, at creation and at change; once the first is gone, it is free."""
    first, second = await office.group("doctors"), await office.group("nurses")
    with pytest.raises(Conflict) as refused:
        await office.group("doctors")
    assert refused.value.details[0].code == "slug_taken"
    with pytest.raises(Conflict):
        await office.run(change_group, second.id, {"slug": "doctors"})
    await office.run(delete_group, first.id)
    assert (await office.run(change_group, second.id, {"slug": "doctors"})).version == 2
