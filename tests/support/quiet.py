"""Whether the running system has nothing left to do: what is looked at afterwards stays as it is."""

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from local.stack.topology import SERVICES, service

_PENDING = """
    SELECT 1 FROM outbox
     UNION ALL
    SELECT 1 FROM work
     WHERE status IN ('due', 'waiting') AND kind <> 'google-feed'
       AND next_attempt_at < clock_timestamp() + interval '5 s'
"""


async def is_quiet(system: Any) -> bool:
    """No outbox row waits, no desired state is due, and every consumer has read its topics to the end.

    The ends are compared last: what was announced after they were read first has moved them.
    """
    ends = await _end_offsets(system.facts["kafka_bootstrap"])
    for name in SERVICES:
        rows = await system.sql(name, "SELECT topic, partition, next_offset FROM consumer_offset")
        read = {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
        topics = {event.topic for event in service(name).subscriptions}
        if any(read.get(each, 0) < end for each, end in ends.items() if each[0] in topics):
            return False
    for name in SERVICES:
        if await system.sql(name, _PENDING):
            return False
    return ends == await _end_offsets(system.facts["kafka_bootstrap"])


async def _end_offsets(bootstrap: str) -> dict[tuple[str, int], int]:
    """The offset behind the last record of each partition that has one, for the topics of all services."""
    topics = {event.topic for name in SERVICES for event in service(name).subscriptions}
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        known = [
            TopicPartition(topic, partition)
            for topic in topics
            for partition in consumer.partitions_for_topic(topic) or ()
        ]
        ends = await consumer.end_offsets(known)
    finally:
        await consumer.stop()
    return {(each.topic, each.partition): end for each, end in ends.items() if end}
