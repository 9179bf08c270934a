"""Replicas of the service, each frozen for 65 s at another point of the reconciler: nothing is doubled."""

import asyncio

import pytest

from hoop_platform.ids import new_id
from hoop_platform.kafka.topics import ensure_topics
from local.testing.freezing import replicas

pytestmark = [pytest.mark.long, pytest.mark.failure, pytest.mark.timeout(400)]

POINTS = (
    "meeting_claimed",
    "meeting_intended",
    "meeting_created",
    "meeting_performed",
    "meeting_recorded",
    "meeting_marked_for_deletion",
    "meeting_deleted",
)
HOSTS = 24


def environment(world, kafka_bootstrap):
    """The settings of the test's own service, for another process."""
    settings = world.runtime.settings
    return {
        "MEETINGS_DATABASE_URL": world.db.dsn,
        "KAFKA_BOOTSTRAP": kafka_bootstrap,
        "PUBLIC_URL": settings.public_url,
        "DATA_KEY": settings.data_key.get_secret_value(),
        "ZOOM_OAUTH_URL": settings.zoom_oauth_url,
        "ZOOM_API_URL": settings.zoom_api_url,
        "ZOOM_CLIENT_ID": settings.zoom_client_id,
        "ZOOM_CLIENT_SECRET": settings.zoom_client_secret.get_secret_value(),
        "ZOOM_DAILY_LIMIT": "100000",
    }


@pytest.fixture
def start(kafka_bootstrap, tmp_path):
    """Starts a replica that freezes at a failpoint, or one that never does."""
    with replicas("meetings", tmp_path) as start_replica:
        yield lambda world, point: start_replica(environment(world, kafka_bootstrap), point)


async def connected_hosts(world):
    """Hosts with a Zoom account each: work on different ones goes on side by side."""
    found = [new_id() for _ in range(HOSTS)]
    for number, host in enumerate(found):
        await world.add_user(host)
        await world.connect(host, zoom_user=f"host{number}@example.com")
    return found


async def book_and_cancel(world, known, freezing):
    """Until every replica has frozen: book, and cancel every second appointment some time later."""
    booked, cancelled = [], []
    for number in range(600):
        if all(one.is_frozen for one in freezing):
            return booked, cancelled
        booked.append(await world.book(hosts=(known[number % HOSTS],)))
        if number % 2 and len(booked) > HOSTS:
            chosen = booked.pop(0)
            await world.cancel(chosen)
            cancelled.append(chosen)
        await asyncio.sleep(0.25)
    waiting = [one.point for one in freezing if not one.is_frozen]
    pytest.fail(f"never passed: {waiting}")


async def is_settled(world):
    return not await world.db.fetchval("SELECT count(*) FROM work WHERE status <> 'done'")


async def link_of(world, appointment):
    """The link of the appointment's session as it is announced now."""
    subject = f"{appointment.session}.zoom"
    meeting = await world.db.fetchval("SELECT announced FROM work WHERE subject = $1", subject)
    return meeting["joinUrl"] if meeting and meeting["state"] == "ready" else None


async def test_no_replica_that_froze_doubles_or_loses_a_meeting(new_world, kafka_bootstrap, start):
    """Each session has the one meeting whose link was announced; the cancelled ones have none."""
    await ensure_topics(kafka_bootstrap)
    world = await new_world()
    known = await connected_hosts(world)
    freezing = [start(world, point) for point in POINTS]

    async with asyncio.TaskGroup() as thawing:
        for one in freezing:
            thawing.create_task(one.thaw())
        booked, cancelled = await book_and_cancel(world, known, freezing)
        start(world, None)
    async with asyncio.timeout(120):
        while not await is_settled(world):
            await asyncio.sleep(0.5)
    await asyncio.sleep(10)  # what a thawed replica may still do wrong

    assert await is_settled(world)
    links = [await link_of(world, one) for one in booked]
    existing = [meeting["join_url"] for meeting in await world.meetings()]
    assert sorted(existing) == sorted(links)
    assert [await link_of(world, one) for one in cancelled] == [None] * len(cancelled)
