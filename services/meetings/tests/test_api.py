"""Asked over HTTP: why there is no link, the host's own way in, and who may be connected."""

from dataclasses import replace

import pytest

from hoop_events.booking import AppointmentCreated
from hoop_platform.ids import new_id, row_id
from local.testing.client import Client
from local.testing.tenant import Tenant
from meetings import handlers


async def ask_as(world, tenant, path):
    """As the holder of another key."""
    for event in tenant.events:
        for table in (world.runtime.tables.accounts, world.runtime.tables.keys):
            if type(event) in table.types:
                table._store(event)
    async with Client(world.runtime.settings.public_url, tenant.api_key) as client:
        return await client("GET", f"/integrations/zoom{path}")


async def test_a_link_that_exists_is_told(world):
    """With what was tried, and without the host's own way in."""
    booked = await world.book()
    await world.run_workers()

    answer = await world.request("GET", f"/meetings/{booked.id}")

    assert answer.status == 200
    said = answer.told
    assert (said["appointmentId"], said["session"]) == (booked.id, booked.session)
    assert (said["provider"], said["state"]) == ("zoom", "ready")
    assert said["joinUrl"] == (await world.meeting_of(booked)).join_url
    assert (said["lastError"], said["nextAttemptAt"], said["startUrl"]) == (None, None, None)


async def test_an_occurrence_is_asked_by_the_id_that_its_client_knows(world):
    """`<series>_<milliseconds>_<seconds>`, as booking answered it; what looks like one is unknown."""
    public = f"{new_id()}_1798794000000_1800"
    booked = await world.book(id=row_id(public))
    await world.run_workers()

    answer = await world.request("GET", f"/meetings/{public}")

    assert (answer.status, answer.body["appointmentId"]) == (200, public)
    assert answer.body["session"] == booked.session
    for wrong in (public[:-1], f"{public}_1", "_".join([*public.split("_")[:2], "x"])):
        assert (await world.request("GET", f"/meetings/{wrong}")).status == 404


async def test_a_link_that_is_late_says_why_and_when_it_is_tried_again(world):
    """The gate of its host counts, too."""
    await world.fault("status:503", "POST")
    booked = await world.book()
    await world.run_workers()

    said = (await world.request("GET", f"/meetings/{booked.id}")).told

    assert (said["state"], said["reason"]) == ("pending", "provider_down")
    assert "503" in said["lastError"]
    assert said["attempts"] == 1
    assert said["nextAttemptAt"] is not None


async def test_a_link_that_was_not_tried_yet_is_pending(world):
    """Between the event and the first attempt."""
    booked = await world.book()

    said = (await world.request("GET", f"/meetings/{booked.id}")).told

    assert (said["state"], said["attempts"]) == ("pending", 0)


async def test_a_host_who_is_not_connected_is_the_reason(new_world):
    """And what to do."""
    world = await new_world()
    booked = await world.book()
    await world.run_workers()

    said = (await world.request("GET", f"/meetings/{booked.id}")).told

    assert (said["state"], said["reason"]) == ("blocked", "connect_zoom")
    assert said["nextAttemptAt"] is None
    assert "connect Zoom" in said["message"]


async def test_what_meets_elsewhere_or_is_cancelled_has_no_link(world):
    """Although others of its session may have one."""
    on_the_phone = await world.book(meeting_location_type="phone")
    booked = await world.book(shared=True)
    await world.book(session=booked.session, shared=True)
    await world.run_workers()
    await world.cancel(booked)

    for one in (on_the_phone, booked):
        said = (await world.request("GET", f"/meetings/{one.id}")).told
        assert (said["state"], said["joinUrl"]) == ("none", None)


async def test_the_start_link_is_fresh_and_kept_nowhere(world):
    """Two askings, two links; neither stands in the database."""
    booked = await world.book()
    await world.run_workers()
    path = f"/meetings/{booked.id}"

    first = await world.request("GET", path, query={"startUrl": "true"})
    second = await world.request("GET", path, query={"startUrl": "true"})

    links = [first.body["startUrl"], second.body["startUrl"]]
    assert all("zak=" in link for link in links)
    assert len(set(links)) == 2
    assert first.headers["Cache-Control"] == "no-store"
    for table in ("work", "external", "link", "outbox", "desired_meeting"):
        rows = await world.db.fetch(f"SELECT t::text FROM {table} AS t")
        assert "zak=" not in str(rows)


