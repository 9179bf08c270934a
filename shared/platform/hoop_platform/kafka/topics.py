"""The topics: one per kind of aggregate, compacted, so that each keeps the latest states for ever."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from hoop_events.catalogue import HISTORY_DAYS, TOPICS

DAY_MS = 86_400_000

_COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.1",
    "max.message.bytes": "1048576",
}
SLACK_DAYS = 7
"""How long compaction may be due."""


def settings(topic: str) -> dict[str, str]:
    """A topic's configuration: its history, if its events ask for one, else only the latest state."""
    days = HISTORY_DAYS.get(topic)
    if days is None:
        return _COMPACTED
    return _COMPACTED | {
        "min.compaction.lag.ms": str(days * DAY_MS),
        "max.compaction.lag.ms": str((days + SLACK_DAYS) * DAY_MS),
    }


async def ensure_topics(bootstrap: str, *, partitions: int = 3, replicas: int = 1) -> list[str]:
    """Create the topics that are missing; returns their names. Existing ones stay as they are."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=20_000)
    await admin.start()
    try:
        known = set(await admin.list_topics())
        missing = [topic for topic in TOPICS if topic not in known]
        response = await admin.create_topics(
            [
                NewTopic(topic, partitions, replicas, topic_configs=settings(topic))
                for topic in missing
            ],
            timeout_ms=20_000,
        )
        for topic, code, *_ in response.topic_errors:  # type: ignore[attr-defined] # every version of the response has it
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise for_code(code)(topic)
    finally:
        await admin.close()
    return missing
