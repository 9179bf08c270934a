"""Lists of appointments and block slots: what lies in a time, page by page, at the price of a page."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from booking.store import calendar_events
from hoop_platform.ids import new_id

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)  # 09:00 in New York
PLAIN = {"ignoreFreeSlotValidation": True}
EVENTS, BLOCKS = "/calendars/events", "/calendars/blocked-slots"


def ms(minutes: float) -> str:
    return str(int((MONDAY + timedelta(minutes=minutes)).timestamp() * 1000))


async def asked(office: Any, path: str = EVENTS, **fields: Any) -> Any:
    """The response for Monday from nine to five, unless another time is given."""
    query = {"locationId": office.tenant.location_id, "startTime": ms(0), "endTime": ms(480)}
    query |= {name: str(value) for name, value in fields.items()}
    return await office.request("GET", path, query={n: v for n, v in query.items() if v != "-"})


async def listed(office: Any, path: str = EVENTS, **fields: Any) -> list[str]:
    response = await asked(office, path, **fields)
    assert response.status == 200, response.body
    return [event["id"] for event in response.body["events"]]


async def booked(office: Any, calendar: str, minutes: int = 0, **fields: Any) -> str:
    response = await office.book(calendar, minutes, **fields)
    assert response.status == 200, response.body
    return str(response.body["id"])


async def test_an_event_looks_as_it_does_alone(office: Any) -> None:
    """The same object as in the response to GET of the appointment, times in the zone of the location."""
    calendar = await office.calendar()
    appointment = await booked(office, calendar, 30, title="Checkup")
    await office.join((await office.group("doctors")).id, calendar)
    alone = await office.request("GET", f"/calendars/events/appointments/{appointment}")
    contact, user = office.tenant.contact_ids[0], office.tenant.user_ids[0]
    for response in (
        await asked(office, calendarId=calendar),
        await asked(office, userId=user),
        await office.request("GET", f"/contacts/{contact}/appointments"),
    ):
        assert response.content == {"events": [alone.body["event"]]}
    assert response.body["events"][0]["startTime"] == "2027-03-01T09:30:00-05:00"


async def test_what_overlaps_is_listed_and_nothing_beside_it(office: Any) -> None:
    """An end at the start of the window, and a start at its end, lie outside."""
    calendar = await office.calendar()
    early, inside, late = [await booked(office, calendar, m) for m in (0, 30, 60)]
    windows = {(30, 60): [inside], (29, 61): [early, inside, late], (40, 41): [inside]}
    windows |= {(61, 62): [late], (90, 91): [], (-60, 0): []}
    for (start, end), expected in windows.items():
        found = await listed(office, calendarId=calendar, startTime=ms(start), endTime=ms(end))
        assert found == expected, (start, end)


async def test_what_lasts_for_days_is_found_in_each_of_them(office: Any) -> None:
    """Three days and a minute: in the middle, in its last minute, and no later."""
    calendar = await office.calendar()
    end = (MONDAY + timedelta(days=3, minutes=1)).isoformat()
    appointment = await booked(office, calendar, 0, endTime=end, **PLAIN)
    user = office.tenant.user_ids[0]
    for whose in ({"calendarId": calendar}, {"userId": user}):
        for day, expected in ((-1, []), (1, [appointment]), (3, [appointment]), (3.001, [])):
            start = ms(day * 1440)
            found = await listed(office, startTime=start, endTime=str(int(start) + 60_000), **whose)
            assert found == expected, (day, whose)


async def test_the_time_may_be_said_in_both_ways(office: Any) -> None:
    calendar = await office.calendar()
    appointment = await booked(office, calendar)
    iso = {"startTime": "2027-03-01T09:00:00-05:00", "endTime": "2027-03-01T14:30:00Z"}
    assert await listed(office, calendarId=calendar, **iso) == [appointment]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"startTime": "-", "calendarId": "x"}, "startTime"),
        ({"startTime": "1835913600", "calendarId": "x"}, "startTime"),
        ({"startTime": "2027-03-01T09:00:00", "calendarId": "x"}, "startTime"),
        ({"startTime": "1e12", "calendarId": "x"}, "startTime"),
        ({"endTime": "9999999999999", "calendarId": "x"}, "endTime"),
        ({"endTime": ms(0), "calendarId": "x"}, "endTime"),
        ({"endTime": ms(-1), "calendarId": "x"}, "endTime"),
        ({"limit": "0", "calendarId": "x"}, "limit"),
        ({"limit": "1001", "calendarId": "x"}, "limit"),
        ({"status": "canceled", "calendarId": "x"}, "status.0"),
        ({"updatedAfter": "yesterday", "calendarId": "x"}, "updatedAfter"),
    ],
)
async def test_what_cannot_be_asked_names_the_field(office: Any, fields: Any, path: str) -> None:
    response = await asked(office, **fields)
    assert (response.status, [d["path"] for d in response.body["details"]]) == (422, [path])


async def test_block_slots_are_asked_of_something(office: Any) -> None:
    response = await asked(office, BLOCKS)
    assert (response.status, [d["path"] for d in response.body["details"]]) == (422, ["calendarId"])


async def test_all_of_a_location(office: Any) -> None:
    """On every calendar, with every host; cancelled ones too; page by page."""
    ann, bob = office.tenant.user_ids
    hers, his = [await office.calendar(teamMembers=[{"userId": u}]) for u in (ann, bob)]
    ids = [await booked(office, (hers, his)[n % 2], 30 * n) for n in range(4)]
    end = (MONDAY + timedelta(days=3)).isoformat()
    long = await booked(office, hers, 240, endTime=end, **PLAIN)
    await office.change(ids[0], appointmentStatus="cancelled")
    await office.hold(his, 300)
    assert await listed(office) == [*ids, long]
    assert await listed(office, status="cancelled") == ids[:1]
    assert await listed(office, startTime=ms(2880), endTime=ms(2881)) == [long]
    window = {"locationId": office.tenant.location_id, "startTime": ms(0), "endTime": ms(480)}
    assert await walked(office, EVENTS, **window, limit="2") == [*ids, long]
    assert (await asked(office, locationId=new_id())).status == 403


async def test_strangers_are_unknown(office: Any) -> None:
    """A calendar and a group 404, a location 403; an unknown user has no events."""
    for stranger in (new_id(), "nonsense"):
        assert (await asked(office, calendarId=stranger)).status == 404
        assert (await asked(office, groupId=stranger)).status == 404
    response = await asked(office, calendarId=new_id(), locationId=new_id())
    assert response.status == 403
    for path, nobody in itertools.product((EVENTS, BLOCKS), (new_id(), "nonsense")):
        assert await listed(office, path, userId=nobody) == []


async def test_by_calendar_by_user_by_group_and_by_all_of_them(office: Any) -> None:
    """Each narrows; a user hosts what is booked with them alone, and what with others."""
    ann, bob = office.tenant.user_ids
    team = [{"userId": ann, "isPrimary": True}, {"userId": bob}]
    hers, his = [await office.calendar(teamMembers=[{"userId": u}]) for u in (ann, bob)]
    both = await office.calendar(calendarType="collective", teamMembers=team)
    one, two = await booked(office, hers, 0), await booked(office, his, 0)
    three = await booked(office, both, 60)
    assert await listed(office, userId=ann) == [one, three]
    assert await listed(office, userId=bob) == [two, three]
    assert await listed(office, userId=bob, calendarId=both) == [three]
    assert await listed(office, userId=bob, calendarId=hers) == []
    group = await office.group("doctors")
    await office.join(group.id, hers)
    await office.join(group.id, both)
    assert await listed(office, groupId=group.id) == [one, three]
    assert await listed(office, groupId=group.id, userId=bob) == [three]
    assert await listed(office, groupId=group.id, calendarId=his) == []


async def test_what_is_cancelled_is_listed_what_is_deleted_or_held_is_not(office: Any) -> None:
    """Cancelled ones still belong to their calendar and their host."""
    calendar, user = await office.calendar(), office.tenant.user_ids[0]
    kept, gone, deleted = [await booked(office, calendar, m) for m in (0, 30, 60)]
    await office.change(gone, appointmentStatus="cancelled")
    await office.request("DELETE", f"/calendars/events/{deleted}")
    await office.hold(calendar, 120)
    for whose in ({"calendarId": calendar}, {"userId": user}):
        assert await listed(office, **whose) == [kept, gone]
        assert await listed(office, status="cancelled", **whose) == [gone]
    both = {"status[]": "new"}
    assert await listed(office, calendarId=calendar, status="confirmed", **both) == [kept]


async def test_what_was_changed_since(office: Any) -> None:
    """`updatedAfter` leaves out what is as old as that, or older."""
    calendar = await office.calendar()
    first, second = [await booked(office, calendar, m) for m in (0, 30)]
    changed = await office.change(first, title="Other")
    seen = await office.request("GET", f"/calendars/events/appointments/{second}")
    since = seen.body["event"]["dateUpdated"]
    assert await listed(office, calendarId=calendar, updatedAfter=since) == [first]
    since = changed.body["dateUpdated"]
    assert await listed(office, calendarId=calendar, updatedAfter=since) == []


async def walked(office: Any, path: str, **fields: Any) -> list[str]:
    """All pages of a list; no cursor is offered where nothing follows."""
    found, cursor = [], "-"
    while True:
        query = {**fields, **({} if cursor == "-" else {"cursor": cursor})}
        response = await office.request("GET", path, query=query)
        assert response.status == 200, response.body
        found += [event["id"] for event in response.body["events"]]
        if "nextCursor" not in response.body:
            return found
        assert len(response.body["events"]) == int(fields["limit"])
        cursor = response.body["nextCursor"]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7])
async def test_pages_show_each_event_once_in_order(office: Any, limit: int) -> None:
    """Three of one start, too, of which a page may end in the middle; and block slots alike."""
    calendar = await office.calendar(appoinmentPerSlot=3, allowSameContact=True)
    user = office.tenant.user_ids[0]
    group = await office.group("doctors")
    await office.join(group.id, calendar)
    ids = [await booked(office, calendar, m) for m in (0, 30, 30, 30, 60, 90)]
    expected = [ids[0], *sorted(ids[1:4]), *ids[4:]]
    window = {"locationId": office.tenant.location_id, "startTime": ms(0), "endTime": ms(480)}
    for whose in ({"calendarId": calendar}, {"userId": user}, {"groupId": group.id}):
        found = await walked(office, EVENTS, **window, **whose, limit=str(limit))
        assert found == expected, whose
    blocks = [(await office.block(300, 330, calendar_id=calendar)).id for _ in range(3)]
    found = await walked(office, BLOCKS, **window, calendarId=calendar, limit=str(limit))
    assert found == sorted(blocks)


async def test_a_cursor_of_nobody_s_is_refused(office: Any) -> None:
    calendar, contact = await office.calendar(), office.tenant.contact_ids[0]
    for cursor in ("nonsense", new_id(), "%00", "A" * 1000, ""):
        response = await asked(office, calendarId=calendar, cursor=cursor)
        assert (response.status, [d["path"] for d in response.body["details"]]) == (422, ["cursor"])
        query = {"cursor": cursor}
        response = await office.request("GET", f"/contacts/{contact}/appointments", query=query)
        assert (response.status, [d["path"] for d in response.body["details"]]) == (422, ["cursor"])


async def test_blocked_slots_are_a_list_of_their_own(office: Any) -> None:
    """Of the calendar, of the user, of each calendar of the group; never among the events."""
    calendar, user = await office.calendar(), office.tenant.user_ids[0]
    group = await office.group("doctors")
    await office.join(group.id, calendar)
    whole = await office.block(0, 60, calendar_id=calendar)
    own = await office.block(30, 90, user_id=user)
    assert await listed(office, BLOCKS, calendarId=calendar) == [whole.id]
    assert await listed(office, BLOCKS, groupId=group.id) == [whole.id]
    assert await listed(office, BLOCKS, userId=user) == [own.id]
    assert await listed(office, BLOCKS, userId=user, calendarId=calendar) == [whole.id, own.id]
    assert await listed(office, BLOCKS, userId=user, startTime=ms(90), endTime=ms(91)) == []
    assert await listed(office, calendarId=calendar) == await listed(office, userId=user) == []
    (shown,) = (await asked(office, BLOCKS, userId=user)).body["events"]
    assert shown["startTime"] == "2027-03-01T09:30:00-05:00"
    assert shown["assignedUserId"] == user
    assert (shown["calendarId"], shown["contactId"], shown["users"]) == ("", "", [])


async def test_a_contact_s_appointments_newest_first(office: Any) -> None:
    """On all calendars, page by page, cancelled ones too; no other contact's."""
    one, other = office.tenant.contact_ids
    calendars = [await office.calendar(), await office.calendar()]
    ids = [await booked(office, calendars[n % 2], 30 * n, contactId=one) for n in range(5)]
    await booked(office, calendars[0], 300, contactId=other)
    await office.change(ids[0], appointmentStatus="cancelled")
    await office.request("DELETE", f"/calendars/events/{ids[1]}")
    for limit in ("1", "2", "4", "100"):
        found = await walked(office, f"/contacts/{one}/appointments", limit=limit)
        assert found == [ids[4], ids[3], ids[2], ids[0]]
    for unknown in (new_id(), "nonsense"):
        response = await office.request("GET", f"/contacts/{unknown}/appointments")
        assert response.status == 404
    response = await office.request("GET", f"/contacts/{one}/appointments", query={"limit": "101"})
    assert response.status == 422


