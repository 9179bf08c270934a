"""Online meetings: a link is only promised if somebody creates it, and choosing Zoom needs a connection."""

from typing import Any

import pytest

from booking.store.projections import upsert_connection
from hoop_events.effects import Connection
from hoop_platform.ids import new_id

ZOOM = [{"kind": "zoom_conference"}]


async def connect(office: Any, user: str, status: str = "active") -> None:
    """Booking has read that this user's Zoom account is connected."""
    state = Connection(
        id=new_id(), sequence=1, provider="zoom", owner_kind="user", owner_id=user, status=status
    )
    await upsert_connection(office.runtime.db, office.tenant.account_id, state)


async def put(office: Any, calendar: str, **settings: Any) -> Any:
    return await office.request("PUT", f"/calendars/{calendar}", settings)


def missing(response: Any) -> list[str]:
    """The paths of a refusal for want of an integration."""
    assert response.status == 422, response.body
    assert {each["code"] for each in response.body["details"]} == {"integration_missing"}
    return [each["path"] for each in response.body["details"]]


@pytest.mark.parametrize("kind", ["ms_teams_conference", "google_conference"])
async def test_a_kind_that_nobody_creates_links_for_is_no_location(office: Any, kind: str) -> None:
    """Of a calendar and of a member, at creation and as a change; the allowed kinds are named."""
    calendar = await office.calendar()
    locations = [{"kind": "custom"}, {"kind": kind}]
    of_member = {
        "teamMembers": [{"userId": office.tenant.user_ids[0], "locationConfigurations": locations}]
    }
    assert missing(await put(office, calendar, **of_member)) == [
        "teamMembers.0.locationConfigurations.1.kind"
    ]
    refused = await put(office, calendar, locationConfigurations=locations)
    assert missing(refused) == ["locationConfigurations.1.kind"]
    assert "zoom_conference" in refused.body["details"][0]["allowed"]
    assert kind not in refused.body["details"][0]["allowed"]
    body = {"locationId": office.tenant.location_id, "name": "X", "calendarType": "personal"}
    assert missing(await office.request("POST", "/calendars/", {**body, **of_member}))


@pytest.mark.parametrize("kind", ["ms_teams", "gmeet", "google"])
async def test_an_appointment_is_not_promised_such_a_link(office: Any, kind: str) -> None:
    """At creation and as a change: 422, and nothing is booked or changed."""
    calendar = await office.calendar()
    assert missing(await office.book(calendar, meetingLocationType=kind)) == ["meetingLocationType"]
    booked = await office.book(calendar)
    refused = await office.change(booked.body["id"], meetingLocationType=kind)
    assert missing(refused) == ["meetingLocationType"]
    assert "zoom" in refused.body["details"][0]["allowed"]


async def test_an_appointment_needs_no_connection(office: Any) -> None:
    """Its link waits for the host, and meetings says so."""
    calendar = await office.calendar()
    booked = await office.book(calendar, meetingLocationType="zoom")
    assert (booked.status, booked.body["meeting"]["provider"]) == (200, "zoom")


@pytest.mark.parametrize("status", ["pending", "disconnected"])
async def test_who_must_connect_is_named(office: Any, status: str) -> None:
    """A connection that is begun, lost or ended is none."""
    [user, *_] = office.tenant.user_ids
    await connect(office, user, status)
    members = [{"userId": user, "locationConfigurations": ZOOM}]
    refused = await put(office, await office.calendar(), teamMembers=members)
    assert missing(refused) == ["teamMembers.0.locationConfigurations.0.kind"]
    text = refused.body["details"][0]["message"]
    assert user in text
    assert "POST /integrations/zoom/connect" in text


async def test_of_a_calendar_s_own_location_one_member_is_enough(office: Any) -> None:
    """Those who are not connected are booked all the same; their links wait."""
    users = office.tenant.user_ids[:2]
    calendar = await office.calendar(
        calendarType="round_robin", teamMembers=[{"userId": user} for user in users]
    )
    refused = await put(office, calendar, locationConfigurations=ZOOM)
    assert missing(refused) == ["locationConfigurations.0.kind"]
    assert all(user in refused.body["details"][0]["message"] for user in users)
    await connect(office, users[1])
    assert (await put(office, calendar, locationConfigurations=ZOOM)).status == 200


async def test_a_choice_that_stood_before_is_not_checked_again(office: Any) -> None:
    """A client sends back what it read: the host has disconnected meanwhile, and only the name changes."""
    [user, *_] = office.tenant.user_ids
    await connect(office, user)
    calendar = await office.calendar(
        teamMembers=[{"userId": user, "locationConfigurations": ZOOM}], locationConfigurations=ZOOM
    )
    await office.runtime.db.execute("DELETE FROM known_connection")
    read = (await office.request("GET", f"/calendars/{calendar}")).body["calendar"]
    sent = {name: read[name] for name in ("teamMembers", "locationConfigurations")}
    assert (await put(office, calendar, name="Renamed", **sent)).status == 200


async def test_a_connection_is_only_missing_in_a_complete_view(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was announced is not applied yet: 503 and not a wrong 422."""

    async def too_slow(*_: object, **__: object) -> bool:
        return False

    calendar = await office.calendar()
    monkeypatch.setattr(type(office.runtime), "catch_up", too_slow)
    members = [{"userId": office.tenant.user_ids[0], "locationConfigurations": ZOOM}]
    refused = await put(office, calendar, teamMembers=members)
    assert (refused.status, refused.headers["Retry-After"]) == (503, "1")


async def test_the_lists_of_connections_have_no_filters(office: Any) -> None:
    calendar = await office.calendar()
    for path in ("/integrations", f"/calendars/{calendar}/connections"):
        refused = await office.request("GET", path, query={"provider": "zoom"})
        [detail] = refused.body["details"]
        assert (refused.status, detail["path"], detail["code"]) == (
            422,
            "provider",
            "unknown_parameter",
        )


async def test_a_404_names_the_id(office: Any) -> None:
    """Of the path or of the body, and with the same words whether it exists elsewhere or nowhere."""
    calendar, unknown = await office.calendar(), new_id()
    booked = (await office.book(calendar)).body["id"]

    async def named(method: str, path: str, body: Any = None) -> list[str]:
        response = await office.request(method, path, body)
        assert response.status == 404, response.body
        return [each["path"] for each in response.body["details"]]

    appointment = f"/calendars/events/appointments/{booked}"
    notes = f"/calendars/appointments/{booked}/notes"
    block = {
        "locationId": office.tenant.location_id,
        "calendarId": unknown,
        "startTime": "2027-03-01T10:00:00Z",
        "endTime": "2027-03-01T11:00:00Z",
    }
    assert await named("GET", f"/calendars/{unknown}") == ["calendarId"]
    assert await named("PUT", appointment, {"calendarId": unknown}) == ["calendarId"]
    assert await named("GET", f"/calendars/events/appointments/{unknown}") == ["eventId"]
    assert await named("PUT", f"{notes}/{unknown}", {"body": "x"}) == ["noteId"]
    assert await named("GET", f"/calendars/appointments/{unknown}/notes?limit=1&offset=0") == [
        "appointmentId"
    ]
    assert await named("DELETE", f"/calendars/{calendar}/holds/{unknown}") == ["holdId"]
    assert await named("POST", "/calendars/events/block-slots", block) == ["calendarId"]
    for field in ("calendarId", "contactId"):
        response = await office.book(**{"calendar": calendar, field: unknown})
        assert [each["path"] for each in response.body["details"]] == [field]
