"""Calendars over HTTP: every field of them, and what each type allows."""

import asyncio
from typing import Any

import pytest

from booking.store.projections import upsert_connection
from hoop_events.effects import Connection
from hoop_platform.ids import new_id

CALENDARS = "/calendars/"
EVERYTHING = {
    "isActive": True,
    "description": "All about it",
    "slug": "Consultation-1",
    "widgetSlug": "consultation",
    "widgetType": "default",
    "eventType": "RoundRobin_OptimizeForEqualDistribution",
    "eventTitle": "{{contact.name}} at the desk",
    "eventColor": "#ff0000",
    "slotDuration": 1,
    "slotDurationUnit": "hours",
    "slotInterval": 15,
    "slotIntervalUnit": "mins",
    "slotBuffer": 10,
    "slotBufferUnit": "mins",
    "preBuffer": 0,
    "preBufferUnit": "mins",
    "appoinmentPerSlot": 2,
    "allowSameContact": True,
    "appoinmentPerDay": 8,
    "allowBookingAfter": 1,
    "allowBookingAfterUnit": "hours",
    "allowBookingFor": 1,
    "allowBookingForUnit": "months",
    "openHours": [
        {
            "daysOfTheWeek": [1, 2],
            "hours": [{"openHour": 9, "openMinute": 0, "closeHour": 23, "closeMinute": 60}],
        }
    ],
    "availabilityType": 0,
    "enableRecurring": True,
    "recurring": {
        "freq": "WEEKLY",
        "count": 24,
        "bookingOption": "book_next",
        "bookingOverlapDefaultStatus": "new",
    },
    "autoConfirm": False,
    "allowReschedule": False,
    "allowCancellation": False,
    "googleInvitationEmails": True,
    "shouldSendAlertEmailsToAssignedMember": True,
    "shouldAssignContactToTeamMember": True,
    "shouldSkipAssigningContactForExisting": True,
    "stickyContact": True,
    "isLivePaymentMode": True,
    "alertEmail": "desk@example.com",
    "formId": "form",
    "notes": "Bring\nsomething",
    "pixelId": "pixel",
    "consentLabel": "I agree",
    "calendarCoverImage": "https://example.com/cover.png",
    "formSubmitType": "RedirectURL",
    "formSubmitRedirectURL": "https://example.com/thanks",
    "formSubmitThanksMessage": "Thanks",
    "guestType": "collect_detail",
    "lookBusyConfig": {"enabled": True, "LookBusyPercentage": 30},
    "notifications": [
        {
            "type": "email",
            "shouldSendToContact": True,
            "shouldSendToGuest": False,
            "shouldSendToUser": True,
            "shouldSendToSelectedUsers": False,
            "selectedUsers": "a@example.com,b@example.com",
        }
    ],
}
NINE_TO_TEN = [{"openHour": 9, "openMinute": 0, "closeHour": 10, "closeMinute": 0}]


async def request(office: Any, **settings: Any) -> Any:
    body = {"locationId": office.tenant.location_id, "name": "Desk", **settings}
    return await office.request("POST", CALENDARS, body)


async def put(office: Any, calendar: str, **settings: Any) -> Any:
    return await office.request("PUT", f"/calendars/{calendar}", settings)


async def shown(office: Any, calendar: str) -> Any:
    return (await office.request("GET", f"/calendars/{calendar}")).body["calendar"]


def team(office: Any, *shares: dict[str, Any]) -> list[dict[str, Any]]:
    """The first so many users."""
    users = zip(office.tenant.user_ids, shares, strict=False)
    return [{"userId": user, **share} for user, share in users]


async def test_what_has_no_effect_says_so(office: Any) -> None:
    """A field that is only stored is named in `warnings`, unless it has its default."""
    created = await request(office, allowReschedule=False, notes="Bring water", slotDuration=45)
    warnings = {one["path"]: one for one in created.body["warnings"]}
    assert warnings.keys() == {"allowReschedule", "notes"}
    assert warnings["notes"]["code"] == "no_effect"
    assert "never an API key" in warnings["allowReschedule"]["message"]
    calendar = created.body["calendar"]["id"]
    changed = await put(office, calendar, allowCancellation=False, allowReschedule=True)
    assert [one["path"] for one in changed.body["warnings"]] == ["allowCancellation"]
    assert "warnings" not in (await put(office, calendar, name="Other")).body
    assert "warnings" not in (await office.request("GET", f"/calendars/{calendar}")).body


