"""Events on Kafka, in the form in which the relay of a service publishes them."""

import json
from datetime import datetime
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer

from hoop_events.base import Event
from hoop_events.codec import attributes, body, decode, envelope
from hoop_platform.clock import Clock
from hoop_platform.ids import new_id
from local.paths import ROOT

GOLDEN = ROOT / "shared/events/golden"
E = TypeVar("E", bound=Event)


def example(kind: type[E], **state: Any) -> E:
    """An event of this type as a handler gets it: with an id, and every field filled.

    It is the full golden record of the newest revision; fields of its `state` may be replaced.
    """
    newest = max((GOLDEN / kind.type).glob("*.json"), key=lambda path: int(path.stem))
    record = json.loads(newest.read_bytes())["full"]
    headers = [(name, value.encode()) for name, value in record["headers"].items()]
    found = decode(envelope(headers), record["body"].encode(), [kind])
    zone = {"time_zone": "Europe/Berlin"} if hasattr(found.state, "time_zone") else {}
    changed = found.model_copy(update={"state": found.state.model_copy(update=zone | state)})
    assert isinstance(changed, kind)
    return changed.with_event_id(new_id())


async def publish(kafka_bootstrap: str, *events: Event) -> None:
    """Publish events as the relays of their services would; returns once Kafka has acknowledged all."""
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, acks="all") as producer:
        for event in events:
            await producer.send_and_wait(
                event.topic, key=event.subject.encode(), value=body(event), headers=headers(event)
            )


def headers(
    event: Event,
    *,
    time: datetime | None = None,
    traceparent: str | None = None,
) -> list[tuple[str, bytes]]:
    """The headers of the record of an event, with its id, else a new one. By default it is announced now."""
    return attributes(
        event_id=_id_of(event),
        source=event.source,
        type=event.type,
        subject=event.subject,
        sequence=event.sequence,
        account_id=event.account_id,
        dataschema=event.dataschema(),
        time=time or Clock().now(),
        traceparent=traceparent,
    )


def _id_of(event: Event) -> str:
    try:
        return event.event_id
    except LookupError:
        return new_id()
