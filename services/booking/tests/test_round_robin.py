"""Who of a team is given an appointment: by priority, or by fair parts of the month."""

from collections import Counter
from typing import Any

from booking.store.projections import upsert_user
from hoop_platform.ids import new_id

EQUAL = "RoundRobin_OptimizeForEqualDistribution"


async def people(office: Any, count: int) -> list[str]:
    """So many users of the account, in the order of their ids."""
    created = sorted(new_id() for _ in range(count))
    for person in created:
        await upsert_user(office.runtime.db, office.tenant.account_id, person, "Somebody")
    return created


async def calendar(office: Any, priorities: dict[str, float], **more: Any) -> str:
    members = [{"userId": user, "priority": value} for user, value in priorities.items()]
    created: str = await office.calendar(calendarType="round_robin", teamMembers=members, **more)
    return created


async def hosts(office: Any, on: str, *minutes: int) -> list[str]:
    """Who is given each of these times."""
    responses = [await office.book(on, minute) for minute in minutes]
    assert {response.status for response in responses} == {200}
    return [response.body["assignedUserId"] for response in responses]


async def test_for_availability_the_highest_priority_comes_first(office: Any) -> None:
    """At each time the free member with the highest priority; then none is left."""
    low, middle, high = await people(office, 3)
    on = await calendar(office, {low: 0, middle: 0.5, high: 1})
    assert await hosts(office, on, 0, 0, 0) == [high, middle, low]
    assert (await office.book(on, 0)).status == 400
    assert await hosts(office, on, 30) == [high]


async def test_equal_parts(office: Any) -> None:
    """Twelve appointments at different times: four each."""
    three = await people(office, 3)
    on = await calendar(office, dict.fromkeys(three, 0.5), eventType=EQUAL)
    given = Counter(await hosts(office, on, *range(0, 360, 30)))
    assert given == dict.fromkeys(three, 4)


async def test_parts_weighted_by_priority(office: Any) -> None:
    """Priorities 0, 0.5 and 1 have one, two and three parts of what there is."""
    one, two, three = await people(office, 3)
    on = await calendar(office, {one: 0, two: 0.5, three: 1}, eventType=EQUAL)
    given = Counter(await hosts(office, on, *range(0, 360, 30)))
    assert given == {one: 2, two: 4, three: 6}


async def test_what_is_cancelled_does_not_count(office: Any) -> None:
    """Who lost an appointment is given the next one."""
    one, other = await people(office, 2)
    on = await calendar(office, {one: 0.5, other: 0.5}, eventType=EQUAL)
    first = await office.book(on, 0)
    assert first.body["assignedUserId"] == one
    await office.change(first.body["id"], appointmentStatus="cancelled")
    assert await hosts(office, on, 30, 60) == [one, other]


async def test_who_is_named_must_be_free_and_on_the_team(office: Any) -> None:
    """The named member, whatever the mode says; taken: refused, though others are free; a stranger: 422."""
    one, other, stranger = await people(office, 3)
    on = await calendar(office, {one: 1, other: 0})
    assert (await office.book(on, assignedUserId=other)).body["assignedUserId"] == other
    assert (await office.book(on, assignedUserId=other)).status == 400
    refused = await office.book(on, assignedUserId=stranger)
    assert refused.status == 422
    assert refused.body["message"] == ["assignedUserId: The user id not part of calendar team"]


async def test_a_contact_stays_with_the_former_host(office: Any) -> None:
    """With `stickyContact`, if free; who is named, or has nobody yet, is not bound by that."""
    one, other = await people(office, 2)
    on = await calendar(office, {one: 0, other: 1}, stickyContact=True)
    first, second = office.tenant.contact_ids
    await office.book(on, 0, assignedUserId=one, contactId=first)
    assert (await office.book(on, 30, contactId=second)).body["assignedUserId"] == other
    assert (await office.book(on, 60, contactId=first)).body["assignedUserId"] == one
    await office.book(on, 90, assignedUserId=one, contactId=second)
    assert (await office.book(on, 90, contactId=first)).body["assignedUserId"] == other
    last = await office.book(on, 120, assignedUserId=one, contactId=first)
    await office.change(last.body["id"], appointmentStatus="cancelled")
    assert (await office.book(on, 150, contactId=first)).body["assignedUserId"] == other
    loose = await calendar(office, {one: 0, other: 1})
    await office.book(loose, 180, assignedUserId=one, contactId=first)
    assert (await office.book(loose, 210, contactId=first)).body["assignedUserId"] == other


async def test_moving_keeps_who_has_it_if_free(office: Any) -> None:
    """Moved to a time at which the host is free, the host stays; else another member is assigned."""
    one, other = await people(office, 2)
    on = await calendar(office, {one: 0, other: 1})
    mine = (await office.book(on, 0, assignedUserId=one)).body["id"]
    moved = await office.change(mine, startTime="2027-03-01T09:30:00-05:00")
    assert moved.body["assignedUserId"] == one
    await office.book(on, 60, assignedUserId=one)
    moved = await office.change(mine, startTime="2027-03-01T10:00:00-05:00")
    assert moved.body["assignedUserId"] == other