async def test_every_field_comes_back_as_it_was_sent(office: Any) -> None:
    """At creation; then one after the other by an update, which leaves all others alone."""
    members = team(office, {"priority": 1, "isPrimary": True})
    full = {**EVERYTHING, "calendarType": "personal", "teamMembers": members}
    created = await request(office, **full)
    assert created.status == 200, created.body
    calendar = created.body["calendar"]
    assert {name: calendar[name] for name in EVERYTHING} == EVERYTHING
    assert isinstance(calendar["slotDuration"], int)

    bare = (await request(office)).body["calendar"]
    for n, (name, value) in enumerate(EVERYTHING.items(), start=1):
        changed = await put(office, bare["id"], **{name: value if name != "slug" else "other"})
        assert changed.status == 200, changed.body
        touched = {key for key in bare if bare[key] != changed.body["calendar"][key]}
        assert touched <= {name, "version"}, n
        bare = changed.body["calendar"]


async def test_an_update_of_nothing_is_nothing(office: Any) -> None:
    """`{}`, and what is so already: no version, no event."""
    calendar = await office.calendar()
    for body in ({}, {"name": "Consultation"}):
        response = await put(office, calendar, **body)
        assert (response.status, response.headers["ETag"]) == (200, '"1"')
    assert len(await office.announced(calendar)) == 1


async def test_a_change_of_something_stale_is_refused(office: Any) -> None:
    """Two clients change the version they have read: the second is refused, and nothing is changed."""
    calendar = await office.calendar()
    responses = [
        await office.request(
            "PUT", f"/calendars/{calendar}", {"name": name}, headers={"If-Match": '"1"'}
        )
        for name in ("One", "Two")
    ]
    assert [response.status for response in responses] == [200, 412]
    assert (await shown(office, calendar))["name"] == "One"


@pytest.mark.parametrize(
    "settings", [{"locationId": "x"}, {"calendarType": "event"}, {"version": 3}]
)
async def test_what_never_changes(office: Any, settings: Any) -> None:
    response = await put(office, await office.calendar(), **settings)
    [name] = settings
    assert (response.status, response.body["details"][0]["path"]) == (422, name)
    assert response.body["details"][0]["code"] == "unknown_field"


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"slotDuration": 0}, "slotDuration"),
        ({"slotDuration": 0.1}, "slotDuration"),
        ({"slotDuration": 25, "slotDurationUnit": "hours"}, "slotDuration"),
        ({"slotDurationUnit": "years"}, "slotDurationUnit"),
        ({"slotInterval": -5}, "slotInterval"),
        ({"appoinmentPerSlot": 10_000}, "appoinmentPerSlot"),
        ({"recurring": {"freq": "HOURLY", "count": 2}}, "recurring.freq"),
        ({"recurring": {"freq": "DAILY", "count": 25}}, "recurring.count"),
        ({"widgetType": "neo"}, "widgetType"),
        ({"eventColor": "red"}, "eventColor"),
        ({"guestType": 1}, "guestType"),
        ({"alertEmail": "a@example.com, b@example.com"}, "alertEmail"),
        ({"formSubmitRedirectURL": "javascript:alert(1)"}, "formSubmitRedirectURL"),
        ({"slug": "groups"}, "slug"),
        ({"availabilityType": 2}, "availabilityType"),
        ({"availabilities": [{"date": "2027-02-30", "hours": []}]}, "availabilities.0.date"),
        (
            {
                "availabilities": [
                    {"date": "2027-03-01", "hours": []},
                    {"date": "2027-03-01T00:00:00.000Z", "hours": []},
                ]
            },
            "availabilities.1.date",
        ),
        (
            {"locationConfigurations": [{"kind": "custom", "location": "data:text/html,x"}]},
            "locationConfigurations.0.location",
        ),
        (
            {"locationConfigurations": [{"kind": "zoom_conference"}]},
            "locationConfigurations.0.kind",
        ),
        ({"teamMembers": [{"userId": "nobody"}]}, "teamMembers.0.userId"),
        ({"lookBusyConfig": {"enabled": True, "LookBusyPercentage": 101}}, None),
    ],
)
async def test_what_is_no_calendar(office: Any, settings: Any, path: str | None) -> None:
    """At creation and as a change: 422, the field by its path, and nothing is announced."""
    calendar = await office.calendar(calendarType="event", teamMembers=[])
    for response in (await request(office, **settings), await put(office, calendar, **settings)):
        assert response.status == 422, response.body
        assert path in (None, response.body["details"][0]["path"])
    assert len(await office.announced(calendar)) == 1


