"""The outbox: events are stored in the transaction of the decision; the relay publishes them."""

from datetime import datetime
from typing import Any

from hoop_events.base import Event
from hoop_events.codec import body
from hoop_platform.db.database import Tx
from hoop_platform.ids import new_id
from hoop_platform.telemetry import name, span, traceparent


async def announce(db: Tx, *events: Event, now: datetime) -> None:
    """Insert events into the outbox, in the transaction of the change they announce.

    The transaction must hold the lock of the aggregate's row: it keeps the order of its events.
    """
    rows = [tuple(row(event, now=now).values()) for event in events]
    if len(rows) == 1:
        await db.execute(INSERT, *rows[0])
    else:
        await db.executemany(INSERT, rows)


INSERT = """
    INSERT INTO outbox (event_id, topic, type, source, subject, sequence, account_id,
                        dataschema, time, traceparent, body)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""


def row(event: Event, *, now: datetime) -> dict[str, Any]:
    """The columns of `INSERT`, in order. The PRODUCER span that it opens is what consumers continue."""
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
