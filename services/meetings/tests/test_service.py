"""The running service: an event from Kafka, a meeting at Zoom, an announcement on Kafka."""

import asyncio

from aiokafka import AIOKafkaConsumer

from hoop_events.booking import AppointmentCreated
from hoop_events.codec import decode, envelope
from hoop_events.effects import MeetingLinkChanged
from local.testing.client import Client
from local.testing.events import publish
from local.testing.service import running
from local.testing.tenant import Tenant
from meetings.__main__ import service
from simulators.zoom import simulator as zoom_simulator


async def test_an_appointment_event_leads_to_a_link_event(new_database, kafka_bootstrap, new_world):
    """Connected over HTTP, created by the worker, announced by the relay, once."""
    tenant = Tenant()
    database = await new_database("meetings")
    booked = (await new_world()).appointment(hosts=(tenant.user_ids[0],))
    async with zoom_simulator.serve() as zoom:
        settings = {
            "zoom_oauth_url": zoom.url,
            "zoom_api_url": f"{zoom.url}/v2",
            "zoom_client_id": "hoop-zoom",
            "zoom_client_secret": "hoop-zoom-secret",
        }
        async with running(
            service, database=database, kafka_bootstrap=kafka_bootstrap, **settings
        ) as (url, runtime):
            await publish(kafka_bootstrap, *tenant.events)
            await connect(runtime, url, tenant)
            event = AppointmentCreated(account_id=tenant.account_id, state=booked)
            await publish(kafka_bootstrap, event, event)
            link = await next_link(kafka_bootstrap, f"{booked.session}.zoom")

        [meeting] = zoom.state()["meetings"]
    assert (link.state.meeting.state, link.state.sequence) == ("ready", 1)
    assert link.state.meeting.join_url == meeting["join_url"]
    assert link.account_id == tenant.account_id


async def connect(runtime, url, tenant):
    """Connect as a browser would. The redirect leads to the public URL, which nobody serves here."""
    async with Client(url, tenant.api_key) as client:
        begun = await client("POST", "/integrations/zoom/connect", {"userId": tenant.user_ids[0]})
        assert begun.status == 200, begun
        async with runtime.http.get(begun.body["authorizeUrl"], allow_redirects=False) as redirect:
            query = redirect.headers["Location"].partition("?")[2]
        response = await client("GET", f"/integrations/zoom/callback?{query}")
        assert response.status == 200, response


async def next_link(kafka_bootstrap, subject):
    """The first announcement with this key."""
    async with (
        AIOKafkaConsumer(
            "meetings", bootstrap_servers=kafka_bootstrap, auto_offset_reset="earliest"
        ) as consumer,
        asyncio.timeout(30),
    ):
        while (record := await consumer.getone()).key != subject.encode():
            pass
    return decode(envelope(record.headers), record.value, [MeetingLinkChanged])
