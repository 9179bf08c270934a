"""Every field of an appointment: its meaning in a request, and its value in the response."""

from typing import Any

from hoop_events.accounts import ApiKey, ApiKeyChanged
from hoop_platform.auth import SCOPES, digest
from hoop_platform.ids import new_id
from local.testing.client import Client
from local.testing.events import publish
from local.testing.polling import eventually
from local.testing.tenant import UNLIMITED

LOCATIONS = [
    {"kind": "physical", "location": "1 Main Street"},
    {"kind": "inbound_call", "location": "+1 212 555 0100"},
]


async def calendar_with_locations(office: Any) -> str:
    """A calendar whose member can be met in two places."""
    member = {"userId": office.tenant.user_ids[0], "locationConfigurations": LOCATIONS}
    return str(await office.calendar(teamMembers=[member]))


def where(body: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(body[name] for name in ("meetingLocationType", "meetingLocationId", "address"))


SAID: tuple[tuple[dict[str, Any], tuple[str, str, str]], ...] = (
    ({}, ("address", "default", "1 Main Street")),
    ({"meetingLocationId": "default"}, ("address", "default", "1 Main Street")),
    ({"meetingLocationId": "inbound_call_1"}, ("phone", "inbound_call_1", "+1 212 555 0100")),
    (
        {"meetingLocationId": "inbound_call_1", "overrideLocationConfig": False},
        ("phone", "inbound_call_1", "+1 212 555 0100"),
    ),
    (
        {"meetingLocationType": "custom", "address": "Cafe", "overrideLocationConfig": True},
        ("custom", "default", "Cafe"),
    ),
    ({"address": "Cafe"}, ("custom", "default", "Cafe")),
    (
        {
            "meetingLocationType": "phone",
            "meetingLocationId": "physical_0",
            "overrideLocationConfig": True,
        },
        ("phone", "default", ""),
    ),
    (
        {"meetingLocationType": "phone", "meetingLocationId": "physical_0"},
        ("address", "physical_0", "1 Main Street"),
    ),
)
NOWHERE: tuple[tuple[dict[str, Any], str], ...] = (
    ({"meetingLocationId": "custom_7"}, "meetingLocationId"),
    ({"meetingLocationId": "physical_0", "overrideLocationConfig": True}, ""),
    ({"meetingLocationType": "phone", "overrideLocationConfig": False}, ""),
    ({"meetingLocationType": "pub"}, "meetingLocationType"),
)


async def test_the_venue_of_an_appointment(office: Any) -> None:
    """One of the member's locations, or another venue; at creation and in a later change."""
    calendar = await calendar_with_locations(office)
    for day, (fields, expected) in enumerate(SAID[:5]):
        booked = await office.book(calendar, day * 24 * 60, **fields)
        assert (booked.status, where(booked.body)) == (200, expected), fields
    for day, (fields, expected) in enumerate(SAID):
        mine = (await office.book(calendar, (day % 5) * 24 * 60 + 60 + day * 30)).body["id"]
        assert where((await office.change(mine, **fields)).body) == expected, fields


async def test_a_calendar_without_locations(office: Any) -> None:
    """What the calendar does not have, or what contradicts itself, is 422, booked or changed."""
    calendar = await calendar_with_locations(office)
    mine = (await office.book(calendar)).body["id"]
    for fields, path in NOWHERE:
        for response in (
            await office.book(calendar, 30, **fields),
            await office.change(mine, **fields),
        ):
            assert (response.status, response.body["details"][0]["path"]) == (422, path), (
                response.body
            )


async def test_the_answer_has_every_field(office: Any) -> None:
    calendar = await office.calendar()
    group = await office.group("clinic")
    await office.join(group.id, calendar)
    booked = (await office.book(calendar, title="Check", description="Teeth")).body
    assert booked["groupId"] == group.id
    assert booked["appoinmentStatus"] == booked["appointmentStatus"] == "confirmed"
    assert (booked["isRecurring"], booked["assignedResources"], booked["users"]) == (False, [], [])
    assert booked["createdBy"] == {"source": "public_api"}
    assert booked["dateAdded"] == booked["dateUpdated"]
    assert booked["meeting"]["state"] == "none"
    read = await office.request("GET", f"/calendars/events/appointments/{booked['id']}")
    assert read.body["event"] == read.body["appointment"]
    assert {**read.body["event"], "traceId": booked["traceId"]} == booked
    assert read.headers["ETag"] == '"1"'


async def test_the_group_is_the_one_its_calendar_is_in_by_now(office: Any) -> None:
    calendar = await office.calendar()
    mine = (await office.book(calendar)).body
    assert mine["groupId"] == ""
    group = await office.group("clinic")
    await office.join(group.id, calendar)
    read = await office.request("GET", f"/calendars/events/appointments/{mine['id']}")
    assert read.body["event"]["groupId"] == group.id
    assert (await office.change(mine["id"])).body["version"] == 1


async def test_an_empty_patch_is_nothing(office: Any) -> None:
    """It changes nothing and announces nothing; nor do flags, and what is as it is."""
    mine = (await office.book(await calendar_with_locations(office))).body
    same = {name: mine[name] for name in ("startTime", "endTime", "title", "address")}
    for fields in ({}, {"toNotify": False}, {"ignoreDateRange": True}, same):
        response = await office.change(mine["id"], **fields)
        assert (response.status, response.body["version"]) == (200, 1), fields
        assert response.body["dateUpdated"] == mine["dateUpdated"]
    assert len(await office.announced(mine["id"])) == 1


async def test_what_settings_say_later_changes_nothing(office: Any) -> None:
    """Locations that are gone from the calendar stay on what was booked there."""
    calendar = await calendar_with_locations(office)
    mine = (await office.book(calendar, meetingLocationId="inbound_call_1")).body
    member = {"userId": office.tenant.user_ids[0], "locationConfigurations": LOCATIONS[:1]}
    await office.request("PUT", f"/calendars/{calendar}", {"teamMembers": [member]})
    kept = await office.change(mine["id"])
    assert (where(kept.body), kept.body["version"]) == (where(mine), 1)


async def test_a_stranger_cannot_be_assigned(office: Any) -> None:
    calendar = await office.calendar()
    response = await office.book(calendar, assignedUserId=office.tenant.user_ids[1])
    detail = response.body["details"][0]
    assert (response.status, detail["path"]) == (422, "assignedUserId")
    assert detail["message"] == "The user id not part of calendar team"


async def test_a_length_that_is_not_offered(office: Any) -> None:
    calendar = await office.calendar()
    response = await office.book(calendar, endTime="2027-03-01T15:00:00Z")
    assert (response.status, response.body["code"]) == (400, "slot_duration")
    text = "Selected slot duration is not a valid duration option for this calendar"
    assert response.body["message"] == text


async def test_a_length_of_its_own_is_kept_when_it_moves(office: Any) -> None:
    """Forced, or older than the calendar's settings: `startTime` alone moves it, under all other rules."""
    calendar = await office.calendar()
    forced = {"endTime": "2027-03-01T14:45:00Z", "ignoreFreeSlotValidation": True}
    mine = (await office.book(calendar, **forced)).body["id"]
    await office.book(calendar, 90)
    for start, status in (("15:00", 400), ("15:01", 400), ("16:00", 200), ("21:30", 400)):
        moved = await office.change(mine, startTime=f"2027-03-01T{start}:00Z")
        assert moved.status == status, (start, moved.body)
    assert moved.body["code"] == "slot_unavailable"
    assert (await office.change(mine)).body["endTime"] == "2027-03-01T11:45:00-05:00"
    await office.request("PUT", f"/calendars/{calendar}", {"slotDuration": 60})
    assert (await office.change(mine, startTime="2027-03-01T18:00:00Z")).status == 200
    other = await office.change(mine, endTime="2027-03-01T18:20:00Z")
    assert (other.status, other.body["code"]) == (400, "slot_duration")


async def test_31_local_days_are_the_longest(office: Any) -> None:
    """October has an hour more where the clocks go back; created, held and changed alike."""
    calendar = await office.calendar()
    free = {"ignoreFreeSlotValidation": True}
    start, end = "2027-10-10T14:00:00-04:00", "2027-11-10T14:00:00-05:00"
    for late, status in (("2027-11-10T14:01:00-05:00", 422), (end, 200)):
        booked = await office.book(calendar, startTime=start, endTime=late, **free)
        assert booked.status == status, booked.body
        assert status == 200 or booked.body["details"][0]["path"] == "endTime"
    short = (await office.book(calendar, 0)).body["id"]
    await office.request("DELETE", f"/calendars/events/{booked.body['id']}")
    for late, status in (("2027-11-10T14:01:00-05:00", 422), (end, 200)):
        moved = await office.change(short, startTime=start, endTime=late, **free)
        assert moved.status == status, moved.body
    late = {"startTime": start, "endTime": "2027-11-10T14:01:00-05:00"}
    held = await office.request("POST", f"/calendars/{calendar}/holds", late)
    assert (held.status, held.body["details"][0]["path"]) == (422, "endTime")


async def test_booked_into_the_buffer_of_another(office: Any) -> None:
    """With the flag: the calendar's status for it, unless one is named; elsewhere as ever."""
    recurring = {"freq": "DAILY", "count": 1, "bookingOverlapDefaultStatus": "new"}
    calendar = await office.calendar(slotBuffer=30, recurring=recurring)
    await office.book(calendar)
    flag = {"ignoreFreeSlotValidation": True}
    for minutes, fields, status in (
        (-30, {}, "new"),
        (30, {"appointmentStatus": "confirmed"}, "confirmed"),
        (240, {}, "confirmed"),
    ):
        booked = await office.book(calendar, minutes, **flag, **fields)
        assert (booked.status, booked.body["appointmentStatus"]) == (200, status), minutes
    plain = await office.calendar(slotBuffer=30)
    over = await office.book(plain, 60, **flag)
    assert over.body["appointmentStatus"] == "confirmed"
    assert (
        await office.book(plain, **flag)
    ).status == 400  # a host is never booked twice at a time


async def test_a_calendar_of_another_length(office: Any) -> None:
    """Moved there without an end, it is as long as appointments are there."""
    short, long = await office.calendar(), await office.calendar(slotDuration=60)
    mine = (await office.book(short)).body["id"]
    moved = await office.change(mine, calendarId=long)
    assert (moved.status, moved.body["endTime"]) == (200, "2027-03-01T10:00:00-05:00")


async def test_ends_before_it_starts(office: Any) -> None:
    """Only with what is stored it shows that the new end is no end."""
    mine = (await office.book(await office.calendar())).body["id"]
    for end in ("2027-03-01T13:00:00Z", "2027-05-01T13:00:00Z"):
        response = await office.change(mine, endTime=end, ignoreFreeSlotValidation=True)
        assert (response.status, response.body["details"][0]["path"]) == (422, "endTime")


async def test_notice_and_rules_can_be_skipped(office: Any) -> None:
    """The range flag skips the horizon only, the other one the hours as well; no host is booked twice."""
    calendar = await office.calendar(allowBookingFor=1)
    assert (await office.book(calendar)).status == 400
    assert (await office.book(calendar, ignoreDateRange=True)).status == 200
    night = -180
    assert (await office.book(calendar, night, ignoreDateRange=True)).status == 400
    assert (await office.book(calendar, night, ignoreFreeSlotValidation=True)).status == 200
    assert (await office.book(calendar, night, ignoreFreeSlotValidation=True)).status == 400


async def test_nobody_is_notified(office: Any) -> None:
    """`toNotify` false is in the event, for subscribers that send notifications."""
    mine = (await office.book(await office.calendar(), toNotify=False)).body["id"]
    await office.change(mine, title="Other")
    assert [event["change"]["notify"] for _, event in await office.announced(mine)] == [False, True]


async def test_a_lost_slot_names_others(office: Any) -> None:
    """Up to five, the nearest, and each can be had."""
    calendar = await office.calendar()
    await office.book(calendar, 60)
    lost = await office.book(calendar, 60)
    assert (lost.status, lost.body["code"]) == (400, "slot_unavailable")
    others = [one["startTime"] for one in lost.body["alternatives"]]
    nine_to_half_past_eleven = ["09:00", "09:30", "10:30", "11:00", "11:30"]
    assert others == [f"2027-03-01T{at}:00-05:00" for at in nine_to_half_past_eleven]
    taken = await office.book(
        calendar, startTime=others[0], endTime=lost.body["alternatives"][0]["endTime"]
    )
    assert taken.status == 200
    moved = await office.change(taken.body["id"], startTime="2027-03-01T15:00:00Z")
    assert len(moved.body["alternatives"]) == 5


async def test_a_full_class_names_others(office: Any) -> None:
    """Seats count: a start with one seat left is offered, a full one is not."""
    calendar = await office.calendar(calendarType="class_booking", appoinmentPerSlot=2)
    one, other = office.tenant.contact_ids
    for minutes, contact in ((0, one), (0, other), (30, one)):
        assert (await office.book(calendar, minutes, contactId=contact)).status == 200
    [third] = await office.contacts(1)
    lost = await office.book(calendar, contactId=third)
    first = [one["startTime"][11:16] for one in lost.body["alternatives"][:2]]
    assert first == ["09:30", "10:00"]


async def test_a_stale_change_is_refused(office: Any) -> None:
    """`If-Match` names the version that was read; the present one passes."""
    mine = (await office.book(await office.calendar())).body["id"]
    await office.change(mine, title="Other")
    path = f"/calendars/events/appointments/{mine}"
    for version, status in (('"1"', 412), ('"2"', 200), ("no", 400)):
        response = await office.request(
            "PUT", path, {"title": "Third"}, headers={"If-Match": version}
        )
        assert response.status == status, response.body
    assert len(await office.announced(mine)) == 3


async def test_a_key_of_one_location_sees_no_other(office: Any) -> None:
    """Appointments elsewhere in the account are unknown to it."""
    calendar = await office.calendar()
    mine = (await office.book(calendar)).body["id"]
    path = f"/calendars/events/appointments/{mine}"
    async with Client(office.base_url, await _key_elsewhere(office)) as request:

        async def admitted() -> bool:
            return (await request("GET", path)).status != 401

        await eventually(admitted)
        asked: tuple[tuple[str, str, Any], ...] = (
            ("GET", path, None),
            ("PUT", path, {}),
            ("DELETE", f"/calendars/events/{mine}", {}),
            ("POST", f"/calendars/{calendar}/holds", {"startTime": "2027-03-01T15:00:00Z"}),
        )
        for method, at, body in asked:
            assert (await request(method, at, body)).status == 404, (method, at)
    assert (await office.request("GET", path)).status == 200


async def _key_elsewhere(office: Any) -> str:
    key = new_id()
    secret = f"hoop_{key}_{key}"
    state = ApiKey(
        id=key,
        sequence=1,
        digest=digest(secret),
        scopes=SCOPES,
        limits=UNLIMITED,
        location_ids=(new_id(),),
    )
    await publish(office.kafka, ApiKeyChanged(account_id=office.tenant.account_id, state=state))
    return secret
