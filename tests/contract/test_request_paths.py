"""How far somebody has to follow a request, an event and a call to a provider through the code."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientSession

from booking.__main__ import service as booking
from hoop_events.booking import Meeting
from hoop_events.effects import MeetingLink, MeetingLinkChanged
from hoop_platform.runtime import Runtime
from local.servers.ports import free_ports
from local.testing.client import Client, Response
from local.testing.events import publish
from local.testing.service import running
from local.testing.tenant import Tenant
from meetings.__main__ import service as meetings
from simulators.zoom import simulator as zoom_simulator
from support.request_path import RequestPath, recording

BOOKING = "services/booking/booking"
MEETINGS = "services/meetings/meetings"
MOST_FILES = 12
"""Of booking, that a request enters."""
START = datetime(2027, 3, 1, 14, tzinfo=UTC)
ALWAYS_OPEN = [
    {
        "daysOfTheWeek": [0, 1, 2, 3, 4, 5, 6],
        "hours": [{"openHour": 0, "openMinute": 0, "closeHour": 23, "closeMinute": 60}],
    }
]
APPOINTMENTS = "/calendars/events/appointments"


@dataclass
class Office:
    """A tenant with a calendar on Zoom, a running booking service and its client."""

    request: Client
    tenant: Tenant
    runtime: Runtime[Any]
    kafka: str
    calendar: str = ""

    async def sent(self, method: str, path: str, body: Any) -> Response:
        response = await self.request(method, path, body)
        assert response.status == 200, response.body
        return response

    async def create_calendar(self) -> None:
        fields = {
            "locationId": self.tenant.location_id,
            "name": "Consultation",
            "calendarType": "personal",
            "openHours": ALWAYS_OPEN,
            "teamMembers": [{"userId": self.tenant.user_ids[0]}],
        }
        response = await self.sent("POST", "/calendars/", fields)
        self.calendar = response.body["calendar"]["id"]

    async def book(self, hours: int) -> str:
        fields = {
            "calendarId": self.calendar,
            "locationId": self.tenant.location_id,
            "contactId": self.tenant.contact_ids[0],
            "startTime": (START + timedelta(hours=hours)).isoformat(),
            "meetingLocationType": "zoom",
        }
        return str((await self.sent("POST", APPOINTMENTS, fields)).body["id"])

    async def move(self, appointment: str, hours: int) -> None:
        start = (START + timedelta(hours=hours)).isoformat()
        await self.sent("PUT", f"{APPOINTMENTS}/{appointment}", {"startTime": start})

    async def session(self, appointment: str) -> str:
        found: str = await self.runtime.db.fetchval(
            "SELECT session_id FROM appointment WHERE id = $1", appointment
        )
        return found

    async def shows_link(self, appointment: str) -> bool:
        response = await self.request("GET", f"{APPOINTMENTS}/{appointment}")
        return bool(response.body["appointment"]["meeting"]["state"] == "ready")


@pytest.fixture
async def office(new_database: Any, kafka_bootstrap: str) -> AsyncIterator[Office]:
    tenant = Tenant()
    database = await new_database("booking")
    async with running(booking, database=database, kafka_bootstrap=kafka_bootstrap) as (url, runs):
        await publish(kafka_bootstrap, *tenant.events)
        await until(runs.catch_up)
        async with Client(url, tenant.api_key) as request:
            desk = Office(request, tenant, runs, kafka_bootstrap)
            await desk.create_calendar()
            yield desk


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not await true():
            await asyncio.sleep(0.02)


def the_one(paths: list[RequestPath], enters: str) -> RequestPath:
    """The path of the task that entered this function or file."""
    [found] = [
        path
        for path in paths
        if any(enters in (code.co_name, file) for code, file in path.functions.items())
    ]
    return found


def check(path: RequestPath, most_visits: int) -> None:
    visits = path.visits(BOOKING)
    assert len(visits) <= MOST_FILES, path.listing()
    assert {file: n for file, n in visits.items() if n > most_visits} == {}, path.listing()


async def test_a_booking_is_read_in_few_files(office: Office, record_property: Any) -> None:
    """A POST enters at most twelve files of booking, and comes back to each at most once."""
    await office.book(0)  # what happens at the first request of a process only
    with recording() as paths:
        await office.book(2)
    path = the_one(paths, "create_appointment")
    record_property("POST", path.summary(BOOKING))
    check(path, most_visits=2)


async def test_a_change_is_read_in_few_files(office: Office, record_property: Any) -> None:
    """A PUT that moves an appointment enters as many files, and goes back and forth more often."""
    appointment = await office.book(0)
    await office.move(appointment, 2)
    with recording() as paths:
        await office.move(appointment, 4)
    path = the_one(paths, "update_appointment")
    record_property("PUT", path.summary(BOOKING))
    check(path, most_visits=4)


async def test_an_event_is_read_in_few_files(office: Office, record_property: Any) -> None:
    """A meeting link enters one handler and its statements."""
    first, second = await office.book(0), await office.book(2)
    for appointment in (first, second):
        await office.runtime.catch_up()
        with recording() as paths:
            await publish(office.kafka, await _link(office, appointment))
            await until(lambda appointment=appointment: office.shows_link(appointment))
    path = the_one(paths, "on_meeting_link_changed")
    record_property("event", path.summary(BOOKING))
    check(path, most_visits=2)


async def _link(office: Office, appointment: str) -> MeetingLinkChanged:
    session = await office.session(appointment)
    meeting = Meeting(provider="zoom", state="ready", join_url="https://zoom.example/j/1")
    state = MeetingLink(
        id=f"{session}.zoom", sequence=1, session=session, provider="zoom", meeting=meeting
    )
    return MeetingLinkChanged(account_id=office.tenant.account_id, state=state)


async def test_a_call_to_a_provider_is_recorded(
    office: Office, new_database: Any, record_property: Any
) -> None:
    """From the claim of the desired state to what is stored of Zoom's response."""
    [port] = free_ports(1)
    async with zoom_simulator.serve() as zoom:
        running_meetings = running(
            meetings,
            database=await new_database("meetings"),
            kafka_bootstrap=office.kafka,
            from_the_beginning=True,
            http_port=port,
            public_url=f"http://127.0.0.1:{port}",
            zoom_oauth_url=zoom.url,
            zoom_api_url=f"{zoom.url}/v2",
            zoom_client_id="hoop-zoom",
            zoom_client_secret="hoop-zoom-secret",
        )
        async with running_meetings as (url, runs):
            await until(runs.catch_up)
            await _connect(url, office.tenant)
            first = await office.book(0)
            await until(lambda: office.shows_link(first))
            with recording() as paths:
                second = await office.book(2)
                await until(lambda: office.shows_link(second))
    path = the_one(paths, f"{MEETINGS}/providers/zoom.py")
    record_property("provider call", path.summary(MEETINGS))
    assert path.files(MEETINGS)


async def _connect(url: str, tenant: Tenant) -> None:
    """Connect the host's Zoom account, as a browser would."""
    async with Client(url, tenant.api_key) as request, ClientSession() as browser:
        body = {"userId": tenant.user_ids[0]}
        response = await request("POST", "/integrations/zoom/connect", body)
        assert response.status == 200, response.body
        target = response.body["authorizeUrl"]
        async with browser.get(target, params={"user": "ada@example.com"}) as page:
            assert page.status == 200
