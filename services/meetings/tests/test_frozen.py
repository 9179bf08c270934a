"""Replicas of the service, each frozen for 65 s at another point of the reconciler: nothing is doubled."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

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
BOOKED, CANCELLED = 24, 12


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

    async def freeze_and_thaw(self):
        """Wait until the replica has stopped itself; let it go on after `FROZEN_SECONDS`."""
        while self.order.exists():
            assert self.process.poll() is None
            await asyncio.sleep(0.1)
        await asyncio.sleep(FROZEN_SECONDS)
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        self.process.kill()
        self.process.wait(10)
        self.log.close()


@contextmanager
def replicas(world, kafka_bootstrap, folder):
    """One replica for each failpoint, and one that never freezes."""
    started = []
    try:
        started.extend(Replica(world, kafka_bootstrap, folder, point) for point in (*POINTS, None))
        yield started
    finally:
        for one in started:
            one.end()


async def hosts(world):
    """Hosts who have connected a Zoom account each: work on different ones goes on side by side."""
    found = []
    for number in range(BOOKED):
        host = new_id()
        await world.add_user(host)
        await world.connect(host, zoom_user=f"host{number}@example.com")
        found.append(host)
    return found


async def is_settled(world):
    return not await world.db.fetchval("SELECT count(*) FROM work WHERE status <> 'done'")


async def test_no_replica_that_froze_doubles_or_loses_a_meeting(
    new_world, kafka_bootstrap, tmp_path
):
    """Each session has the one meeting whose link was announced; the cancelled ones have none."""
    await ensure_topics(kafka_bootstrap)
    world = await new_world()
    known = await hosts(world)
    cancelled = [await world.book(hosts=(host,)) for host in known[:CANCELLED]]
    await world.run_workers()
    for one in cancelled:
        await world.cancel(one)
    booked = [await world.book(hosts=(host,)) for host in known]

    with replicas(world, kafka_bootstrap, tmp_path) as started:
        async with asyncio.TaskGroup() as frozen:
            for one in started[:-1]:
                frozen.create_task(one.freeze_and_thaw())
        async with asyncio.timeout(120):
            while not await is_settled(world):
                await asyncio.sleep(0.5)
        await asyncio.sleep(10)  # what a thawed replica may still do wrong

    assert await is_settled(world)
    existing = {meeting["join_url"] for meeting in await world.meetings()}
    announced = [await published_links(world, one) for one in booked]
    assert [len(links) for links in announced] == [1] * BOOKED
    assert existing == {links[0] for links in announced}
    assert len(await world.meetings()) == BOOKED


async def published_links(world, booked):
    """The link of the session as it is announced now."""
    meeting = await world.db.fetchval(
        "SELECT announced FROM work WHERE subject = $1", f"{booked.session}.zoom"
    )
    return [meeting["joinUrl"]] if meeting and meeting["state"] == "ready" else []
