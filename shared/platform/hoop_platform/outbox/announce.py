"""The outbox: events are stored in the transaction of the decision; the relay publishes them."""

from datetime import datetime
from typing import Any

from hoop_events.base import Event
from hoop_events.codec import body
from hoop_platform.db.database import Tx, notify_after_commit
from hoop_platform.ids import new_id
from hoop_platform.telemetry import name, span, traceparent

OUTBOX = "outbox"
"""The signal of a transaction that has written outbox rows."""

_INSERT = """
    INSERT INTO outbox (event_id, topic, type, source, subject, sequence, account_id,
                        dataschema, time, traceparent, body)
    SELECT event_id, topic, type, source, subject, sequence, account_id, dataschema, time,
           traceparent, body
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                  $7::uuid[], $8::text[], $9::timestamptz[], $10::text[], $11::bytea[])
           WITH ORDINALITY AS e (event_id, topic, type, source, subject, sequence, account_id,
                                 dataschema, time, traceparent, body, number)
     ORDER BY number
"""


async def announce(db: Tx, *events: Event, now: datetime) -> None:
    """Insert events into the outbox, in the transaction of the change they announce.

    The transaction must hold the lock of the aggregate's row: it keeps the order of its events. Code
    that inserts rows otherwise must call `notify_after_commit(db, OUTBOX)` as well.
    """
    rows = [row(event, now=now).values() for event in events]
    if rows:
        await db.execute(_INSERT, *map(list, zip(*rows, strict=True)))
        notify_after_commit(db, OUTBOX)


def row(event: Event, *, now: datetime) -> dict[str, Any]:
    """The columns of an outbox row, in the order of `_INSERT`. The PRODUCER span that it opens is what consumers continue."""
    about = {
        "messaging.system": "kafka",
        "messaging.destination.name": event.topic,
        "hoop.event": event.type,
    }
    with span(f"{event.topic} publish", kind="producer", attributes=about):
        return {
            "event_id": new_id(),
            "topic": event.topic,
            "type": event.type,
            "source": f"/{name()}",  # several services announce connections
            "subject": event.subject,
            "sequence": event.sequence,
            "account_id": event.account_id,
            "dataschema": event.dataschema(),
            "time": now,
            "traceparent": traceparent(),
            "body": body(event),
        }
