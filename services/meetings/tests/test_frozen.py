"""Replicas of the service, each frozen for 65 s at another point of the reconciler: nothing is doubled."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from hoop_platform.ids import new_id
from hoop_platform.kafka.topics import ensure_topics

pytestmark = [pytest.mark.long, pytest.mark.failure, pytest.mark.timeout(400)]

FROZEN_SECONDS = 65.0
"""More than three leases, and more than any call to the provider may take."""
POINTS = (
    "claimed",
    "intended",
    "created",
    "performed",
    "recorded",
    "marked_for_deletion",
    "deleted",
)
HOSTS = 24


class Replica:
    """A process of the service that stops itself when it passes its failpoint."""

    def __init__(self, world, kafka_bootstrap, folder, point):
        self.point = point
        self.order = folder / str(point) / f"meeting_{point}"
        self.order.parent.mkdir()
        if point is not None:
            self.order.write_text("stop")
        settings = world.runtime.settings
        self.log = (folder / f"{point}.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "meetings", "serve"],
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,  # noqa: TID251 -- handed on
                "MEETINGS_DATABASE_URL": world.db.dsn,
                "KAFKA_BOOTSTRAP": kafka_bootstrap,
                "HTTP_PORT": "0",
                "PUBLIC_URL": settings.public_url,
                "DATA_KEY": settings.data_key.get_secret_value(),
                "ZOOM_OAUTH_URL": settings.zoom_oauth_url,
                "ZOOM_API_URL": settings.zoom_api_url,
                "ZOOM_CLIENT_ID": settings.zoom_client_id,
                "ZOOM_CLIENT_SECRET": settings.zoom_client_secret.get_secret_value(),
                "ZOOM_DAILY_LIMIT": "100000",
                "FAILPOINT_DIR": str(self.order.parent),
            },
        )

    @property
    def frozen(self):
        """Whether the replica has passed its failpoint, and so has stopped itself."""
        assert self.process.poll() is None
        return not self.order.exists()

    async def thaw(self):
        """Let the replica go on, `FROZEN_SECONDS` after it has stopped itself."""
        while not self.frozen:
            await asyncio.sleep(0.1)
        await asyncio.sleep(FROZEN_SECONDS)
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        self.process.kill()
        self.process.wait(10)
        self.log.close()


@pytest.fixture
def start(kafka_bootstrap, tmp_path):
    """Starts a replica that freezes at a failpoint, or one that never does."""
    started = []

    def replica(world, point):
        started.append(Replica(world, kafka_bootstrap, tmp_path, point))
        return started[-1]

    yield replica
    for one in started:
        one.end()


async def connected_hosts(world):
    """Hosts with a Zoom account each: work on different ones goes on side by side."""
    found = [new_id() for _ in range(HOSTS)]
    for number, host in enumerate(found):
        await world.add_user(host)
        await world.connect(host, zoom_user=f"host{number}@example.com")
    return found


async def book_and_cancel(world, known, replicas):
    """Until every replica has frozen: book, and cancel every second appointment some time later."""
    booked, cancelled = [], []
    for number in range(600):
        if all(one.frozen for one in replicas):
            return booked, cancelled
        booked.append(await world.book(hosts=(known[number % HOSTS],)))
        if number % 2 and len(booked) > HOSTS:
            chosen = booked.pop(0)
            await world.cancel(chosen)
            cancelled.append(chosen)
        await asyncio.sleep(0.25)
    waiting = [one.point for one in replicas if not one.frozen]
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
    replicas = [start(world, point) for point in POINTS]

    async with asyncio.TaskGroup() as thawing:
        for one in replicas:
            thawing.create_task(one.thaw())
        booked, cancelled = await book_and_cancel(world, known, replicas)
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
