"""The accounts service with the demonstration accounts, in a database of its own."""

import pytest

from accounts.__main__ import service
from accounts.handlers.bootstrap import bootstrap
from hoop_platform.clock import Clock
from local.testing.client import Client
from local.testing.polling import eventually
from local.testing.service import running


@pytest.fixture
def now():
    """The present: Kafka takes no records from the future."""
    return Clock().now()


@pytest.fixture
async def database(new_database):
    return await new_database("accounts")


@pytest.fixture
async def demo(database, tmp_path, now):
    """The demonstration accounts, stored and not published yet."""
    return await bootstrap(database, key_file=tmp_path / "keys.json", now=now)


@pytest.fixture
async def base_url(database, demo, kafka_bootstrap, new_database):
    """The running service, once it knows the demonstration's keys; it counts requests, too."""
    limits_dsn = (await new_database("hoop_platform.limits")).dsn
    backends = {"database": database, "kafka_bootstrap": kafka_bootstrap}
    async with running(service, **backends, limits_database_url=limits_dsn) as (url, runtime):
        await eventually(lambda: _outbox_is_empty(runtime.db))
        yield url


async def _outbox_is_empty(db):
    return not await db.fetchval("SELECT count(*) FROM outbox")


@pytest.fixture
async def call(base_url, demo):
    """A client with the demonstration's key: `await call("GET", "/locations/")`."""
    async with Client(base_url, demo.api_key) as client:
        yield client
