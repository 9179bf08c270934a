"""The table "who announces what, who listens" of ARCHITECTURE.md, held against code and running system."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientSession
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

from hoop_events.accounts import ApiKeyDeleted
from hoop_events.catalogue import EVENTS, TOPICS
from local.codegen import architecture
from local.stack.topology import SERVICES, service
from local.testing.client import Response

SILENT = {ApiKeyDeleted.type}
"""In the contracts, and announced by nobody: keys are revoked, which is a change, and stay."""

Said = set[tuple[str, str, str]]


def test_the_document_is_in_step() -> None:
    """ARCHITECTURE.md says what `./hoop codegen` writes."""
    document = architecture.DOCUMENT.read_text()
    assert architecture.rendered(document) == document


def test_every_event_has_its_services() -> None:
    """Each is announced by somebody, but for those that are kept for later; nobody hears what nobody says."""
    found = architecture.rows(map(service, SERVICES))
    assert {row.event for row in found if not row.producers} == SILENT
    heard = {event for name in SERVICES for event in service(name).subscriptions}
    assert heard <= set(EVENTS)
    assert {row.topic for row in found} == set(TOPICS)


@pytest.mark.system
async def test_the_running_services_do_what_the_table_says(
    desk: Any, day: datetime, eventually: Any
) -> None:
    """After a story with everything in it, each event was seen from its services and from no other."""
    await _story(desk, day, eventually)
    expected = {
        (f"/{producer}", row.topic, row.event)
        for row in architecture.rows(map(service, SERVICES))
        for producer in row.producers
    }
    bootstrap = desk.facts["kafka_bootstrap"]

    found: Said = set()

    async def seen() -> bool:
        found.update(
            await _announced(bootstrap)
        )  # topics are compacted: what was there may be gone
        return found >= expected

    await eventually(seen)
    assert found == expected


@pytest.mark.system
async def test_the_running_services_listen_as_the_table_says(system: Any, eventually: Any) -> None:
    """The broker knows one consumer group for each listening service, with its topics and no other."""
    expected = {
        name: {event.topic for event in service(name).subscriptions}
        for name in SERVICES
        if service(name).subscriptions
    }

    async def as_expected() -> bool:
        return await _listening(system.facts["kafka_bootstrap"]) == expected

    await eventually(as_expected)


async def _story(desk: Any, day: datetime, eventually: Any) -> None:
    """Something of everything: people come and go, a booking lives and ends, and providers refuse."""
    user = await desk.user()
    calendar = await desk.calendar(user, google=True)
    await _come_and_go(desk)
    start = day + timedelta(hours=15)
    await _kept_for_calendars(desk, user, calendar, start + timedelta(hours=2))
    mine = _good(await desk.book(calendar, start)).body["id"]
    person = f"{user}@google.example.com"
    event = {
        "summary": "Dentist",
        "start": {"dateTime": (start + timedelta(hours=4)).isoformat()},
        "end": {"dateTime": (start + timedelta(hours=5)).isoformat()},
    }
    await desk.system.simulator("google", "events", {"user": person, "event": event})
    await eventually(lambda: _linked(desk, mine))
    await _refused(desk, person)
    later = (start + timedelta(hours=1)).isoformat()
    _good(await desk.change(mine, startTime=later))
    _good(await desk.change(mine, title="Another title"))
    _good(await desk.change(mine, appointmentStatus="cancelled"))


def _good(answer: Response) -> Response:
    assert answer.status < 300, answer.body
    return answer


async def _come_and_go(desk: Any) -> None:
    """One of each thing that can be deleted is made and deleted."""
    location = _good(await desk.ask("POST", "/locations/", {"name": "Annex", "timeZone": "UTC"}))
    created = {"locations": location.body["location"]["id"]}
    contact = {"name": "Gone Soon", "locationId": desk.facts["location_id"]}
    created["contacts"] = _good(await desk.ask("POST", "/contacts/", contact)).body["contact"]["id"]
    created["users"] = await desk.user(zoom=False)
    created["calendars"] = await desk.calendar(await desk.user(zoom=False), zoom=False)
    for plural, one in created.items():
        _good(await desk.ask("DELETE", f"/{plural}/{one}"))


async def _kept_for_calendars(desk: Any, user: str, calendar: str, start: datetime) -> None:
    """What stands beside a calendar is made and deleted: a group, a schedule, a room, a block, a hold."""
    here = {"locationId": desk.facts["location_id"]}
    times = {"startTime": start.isoformat(), "endTime": (start + timedelta(minutes=5)).isoformat()}
    named = {**here, "name": "Soon gone", "description": ""}
    room = {"quantity": 1, "outOfService": 0, "capacity": 2, "calendarIds": []}
    schedule = {**here, "name": "Soon gone", "userId": user, "timezone": "UTC"}
    created = {
        "groups": (named | {"slug": user}, "group"),
        "schedules": (schedule, "schedule"),
        "resources/rooms": (named | room, None),
        "events/block-slots": ({**here, "calendarId": calendar, **times}, None),
        f"{calendar}/holds": (times, "hold"),
    }
    for noun, (body, envelope) in created.items():
        answer = _good(await desk.ask("POST", f"/calendars/{noun}", body)).body
        one = (answer[envelope] if envelope else answer)["id"]
        deleted = noun.replace("/block-slots", "")
        _good(await desk.ask("DELETE", f"/calendars/{deleted}/{one}"))


async def _linked(desk: Any, mine: str) -> bool:
    return bool((await desk.shown(mine))["meeting"]["joinUrl"])


async def _refused(desk: Any, person: str) -> None:
    """Google will refuse the next change in this person's calendar, the mail server the next mail."""
    no = {"error": {"code": 400, "message": "Invalid", "errors": [{"reason": "invalid"}]}}
    match = {"method": "PATCH", "path": "/events/", "user": person}
    fault = {"match": match, "do": "status:400", "times": 1, "body": no}
    await desk.system.simulator("google", "faults", fault)
    inbox = desk.facts["mail"]["inbox_url"]
    fault = {"do": "reply:550 5.1.1 No such user", "times": 1}
    async with ClientSession() as http, http.post(f"{inbox}/_sim/faults", json=fault) as answer:
        assert answer.status < 300, await answer.text()


async def _announced(bootstrap: str) -> Said:
    """Source, topic and type of every record that is there, from the beginning of every topic."""
    found: Said = set()
    partitions = await _partitions(bootstrap)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        while [p for p, end in ends.items() if await consumer.position(p) < end]:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found |= {_said(record) for record in records if record.value is not None}
    return found


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def _partitions(bootstrap: str) -> list[TopicPartition]:
    """Of every topic there is, whoever made it; the broker's own are not for us."""
    async with _admin(bootstrap) as admin:
        return [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in await admin.describe_topics()
            if not topic["is_internal"]
            for partition in topic["partitions"]
        ]


def _said(record: Any) -> tuple[str, str, str]:
    headers = dict(record.headers)
    return headers["ce_source"].decode(), record.topic, headers["ce_type"].decode()


async def _listening(bootstrap: str) -> dict[str, set[str]]:
    """Each group with the topics that its members have subscribed to."""
    found: dict[str, set[str]] = defaultdict(set)
    async with _admin(bootstrap) as admin:
        for name, _ in await admin.list_consumer_groups():
            for answer in await admin.describe_consumer_groups([name]):  # more at once: it fails
                for *_, members in answer.groups:
                    for member in members:
                        if not member[3]:
                            continue  # the group is just being put together: ask again
                        asked = ConsumerProtocolMemberMetadata.decode(member[3])
                        found[name] |= set(asked.subscription)
    return dict(found)
