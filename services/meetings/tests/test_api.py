"""The HTTP API: the status of a meeting link, the host's start link, and who may be connected."""

from dataclasses import replace

import pytest

from hoop_events.booking import AppointmentCreated
from hoop_platform.ids import new_id, row_id
from local.testing.client import Client
from local.testing.tenant import Tenant
from meetings import handlers


async def get_as(world, tenant, path):
    """GET with the API key of another tenant."""
    for event in tenant.events:
        for table in (world.runtime.tables.accounts, world.runtime.tables.keys):
            if type(event) in table.types:
                table._store(event)
    async with Client(world.runtime.settings.public_url, tenant.api_key) as client:
        return await client("GET", f"/integrations/zoom{path}")


async def test_a_link_that_exists_is_returned(world):
    """With the attempts, and without the host's start link."""
    booked = await world.book()
    await world.run_workers()

    response = await world.request("GET", f"/meetings/{booked.id}")

    assert response.status == 200
    body = response.body
    assert (body["appointmentId"], body["session"]) == (booked.id, booked.session)
    assert (body["provider"], body["state"]) == ("zoom", "ready")
    assert body["joinUrl"] == (await world.meeting_of(booked)).join_url
    assert (body["lastError"], body["nextAttemptAt"], body["startUrl"]) == (None, None, None)


async def test_an_occurrence_is_found_by_the_id_that_its_client_knows(world):
    """`<series>_<milliseconds>_<seconds>`, as booking returned it; malformed ones are unknown."""
    public = f"{new_id()}_1798794000000_1800"
    booked = await world.book(id=row_id(public))
    await world.run_workers()

    response = await world.request("GET", f"/meetings/{public}")

    assert (response.status, response.body["appointmentId"]) == (200, public)
    assert response.body["session"] == booked.session
    for wrong in (public[:-1], f"{public}_1", "_".join([*public.split("_")[:2], "x"])):
        assert (await world.request("GET", f"/meetings/{wrong}")).status == 404


async def test_a_late_link_says_why_and_when_the_next_attempt_is(world):
    """The open circuit of its Zoom user is included."""
    await world.fault("status:503", "POST")
    booked = await world.book()
    await world.run_workers()

    body = (await world.request("GET", f"/meetings/{booked.id}")).body

    assert (body["state"], body["reason"]) == ("pending", "provider_down")
    assert "503" in body["lastError"]
    assert body["attempts"] == 1
    assert body["nextAttemptAt"] is not None


async def test_a_link_that_was_not_tried_yet_is_pending(world):
    """Between the event and the first attempt."""
    booked = await world.book()

    body = (await world.request("GET", f"/meetings/{booked.id}")).body

    assert (body["state"], body["attempts"]) == ("pending", 0)


async def test_a_host_who_is_not_connected_is_the_reason(new_world):
    """The message says what to do."""
    world = await new_world()
    booked = await world.book()
    await world.run_workers()

    body = (await world.request("GET", f"/meetings/{booked.id}")).body

    assert (body["state"], body["reason"]) == ("blocked", "connect_zoom")
    assert body["nextAttemptAt"] is None
    assert "connect Zoom" in body["message"]


async def test_an_appointment_by_phone_or_cancelled_has_no_link(world):
    """Although other members of its session may have one."""
    on_the_phone = await world.book(meeting_location_type="phone")
    booked = await world.book(shared=True)
    await world.book(session=booked.session, shared=True)
    await world.run_workers()
    await world.cancel(booked)

    for one in (on_the_phone, booked):
        body = (await world.request("GET", f"/meetings/{one.id}")).body
        assert (body["state"], body["joinUrl"]) == ("none", None)


async def test_the_start_link_is_fresh_and_never_stored(world):
    """Two requests, two links; the database holds neither."""
    booked = await world.book()
    await world.run_workers()
    path = f"/meetings/{booked.id}"

    first = await world.request("GET", path, query={"startUrl": "true"})
    second = await world.request("GET", path, query={"startUrl": "true"})

    links = [first.body["startUrl"], second.body["startUrl"]]
    assert all("zak=" in link for link in links)
    assert len(set(links)) == 2
    assert first.headers["Cache-Control"] == "no-store"
    for table in ("work", "external", "outbox"):
        rows = await world.db.fetch(f"SELECT t::text FROM {table} AS t")
        assert "zak=" not in str(rows)


