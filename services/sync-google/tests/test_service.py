"""The running service over HTTP and Kafka: connecting, pushing, pulling, disconnecting."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from pydantic import ValidationError

from hoop_events.accounts import ApiKey, ApiKeyChanged
from hoop_events.base import Personal
from hoop_events.booking import Appointment, AppointmentCreated
from hoop_events.calendar_uid import first_event_id
from hoop_events.calendars import Calendar, CalendarChanged
from hoop_platform.auth import digest
from hoop_platform.ids import new_id
from hoop_platform.runtime import Runtime
from local.testing.client import Client
from local.testing.events import publish
from local.testing.polling import eventually
from local.testing.service import running
from local.testing.tenant import UNLIMITED, Tenant
from simulators.client import control
from simulators.google.simulator import GoogleSimulator, serve
from sync_google.__main__ import service

ADA = "ada@example.com"


@dataclass
class RunningService:
    """The running service, and a tenant with a calendar."""

    client: Client
    tenant: Tenant
    runtime: Runtime
    sim: GoogleSimulator
    kafka: str
    calendar_id: str

    async def connect(self, **body: Any) -> str:
        """Go through the OAuth consent as a browser does; returns the connection's id."""
        begun = await self.client(
            "POST", "/integrations/google/connect", {"calendarId": self.calendar_id, **body}
        )
        assert begun.status == 200, begun.body
        url = begun.body["authorizeUrl"]
        async with self.runtime.http.get(
            url, params={"user": ADA}, allow_redirects=False
        ) as response:
            callback = urlsplit(response.headers["Location"])
        page = await self.client("GET", f"{callback.path}?{callback.query}")
        assert (page.status, "ada@example.com" in page.body) == (200, True), page.body
        return str(begun.body["connectionId"])

    async def announced(self, kind: str) -> list[dict[str, Any]]:
        rows = await self.runtime.db.fetch("SELECT * FROM announced WHERE type = $1", kind)
        return [orjson.loads(row["body"])["state"] for row in rows]


@pytest.fixture
async def office(new_database: Any, kafka_bootstrap: str) -> AsyncIterator[RunningService]:
    database = await new_database("sync_google")
    await database.execute(
        """
        CREATE TABLE announced AS SELECT * FROM outbox WITH NO DATA;
        CREATE FUNCTION copy_announced() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO announced SELECT NEW.*; RETURN NEW; END';
        CREATE TRIGGER copy_announced AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION copy_announced();
        """
    )
    tenant, calendar_id = Tenant(), new_id()
    async with serve() as sim:
        settings = {
            "google_oauth_url": f"{sim.url}/o/oauth2/v2/auth",
            "google_token_url": f"{sim.url}/token",
            "google_revoke_url": f"{sim.url}/revoke",
            "google_api_url": f"{sim.url}/calendar/v3",
            "google_client_id": "hoop-google",
            "google_client_secret": "hoop-google-secret",
            "google_poll_seconds": 1,
        }
        serving = running(service, database=database, kafka_bootstrap=kafka_bootstrap, **settings)
        async with serving as (base_url, runtime), Client(base_url, tenant.api_key) as client:
            state = Calendar(
                id=calendar_id,
                sequence=1,
                version=1,
                location_id=tenant.location_id,
                time_zone=tenant.time_zone,
                settings={"teamMembers": [{"userId": tenant.user_ids[0]}]},
            )
            calendar = CalendarChanged(account_id=tenant.account_id, state=state)
            await publish(kafka_bootstrap, *tenant.events, calendar)
            yield RunningService(client, tenant, runtime, sim, kafka_bootstrap, calendar_id)


