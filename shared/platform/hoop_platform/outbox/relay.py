"""The relay: publishes the outbox to Kafka in order, at least once."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from hoop_events.codec import attributes
from hoop_platform import telemetry
from hoop_platform.db.database import CONTENTION, UNAVAILABLE, Database, LeaseLost, Row
from hoop_platform.failpoints import fp
from hoop_platform.kafka import clients
from hoop_platform.outbox.announce import OUTBOX
from hoop_platform.outbox.floor import Floor, Look
from hoop_platform.outbox.lease import RelayLease
from hoop_platform.telemetry import cause, log, span
from hoop_platform.timing import pause, pause_after, until_set

BATCH = 500
ACK_SECONDS = 15.0
TOPIC_SECONDS = 3.0
MISSING_SECONDS = 10.0
DRAIN_SECONDS = 5.0
JOIN_SECONDS = 0.001
"""How long a look waits for concurrent commits to join it."""
TELL_SECONDS = 0.01
"""A relay that stands by tells the leader of its rows no more often."""
POLL_SECONDS = (0.005, 0.25)
"""How soon a leader that cannot LISTEN looks again; twice as late each time, up to the second."""
UNSENDABLE = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidTopicError)
INTERRUPTED: tuple[type[Exception], ...] = (
    KafkaError,
    LeaseLost,
    *UNAVAILABLE,
    *CONTENTION,
)


class Relay:
    """Publishes the outbox in order and deletes what Kafka has acknowledged.

    Any number may run; the holder of the lease leads. It looks for rows when it was notified of them,
    by this process or by a relay that stands by. After any doubt the producer is discarded and the
    rows, which are still in the outbox, are sent again.
    """

    def __init__(self, database: Database, *, bootstrap: str) -> None:
        self._database = database
        self._bootstrap = bootstrap
        self._floor = Floor()
        self._missing: dict[str, float] = {}
        self._wake = database.subscribe(asyncio.Event(), OUTBOX)
        self.lease = RelayLease(database, self._wake)

    async def run(self, stop: asyncio.Event) -> None:
        """Lead or stand by until `stop`; then publish what is left."""
        while not stop.is_set():
            try:
                async with self.lease.listening():
                    await self._with_a_producer(stop)
            except Exception as error:  # noqa: BLE001 -- the rows are still there, to be published by the next try
                await pause_after(error, stop, event="relay interrupted", expected=INTERRUPTED)
        await self.lease.resign()

    async def _with_a_producer(self, stop: asyncio.Event) -> None:
        producer = clients.producer(self._bootstrap)
        try:
            async with asyncio.timeout(30):
                await producer.start()
            await self._lead(producer, stop)
        finally:
            await clients.dispose(producer)

    async def _lead(self, producer: AIOKafkaProducer, stop: asyncio.Event) -> None:
        self._floor, patience, look, sent = Floor(), POLL_SECONDS[0], True, 0
        while not stop.is_set():
            self._wake.clear()
            leads = await self.lease.held(tell=look, behind=sent == BATCH or bool(self._missing))
            sent = await self._drain(producer) if leads and self._may_find_rows(look) else 0
            patience = POLL_SECONDS[0] if sent else min(patience * 2, POLL_SECONDS[1])
            look = sent == BATCH or await self._rest(stop, leads, patience)
        async with asyncio.timeout(DRAIN_SECONDS):
            while await self.lease.held() and await self._drain(producer):
                pass

    def _may_find_rows(self, woken: bool) -> bool:
        """Whether to look: there was a notice, or rows were seen, or there can be no notice."""
        return woken or self.lease.rows_seen or not self.lease.listens or bool(self._missing)

    async def _rest(self, stop: asyncio.Event, leads: bool, patience: float) -> bool:
        """Wait until there is something to do; returns whether it was notified of rows."""
        until = min([self.lease.due_at, *(self._missing.values() if leads else ())])
        seconds = until - asyncio.get_running_loop().time()
        if leads and not self.lease.listens:
            seconds = min(seconds, patience)
        if not await until_set(self._wake, max(seconds, 0), stop=stop):
            return False
        await pause(stop, JOIN_SECONDS if leads else TELL_SECONDS)
        return True

    async def _drain(self, producer: AIOKafkaProducer) -> int:
        """Publish the oldest rows, one batch; rows of an aggregate with a parked row wait.

        Returns the number of rows read.
        """
        self._floor.sink(self.lease.take_lowest())
        missing = self._missing_topics()
        found = await self._database.fetch(
            "SELECT * FROM list_outbox($1, $2, $3)", self._floor.id, BATCH, missing
        )
        look = Look(last_id=found[0]["last_id"], xmin=found[0]["oldest_xid"])
        rows = [r for r in found if r["id"] is not None]
        xid = await self._publish(producer, rows) if rows else None
        if not missing and not self._missing:  # else rows are left that no look shows for a while
            beyond = rows[-1]["id"] + 1 if len(rows) == BATCH else None
            self._floor.rise(look, xid=xid, lowest_left=beyond)
        return len(rows)

    async def _publish(self, producer: AIOKafkaProducer, rows: Sequence[Row]) -> int | None:
        """Send rows and delete those acknowledged; returns the number of that transaction."""
        await fp("relay_claimed")
        parents = [r["traceparent"] for r in rows if r["traceparent"]]
        with span("outbox relay", kind="client", links=parents[:64]):
            acknowledged, failure = await self._send(producer, rows)
        await fp("relay_acknowledged")
        xid = await self._delete(acknowledged) if acknowledged else None
        if failure is not None:
            raise failure
        return xid

    def _missing_topics(self) -> list[str]:
        """Topics that were missing a moment ago: their rows wait without delaying others."""
        now = asyncio.get_running_loop().time()
        self._missing = {topic: until for topic, until in self._missing.items() if until > now}
        return list(self._missing)

    async def _send(
        self, producer: AIOKafkaProducer, rows: Sequence[Row]
    ) -> tuple[Sequence[Row], BaseException | None]:
        """Send rows and wait; returns those acknowledged, and the error of the others if any."""
        pending = await self._pass_to_producer(producer, rows)
        await fp("relay_sent")
        if not pending:
            return [], None
        _, silent = await asyncio.wait([future for _, future in pending], timeout=ACK_SECONDS)
        acknowledged: list[Row] = []
        failure: BaseException | None = TimeoutError("no acknowledgement") if silent else None
        for r, future in pending:
            error = None if future in silent else future.exception()
            if future not in silent and error is None:
                acknowledged.append(r)
            elif isinstance(error, UNSENDABLE):
                await self._park(r, error)
            elif error is not None:
                failure = error
        return acknowledged, failure

    async def _pass_to_producer(
        self, producer: AIOKafkaProducer, rows: Sequence[Row]
    ) -> "list[tuple[Row, asyncio.Future[object]]]":
        """Pass rows to the producer; those that cannot be sent are parked, or wait for their topic."""
        pending, parked = [], set()
        for topic in {r["topic"] for r in rows}:
            await self._check_topic(producer, topic)
        for r in rows:
            aggregate = (r["topic"], r["subject"])
            if r["topic"] in self._missing or aggregate in parked:
                continue
            try:
                future: asyncio.Future[object] = await producer.send(
                    r["topic"], key=r["subject"].encode(), value=r["body"], headers=_headers(r)
                )
            except UNSENDABLE as error:
                await self._park(r, error)
                parked.add(aggregate)
            else:
                pending.append((r, future))
        return pending

    async def _check_topic(self, producer: AIOKafkaProducer, topic: str) -> None:
        """Remember a topic that is missing, so that the events of others need not wait for it."""
        try:
            async with asyncio.timeout(TOPIC_SECONDS):
                await producer.partitions_for(topic)
        except TimeoutError:
            async with asyncio.timeout(TOPIC_SECONDS):
                cluster = await producer.client.fetch_all_metadata()
            if topic not in cluster.topics():
                log.error("topic is missing, its events wait", topic=topic)
                self._missing[topic] = asyncio.get_running_loop().time() + MISSING_SECONDS

    async def _delete(self, rows: Sequence[Row]) -> int:
        """Delete rows that Kafka acknowledged; raises `LeaseLost` if another relay leads by now."""
        deleted = await self._database.fetch(
            "SELECT * FROM delete_outbox($1, $2, $3)",
            [r["id"] for r in rows],
            self.lease.owner,
            self.lease.epoch,
        )
        if not deleted:
            self.lease.epoch = 0
            raise LeaseLost
        published = telemetry.published.labels(telemetry.name())
        for d in deleted:
            published.observe(d["age"])
        xid: int = deleted[0]["xid"]
        return xid

    async def _park(self, r: Row, error: Exception) -> None:
        """Park a row and the later ones of its aggregate, whose order matters more than progress."""
        log.error("outbox row parked", topic=r["topic"], subject=r["subject"], error=cause(error))
        await self._database.execute(
            """
            UPDATE outbox SET parked_at = clock_timestamp(), park_reason = $4
             WHERE topic = $1 AND subject = $2 AND id >= $3
            """,
            r["topic"],
            r["subject"],
            r["id"],
            cause(error)[:500],
        )


def _headers(r: Row) -> list[tuple[str, bytes]]:
    return attributes(
        event_id=r["event_id"],
        source=r["source"],
        type=r["type"],
        subject=r["subject"],
        sequence=r["sequence"],
        account_id=r["account_id"],
        dataschema=r["dataschema"],
        time=r["time"],
        traceparent=r["traceparent"],
    )