async def test_enumerations_name_what_is_allowed(office: Any) -> None:
    response = await request(
        office, calendarType="round", teamMembers=[{"userId": "x", "priority": 2}]
    )
    allowed = {detail["path"]: detail["allowed"] for detail in response.body["details"]}
    assert allowed["teamMembers.0.priority"] == ["0", "0.5", "1"]
    assert "personal" in allowed["calendarType"]


PHYSICAL = [{"kind": "physical", "location": "Room 1"}]


@pytest.mark.parametrize(
    ("kind", "shares", "more", "code"),
    [
        ("personal", [], {}, "one_member"),
        ("personal", [{}, {}], {}, "one_member"),
        ("round_robin", [], {}, "needs_members"),
        ("class_booking", [], {}, "needs_members"),
        ("service_booking", [], {}, "needs_members"),
        ("collective", [], {}, "needs_members"),
        ("collective", [{}, {}], {}, "one_primary"),
        ("collective", [{"isPrimary": True}, {"isPrimary": True}], {}, "one_primary"),
        (
            "round_robin",
            [{"locationConfigurations": PHYSICAL * 2}, {}],
            {},
            "one_location",
        ),
        ("class_booking", [{"locationConfigurations": PHYSICAL * 2}], {}, "one_location"),
        ("round_robin", [{}, {}], {"enableRecurring": True}, "one_member"),
        ("event", [], {"locationConfigurations": [{"kind": "google_conference"}]}, "calendar_type"),
    ],
)
async def test_what_a_type_does_not_allow(
    office: Any, kind: str, shares: list[Any], more: Any, code: str
) -> None:
    response = await request(office, calendarType=kind, teamMembers=team(office, *shares), **more)
    assert (response.status, [d["code"] for d in response.body["details"]]) == (422, [code])


async def test_the_rules_of_a_type_hold_for_what_an_update_leads_to(office: Any) -> None:
    """Each change alone says nothing wrong; with what is there already it breaks a rule."""
    personal = await office.calendar()
    response = await put(office, personal, teamMembers=team(office, {}, {}))
    assert (response.status, response.body["details"][0]["code"]) == (422, "one_member")

    round_robin = await office.calendar(calendarType="round_robin", enableRecurring=True)
    response = await put(office, round_robin, teamMembers=team(office, {}, {}))
    assert (response.status, response.body["details"][0]["path"]) == (422, "enableRecurring")

    response = await put(office, personal, slotDurationUnit="hours")
    assert (response.status, response.body["details"][0]["path"]) == (422, "slotDuration")
    response = await put(office, personal, slotDuration=2, slotDurationUnit="hours")
    assert response.status == 200


async def test_locations_are_answered_with_their_ids(office: Any) -> None:
    """What is answered may be sent back; the ids and the deprecated fields are not read."""
    locations = [{"kind": "custom", "location": "By the lake"}, *PHYSICAL]
    members = team(office, {"locationConfigurations": locations})
    calendar = await office.calendar(teamMembers=members)
    [member] = (await shown(office, calendar))["teamMembers"]
    ids = [location["meetingId"] for location in member["locationConfigurations"]]
    assert ids == ["custom_0", "physical_1"]
    assert (member["meetingLocationType"], member["meetingLocation"]) == ("custom", "By the lake")
    again = await put(office, calendar, teamMembers=[{**member, "meetingLocationType": "zoom"}])
    assert (again.status, again.body["calendar"]["teamMembers"]) == (200, [member])
    assert len(await office.announced(calendar)) == 1


async def test_zoom_needs_the_member_s_account(office: Any) -> None:
    """Refused until it is connected; booking itself is never refused for that."""
    [user, *_] = office.tenant.user_ids
    members = team(office, {"locationConfigurations": [{"kind": "zoom_conference"}]})
    calendar = await office.calendar()
    while (refused := await put(office, calendar, teamMembers=members)).status == 503:
        await asyncio.sleep(0.05)  # not known yet: connections have a topic of their own
    assert (refused.status, refused.body["details"][0]["code"]) == (422, "integration_missing")
    owner = {"owner_kind": "user", "owner_id": user}
    state = Connection(id=new_id(), sequence=1, provider="zoom", status="active", **owner)
    await upsert_connection(office.runtime.db, office.tenant.account_id, state)
    assert (await put(office, calendar, teamMembers=members)).status == 200