async def test_from_connecting_to_a_busy_week(office: Any) -> None:
    """An appointment appears in Google; a foreign event there is announced as busy time."""
    connection_id = await office.connect()
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)  # noqa: TID251 -- a time ahead
    appointment = Appointment(
        id=new_id(),
        sequence=1,
        version=1,
        calendar_id=office.calendar_id,
        location_id=office.tenant.location_id,
        contact_id=office.tenant.contact_ids[0],
        start_time=start,
        end_time=start + timedelta(hours=1),
        time_zone="Europe/Berlin",
        appointment_status="confirmed",
        occupies=True,
        confirmed=True,
        session=new_id(),
        hosts=office.tenant.user_ids[:1],
        personal=Personal(title="Ada and Bob"),
        date_added=start,
        date_updated=start,
    )
    booked = AppointmentCreated(account_id=office.tenant.account_id, state=appointment)
    await publish(office.kafka, booked)

    async def shown() -> Any:
        return (await control(office.runtime.http, office.sim, "GET state"))["events"]

    [event] = await eventually(shown)
    assert event["id"] == first_event_id(appointment.id)

    edges = {
        "start": {"dateTime": (start + timedelta(hours=2)).isoformat()},
        "end": {"dateTime": (start + timedelta(hours=3)).isoformat()},
    }
    await control(office.runtime.http, office.sim, "POST events", {"user": ADA, "event": edges})

    async def busy() -> Any:
        return await office.announced("ExternalBusyChanged")

    [week] = await eventually(busy)
    assert week["connectionId"] == connection_id
    assert week["userId"] == office.tenant.user_ids[0]
    assert len(week["intervals"]) == 1


async def test_only_calendars_and_members_of_the_account_can_be_connected(office: Any) -> None:
    """404 for another account's calendar as for an unknown one; 422 for a user who is not a member."""
    for unknown in (new_id(), office.tenant.location_id):
        response = await office.client(
            "POST", "/integrations/google/connect", {"calendarId": unknown}
        )
        assert (response.status, response.body["code"]) == (404, "not_found")

    stranger = {"calendarId": office.calendar_id, "userId": new_id()}
    response = await office.client("POST", "/integrations/google/connect", stranger)
    assert response.status == 422
    assert [d["path"] for d in response.body["details"]] == ["userId"]


async def test_a_key_of_another_location_connects_nothing(office: Any) -> None:
    """403 when the API key is confined to another location of the account."""
    narrow = ApiKey(
        id=office.tenant.key_id,
        sequence=2,
        digest=digest(office.tenant.api_key),
        scopes=office.tenant.scopes,
        location_ids=(new_id(),),
        limits=UNLIMITED,
    )
    await publish(office.kafka, ApiKeyChanged(account_id=office.tenant.account_id, state=narrow))

    async def refused() -> bool:
        body = {"calendarId": office.calendar_id}
        response = await office.client("POST", "/integrations/google/connect", body)
        return (response.status, response.body.get("code")) == (403, "location_forbidden")

    await eventually(refused)


def test_a_malformed_url_in_the_settings() -> None:
    """A wrong setting is refused at the start, not at the first call."""
    given = {"google_client_id": "x", "google_client_secret": "y", "google_api_url": "localhost"}
    with pytest.raises(ValidationError, match="google_api_url"):
        service.settings(database_url="postgresql://h/d", kafka_bootstrap="h:1", **given)


async def test_changing_the_blocked_user_over_http(office: Any) -> None:
    """A member may be named, or nobody again; a user who is not a member is refused."""
    connection_id = await office.connect()
    path = f"/integrations/google/{connection_id}"
    for user_id in (office.tenant.user_ids[0], None):
        response = await office.client("PUT", path, {"userId": user_id})
        assert (response.status, response.body["connection"]["settings"]["userId"]) == (
            200,
            user_id,
        )
    response = await office.client("PUT", path, {"userId": office.tenant.user_ids[1]})
    assert (response.status, [d["path"] for d in response.body["details"]]) == (422, ["userId"])
    unknown = await office.client("PUT", f"/integrations/google/{new_id()}", {"userId": None})
    assert (unknown.status, unknown.body["code"]) == (404, "not_found")


async def test_disconnecting_over_http_is_final(office: Any) -> None:
    """Each DELETE responds `disconnected`; the grant is revoked at Google once."""
    connection_id = await office.connect()
    for _ in range(2):
        response = await office.client("DELETE", f"/integrations/google/{connection_id}")
        assert (response.status, response.body["connection"]["status"]) == (200, "disconnected")

    async def revocations() -> list[int]:
        log = await control(office.runtime.http, office.sim, "GET log?path=/revoke")
        return [entry["status"] for entry in log]

    assert await eventually(revocations) == [200]
