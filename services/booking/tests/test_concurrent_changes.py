"""Concurrent bookings, block slots, group switches and settings on the same few calendars."""

import asyncio
from collections import Counter
from typing import Any

from booking.handlers.block_slots import delete_block_slot
from booking.handlers.groups import set_group_active
from booking.handlers.schedules import associate, dissociate


async def test_changes_and_bookings_at_once_end_in_order(office: Any) -> None:
    """There are no deadlocks: each request succeeds or is refused, none fails."""
    group = await office.group("all")
    hosts = [{"userId": user} for user in office.tenant.user_ids]
    calendars = [await office.calendar(teamMembers=[host]) for host in hosts]
    calendars.append(await office.calendar(teamMembers=hosts, calendarType="round_robin"))
    for calendar in calendars:
        await office.join(group.id, calendar)
    await office.resource("rooms", *calendars)
    schedule = await office.schedule(user_id=hosts[0]["userId"])

    async def switch(n: int) -> None:
        await office.run(set_group_active, group.id, bool(n % 2))

    async def block(n: int) -> None:
        created = await office.block(30 * n, 30 * n + 30, user_id=hosts[n % 2]["userId"])
        await office.run(delete_block_slot, created.id)

    async def reschedule(n: int) -> None:
        await office.run(associate, schedule.id, calendars[n % 3])
        await office.run(dissociate, schedule.id, calendars[n % 3])

    bookings = [office.book(calendars[n % 3], 30 * (n % 6)) for n in range(30)]
    done = await asyncio.gather(
        *bookings, *(change(n) for n in range(6) for change in (switch, block, reschedule))
    )
    statuses = Counter(response.status for response in done[:30])
    assert statuses.keys() <= {200, 400}
    assert await office.violations() == []
