"""Events on Kafka, in the form in which the relay of a service publishes them."""

from datetime import datetime

from aiokafka import AIOKafkaProducer

from hoop_events.base import Event
from hoop_events.codec import attributes, body
from hoop_platform.clock import Clock
from hoop_platform.ids import new_id


async def publish(kafka_bootstrap: str, *events: Event) -> None:
    """Publish events as the relays of their services would; returns once Kafka has acknowledged all."""
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, acks="all") as producer:
        for event in events:
            await producer.send_and_wait(
                event.topic, key=event.subject.encode(), value=body(event), headers=headers(event)
            )


def headers(
    event: Event, *, time: datetime | None = None, traceparent: str | None = None
) -> list[tuple[str, bytes]]:
    """The headers of the record of an event. `time`: when it was announced, now by default."""
    return attributes(
        event_id=new_id(),
        source=event.source,
        type=event.type,
        subject=event.subject,
        sequence=event.sequence,
        account_id=event.account_id,
        dataschema=event.dataschema(),
        time=time or Clock().now(),
        traceparent=traceparent,
    )