async def test_the_start_link_needs_the_scope_to_write(world):
    """It opens the meeting as its host."""
    booked = await world.book()
    await world.run_workers()
    reader = replace(
        Tenant(), account_id=world.tenant.account_id, scopes=("calendars/events.readonly",)
    )

    refused = await get_as(world, reader, f"/meetings/{booked.id}?startUrl=true")
    allowed = await get_as(world, reader, f"/meetings/{booked.id}")

    assert (refused.status, refused.body["code"]) == (403, "scope_missing")
    assert allowed.status == 200


async def test_without_a_ready_meeting_there_is_no_start_link(new_world):
    """Null, not an error."""
    world = await new_world()
    booked = await world.book()
    await world.run_workers()

    response = await world.request("GET", f"/meetings/{booked.id}", query={"startUrl": "true"})

    assert (response.status, response.body["startUrl"]) == (200, None)


@pytest.mark.parametrize(
    ("fault", "zoom_timeout"),
    [("status:500", 10.0), ("garbage", 10.0), ("hang", 2.0), ("status:404", 10.0)],
)
async def test_a_start_link_that_zoom_does_not_return_is_503(world, fault):
    """The client may try again."""
    booked = await world.book()
    await world.run_workers()
    await world.fault(fault, "GET", times=1)

    response = await world.request("GET", f"/meetings/{booked.id}", query={"startUrl": "true"})

    assert (response.status, response.body["code"]) == (503, "unavailable")


async def test_after_disconnecting_no_start_link_is_requested(new_world):
    """No call is made for an ended connection."""
    world = await new_world()
    connection_id = await world.connect()
    booked = await world.book()
    await world.run_workers()
    await world.disconnect(connection_id)
    await world.clear_calls()

    response = await world.request("GET", f"/meetings/{booked.id}", query={"startUrl": "true"})

    assert (response.status, response.body["startUrl"]) == (200, None)
    assert await world.calls() == []


async def test_an_appointment_of_another_account_is_unknown(world):
    """Same status and same body as for an id that does not exist."""
    booked = await world.book()
    stranger = Tenant()

    foreign = await get_as(world, stranger, f"/meetings/{booked.id}")
    unknown = await get_as(world, stranger, f"/meetings/{new_id()}")
    no_id = await get_as(world, stranger, "/meetings/nonsense")

    assert (foreign.status, foreign.content) == (404, unknown.content)
    assert no_id.content == unknown.content


async def test_an_appointment_of_another_location_is_unknown_to_a_bound_key(world):
    """A key may be bound to locations."""
    elsewhere = new_id()
    booked = await world.book()
    event = AppointmentCreated(
        account_id=world.tenant.account_id, state=world.appointment(location_id=elsewhere)
    )
    async with world.db.transaction() as db:
        await handlers.on_appointment_changed(db, event, world.now)
    key = world.runtime.tables.keys._rows[world.tenant.key_id]
    bound = key[1].model_copy(update={"location_ids": (world.tenant.location_id,)})
    world.runtime.tables.keys._rows[world.tenant.key_id] = (key[0], bound)

    assert (await world.request("GET", f"/meetings/{booked.id}")).status == 200
    assert (await world.request("GET", f"/meetings/{event.state.id}")).status == 404


async def test_only_users_of_the_account_can_be_connected(world):
    """A user of another account gets the same response as an unknown one."""
    stranger = Tenant()
    for event in stranger.events:
        if event.type == "UserChanged":
            async with world.db.transaction() as db:
                await handlers.on_user_changed(db, event, world.now)

    foreign = await world.request("POST", "/connect", {"userId": stranger.user_ids[0]})
    unknown = await world.request("POST", "/connect", {"userId": new_id()})

    assert (foreign.status, foreign.content) == (404, unknown.content)


async def test_a_zoom_account_that_cannot_be_identified_is_not_connected(new_world):
    """No token is stored; connecting can be begun again."""
    world = await new_world()
    await world.fault("garbage", "GET", "^/v2/users/me$", times=1)
    begun = await world.request("POST", "/connect", {"userId": world.host})

    assert await world.visit(begun.body["authorizeUrl"]) == 503
    assert await world.db.fetchval("SELECT count(*) FROM credential") == 0

    await world.connect()
    assert await world.db.fetchval("SELECT label FROM provider_account") == "ada@example.com"


async def test_a_connection_without_a_needed_scope_is_refused(new_world):
    """Without the right to delete, meetings would outlive their appointments."""
    world = await new_world(knobs={"withheld_scopes": ["meeting:delete:meeting"]})
    begun = await world.request("POST", "/connect", {"userId": world.host})

    assert await world.visit(begun.body["authorizeUrl"]) == 400
    assert await world.db.fetchval("SELECT reason FROM provider_account") == "scope_missing"
