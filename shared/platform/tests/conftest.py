"""What the machinery's tests share: an event with a topic of its own, and a database that remembers."""

from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from noted import Noted, noted_on

from hoop_platform.db.database import Database
from hoop_platform.ids import new_id
from hoop_platform.reconcile import claims


@pytest.fixture
async def noted(kafka_bootstrap: str) -> type[Noted]:
    """An event on a topic that no other test uses: three partitions."""
    topic = f"test-{new_id()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 3, 1)])
    finally:
        await admin.close()
    return noted_on(topic)


@pytest.fixture
async def database(new_database: Any) -> Database:
    """A database with the machinery's tables, and one to write down in what was heard."""
    found: Database = await new_database()
    await found.execute(
        "CREATE TABLE heard (n bigserial, subject text, sequence bigint, text text)"
    )
    return found


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of desired states that each look has found."""
    found: list[int] = []
    claim_due = claims.claim_due

    async def counted(*arguments: Any) -> claims.Look:
        look = await claim_due(*arguments)
        found.append(len(look.claimed))
        return look

    monkeypatch.setattr(claims, "claim_due", counted)
    return found
