"""Replicas of the service, each frozen for 65 s at another point of the reconciler: no event is doubled."""

import asyncio

import pytest

from hoop_platform.kafka.topics import ensure_topics
from local.testing.freezing import replicas

pytestmark = [pytest.mark.long, pytest.mark.failure, pytest.mark.timeout(400)]

POINTS = (
    "google-event_claimed",
    "google-event_intended",
    "google-event_created",
    "google-event_updated",
    "google-event_performed",
    "google-event_recorded",
    "google-event_marked_for_deletion",
    "google-event_deleted",
)
CALENDARS = 24


def environment(world, kafka_bootstrap):
    """The settings of the test's own service, for another process."""
    settings = world.runtime.settings
    return {
        "SYNC_GOOGLE_DATABASE_URL": world.runtime.db.dsn,
        "KAFKA_BOOTSTRAP": kafka_bootstrap,
        "PUBLIC_URL": settings.public_url,
        "DATA_KEY": settings.data_key.get_secret_value(),
        "CLOCK_OFFSET_FILE": str(world.offset_file),
        "GOOGLE_OAUTH_URL": settings.google_oauth_url,
        "GOOGLE_TOKEN_URL": settings.google_token_url,
        "GOOGLE_REVOKE_URL": settings.google_revoke_url,
        "GOOGLE_API_URL": settings.google_api_url,
        "GOOGLE_CLIENT_ID": settings.google_client_id,
        "GOOGLE_CLIENT_SECRET": settings.google_client_secret.get_secret_value(),
    }


@pytest.fixture
def start(kafka_bootstrap, tmp_path):
    """Starts a replica that freezes at a failpoint, or one that never does."""
    with replicas("sync_google", tmp_path) as start_replica:
        yield lambda world, point: start_replica(environment(world, kafka_bootstrap), point)


async def connected_calendars(world):
    """Calendars with a Google user each: work on different ones goes on side by side."""
    found = [await world.calendar() for _ in range(CALENDARS)]
    for number, calendar_id in enumerate(found):
        await world.connect(calendar_id, user=f"host{number}@example.com")
    return found


async def book_move_and_cancel(world, calendars, freezing):
    """Until every replica has frozen: book; some time later move or cancel. Returns the hours that stay."""
    hours, waiting = {}, []
    for number in range(600):
        if all(one.is_frozen for one in freezing):
            return hours
        calendar_id, hour = calendars[number % CALENDARS], 2 * (number // CALENDARS)
        booked = await world.book(calendar_id, hour)
        hours[booked] = hour
        waiting.append(booked)
        if len(waiting) > CALENDARS:
            chosen = waiting.pop(0)
            if number % 2:
                hours[chosen] += 1
                await world.move(chosen, hours[chosen])
            else:
                del hours[chosen]
                await world.cancel(chosen)
        await asyncio.sleep(0.25)
    missing = [one.point for one in freezing if not one.is_frozen]
    pytest.fail(f"never passed: {missing}")


async def is_settled(world):
    """All events are done; that a calendar is listed again from time to time does not count."""
    not_done = "SELECT count(*) FROM work WHERE status <> 'done' AND kind = 'google-event'"
    return not await world.runtime.db.fetchval(not_done)


async def test_no_replica_that_froze_doubles_or_loses_an_event(world, kafka_bootstrap, start):
    """Google has one event for each appointment that stays, at its present time, and no other."""
    await ensure_topics(kafka_bootstrap)
    calendars = await connected_calendars(world)
    freezing = [start(world, point) for point in POINTS]

    async with asyncio.TaskGroup() as thawing:
        for one in freezing:
            thawing.create_task(one.thaw())
        hours = await book_move_and_cancel(world, calendars, freezing)
        start(world, None)
    async with asyncio.timeout(120):
        while not await is_settled(world):
            await asyncio.sleep(0.5)
    await asyncio.sleep(10)  # what a thawed replica may still do wrong

    assert await is_settled(world)
    shown = [
        (event["id"][:26], event["start"]["dateTime"].replace("Z", "+00:00"))
        for event in (await world.google("GET state"))["events"]
        if event["status"] != "cancelled"
    ]
    expected = [(booked, world.at(hour).isoformat()) for booked, hour in hours.items()]
    assert sorted(shown) == sorted(expected)