HISTORY = """
    INSERT INTO appointment (account_id, id, calendar_id, location_id, contact_id, session_id, seat,
                             starts, ends, local_day, occupies, version, sequence, state)
    SELECT account_id, gen_random_uuid(), calendar_id, location_id, contact_id, gen_random_uuid(),
           null, starts - interval '1 h' * n, ends - interval '1 h' * n, local_day, false, 1, 1, state
      FROM appointment, generate_series($2::int, $3::int) AS n
     WHERE id = $1
"""


async def test_a_page_costs_what_it_shows(office: Any) -> None:
    """Ten thousand appointments before and ten thousand to come: a page of twenty reads no more."""
    calendar = await office.calendar()
    appointment = await booked(office, calendar)
    database = office.runtime.db
    await database.execute(HISTORY, appointment, 100, 10_100)
    await database.execute(HISTORY, appointment, -10_100, -100)
    await database.execute("VACUUM ANALYZE appointment")
    account, location = office.tenant.account_id, office.tenant.location_id
    window = (account, location, MONDAY + timedelta(days=3), MONDAY + timedelta(days=600))
    common = (*window, MONDAY + timedelta(days=30), "0" * 26, None, None, 20)
    user, contact = office.tenant.user_ids[0], office.tenant.contact_ids[0]
    for sql, args in (
        (calendar_events.ON_CALENDARS, (*common, None, [calendar])),
        (calendar_events.ON_CALENDARS, (*common, user, [calendar])),
        (calendar_events.HOSTED, (*common, user)),
        (calendar_events.IN_LOCATION, common),
        (calendar_events.OF_CONTACT, (account, contact, MONDAY, "v" * 25 + "s", 20)),
    ):
        output = await database.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *args)
        plan = json.loads(output)[0]["Plan"]
        assert plan["Actual Rows"] == 20
        assert touched(plan) < 500, json.dumps(plan, indent=1)


def touched(plan: dict[str, Any]) -> float:
    """The rows that the plan read, and those that it threw away."""
    rows = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    rows += plan.get("Rows Removed by Index Recheck", 0)
    return float(rows * plan["Actual Loops"] + sum(map(touched, plan.get("Plans", ()))))