async def test_dates_are_edited_one_by_one(office: Any) -> None:
    """Added, changed by date or by id, deleted by id; those that are not named stay."""
    calendar = await office.calendar(
        availabilities=[
            {"date": "2027-03-01", "hours": NINE_TO_TEN},
            {"date": "2027-03-02T00:00:00.000Z", "hours": []},
        ]
    )

    async def change(*dates: dict[str, Any]) -> list[tuple[str, str, int]]:
        response = await put(office, calendar, availabilities=list(dates))
        assert response.status == 200, response.body
        entries = response.body["calendar"]["availabilities"]
        return [(one["id"], one["date"], len(one["hours"])) for one in entries]

    (first, one, _), (second, other, _) = before = await change()
    assert (one, other) == ("2027-03-01T00:00:00.000Z", "2027-03-02T00:00:00.000Z")
    assert await change({"id": second, "hours": NINE_TO_TEN}) == [before[0], (second, other, 1)]
    assert await change({"date": "2027-03-01", "hours": []}) == [
        (first, one, 0),
        (second, other, 1),
    ]
    added = await change({"date": "2027-03-03", "hours": NINE_TO_TEN})
    assert [entry[0] for entry in added[:2]] == [first, second]
    assert await change({"id": second, "deleted": True}) == [added[0], added[2]]
    unknown = await put(office, calendar, availabilities=[{"id": second, "deleted": True}])
    assert (unknown.status, unknown.body["details"][0]["code"]) == (422, "unknown_id")


async def test_hours_that_are_an_empty_object_are_none(office: Any) -> None:
    calendar = await office.calendar(openHours={})
    assert (await shown(office, calendar))["openHours"] == []


async def test_calendars_are_listed_by_group_and_without_drafts(office: Any) -> None:
    """All of the location; of a group; without those that are switched off."""
    group = (await office.group("doctors")).id
    inside, draft = await office.calendar(groupId=group), await office.calendar(isActive=False)

    async def listed(**settings: str) -> Any:
        query = {"locationId": office.tenant.location_id, **settings}
        response = await office.request("GET", CALENDARS, query=query)
        if response.status != 200:
            return response.status
        return [calendar["id"] for calendar in response.body["calendars"]]

    assert await listed() == [inside, draft]
    assert await listed(showDrafted="false") == [inside]
    assert await listed(groupId=group) == [inside]
    assert await listed(groupId=new_id()) == 404
    assert await listed(locationId=new_id()) == 403
    assert await listed(showDrafted="perhaps") == 422


async def test_a_calendar_joins_and_leaves_a_group(office: Any) -> None:
    """One at most: another replaces it, null is none, an unknown one is unknown."""
    first, second = [(await office.group(slug)).id for slug in ("one", "two")]
    calendar = await office.calendar(groupId=first)
    for group in (second, None):
        response = await put(office, calendar, groupId=group)
        assert (response.status, response.body["calendar"]["groupId"]) == (200, group)
    for unknown in (new_id(), "nonsense"):
        assert (await put(office, calendar, groupId=unknown)).status == 404
        assert (await request(office, groupId=unknown)).status == 404


async def test_a_slug_is_one_calendar_s_in_its_location(office: Any) -> None:
    """Taken is 409, whatever its capitals; free again when it is given up or its calendar is gone."""
    first, second = await office.calendar(slug="desk"), await office.calendar()
    assert (await request(office, slug="Desk")).status == 409
    refused = await put(office, second, slug="desk")
    assert (refused.status, refused.body["details"][0]["code"]) == (409, "slug_taken")
    assert (await put(office, first, name="Other")).status == 200
    assert (await put(office, first, slug=None)).status == 200
    assert (await put(office, second, slug="desk")).status == 200
    await office.request("DELETE", f"/calendars/{second}")
    assert (await put(office, first, slug="desk")).status == 200


async def test_a_deleted_calendar_takes_its_appointments_along(office: Any) -> None:
    """What is ahead is deleted and announced, nothing names it any more; twice is as once."""
    calendar = await office.calendar()
    schedule, room = await office.schedule(calendar), await office.resource("rooms", calendar)
    booked = (await office.book(calendar)).body["id"]
    responses = [await office.request("DELETE", f"/calendars/{calendar}") for _ in range(2)]
    assert [(one.status, one.content) for one in responses] == [(200, {"success": True})] * 2
    assert (await office.request("GET", f"/calendars/{calendar}")).status == 404
    events = await office.announced(booked)
    assert [kind for kind, _ in events] == ["AppointmentCreated", "AppointmentDeleted"]
    assert events[1][1]["change"]["reason"] == "calendar_deleted"
    assert (await office.announced(calendar))[-1][0] == "CalendarDeleted"
    for document in (schedule, room):
        assert (await office.announced(document.id))[-1][1]["state"]["calendarIds"] == []
    assert (await office.request("DELETE", f"/calendars/{new_id()}")).status == 404