async def test_the_start_link_takes_the_right_to_write(world):
    """It opens the meeting as its host."""
    booked = await world.book()
    await world.run_workers()
    reader = replace(
        Tenant(), account_id=world.tenant.account_id, scopes=("calendars/events.readonly",)
    )

    refused = await ask_as(world, reader, f"/meetings/{booked.id}?startUrl=true")
    told = await ask_as(world, reader, f"/meetings/{booked.id}")

    assert (refused.status, refused.body["code"]) == (403, "scope_missing")
    assert told.status == 200


async def test_without_a_ready_meeting_there_is_no_start_link(new_world):
    """Null, not an error."""
    world = await new_world()
    booked = await world.book()
    await world.run_workers()

    answer = await world.request("GET", f"/meetings/{booked.id}", query={"startUrl": "true"})

    assert (answer.status, answer.body["startUrl"]) == (200, None)


@pytest.mark.parametrize(
    ("fault", "zoom_timeout"),
    [("status:500", 10.0), ("garbage", 10.0), ("hang", 2.0), ("status:404", 10.0)],
)
async def test_a_start_link_that_zoom_does_not_give_now(world, fault):
    """503: to be asked again."""
    booked = await world.book()
    await world.run_workers()
    await world.fault(fault, "GET", times=1)

    answer = await world.request("GET", f"/meetings/{booked.id}", query={"startUrl": "true"})

    assert (answer.status, answer.body["code"]) == (503, "unavailable")


async def test_after_disconnecting_not_even_the_start_link_is_asked_for(new_world):
    """No call ever again."""
    world = await new_world()
    connection_id = await world.connect()
    booked = await world.book()
    await world.run_workers()
    await world.disconnect(connection_id)
    await world.clear_calls()

    answer = await world.request("GET", f"/meetings/{booked.id}", query={"startUrl": "true"})

    assert (answer.status, answer.body["startUrl"]) == (200, None)
    assert await world.calls() == []


async def test_an_appointment_of_another_account_is_as_unknown_as_any(world):
    """Same status, same body, whatever the id."""
    booked = await world.book()
    stranger = Tenant()

    foreign = await ask_as(world, stranger, f"/meetings/{booked.id}")
    unknown = await ask_as(world, stranger, f"/meetings/{new_id()}")
    no_id = await ask_as(world, stranger, "/meetings/nonsense")

    assert (foreign.status, foreign.told) == (404, unknown.told)
    assert no_id.told == unknown.told


async def test_an_appointment_of_another_location_is_unknown_to_a_key_of_one(world):
    """A key may be bound to locations."""
    elsewhere = new_id()
    booked = await world.book()
    event = AppointmentCreated(
        account_id=world.tenant.account_id, state=world.appointment(location_id=elsewhere)
    )
    async with world.db.transaction() as db:
        await handlers.on_appointment_changed(db, event)
    key = world.runtime.tables.keys._rows[world.tenant.key_id]
    bound = key[1].model_copy(update={"location_ids": (world.tenant.location_id,)})
    world.runtime.tables.keys._rows[world.tenant.key_id] = (key[0], bound)

    assert (await world.request("GET", f"/meetings/{booked.id}")).status == 200
    assert (await world.request("GET", f"/meetings/{event.state.id}")).status == 404


async def test_only_users_of_the_account_can_be_connected(world):
    """A foreign user is as unknown as one that never was."""
    stranger = Tenant()
    for event in stranger.events:
        if event.type == "UserChanged":
            async with world.db.transaction() as db:
                await handlers.on_user_changed(db, event)

    foreign = await world.request("POST", "/connect", {"userId": stranger.user_ids[0]})
    unknown = await world.request("POST", "/connect", {"userId": new_id()})

    assert (foreign.status, foreign.told) == (404, unknown.told)


async def test_an_account_that_zoom_does_not_name_is_not_connected(new_world):
    """No token is kept; it can be begun again."""
    world = await new_world()
    await world.fault("garbage", "GET", "^/v2/users/me$", times=1)
    begun = await world.request("POST", "/connect", {"userId": world.host})

    assert await world.visit(begun.body["authorizeUrl"]) == 503
    assert await world.db.fetchval("SELECT count(*) FROM credential") == 0

    await world.connect()
    assert await world.db.fetchval("SELECT label FROM provider_account") == "ada@example.com"


async def test_a_permission_that_is_withheld_refuses_the_connection(new_world):
    """Without the right to delete, meetings would outlive their appointments."""
    world = await new_world(knobs={"withheld_scopes": ["meeting:delete:meeting"]})
    begun = await world.request("POST", "/connect", {"userId": world.host})

    assert await world.visit(begun.body["authorizeUrl"]) == 400
    assert await world.db.fetchval("SELECT reason FROM provider_account") == "scope_missing"
