"""The accounts service with the demonstration's accounts, in a database of its own."""

import pytest

from accounts.__main__ import service
from accounts.handlers import bootstrap
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
    """The demonstration's accounts, not yet announced to anybody."""
    return await bootstrap(database, keep=tmp_path / "keys.json", now=now)


@pytest.fixture
async def base_url(database, demo, kafka_bootstrap, new_database):
    """The service, running, once it knows the keys of the demonstration; it counts requests, too."""
    counted = (await new_database("hoop_platform.limits")).dsn
    backends = {"database": database, "kafka_bootstrap": kafka_bootstrap}
    async with running(service, **backends, limits_database_url=counted) as (url, rt):
        await eventually(lambda: _announced(rt.db))
        yield url


async def _announced(db):
    return not await db.fetchval("SELECT count(*) FROM outbox")


@pytest.fixture
async def ask(base_url, demo):
    """Asks with the demonstration's key."""
    async with Client(base_url, demo.api_key) as client:
        yield client
