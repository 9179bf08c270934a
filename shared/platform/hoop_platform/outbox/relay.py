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
from hoop_platform.db.database import UNAVAILABLE, Database, LeaseLost, Row
from hoop_platform.failpoints import fp
from hoop_platform.ids import new_id
from hoop_platform.kafka import clients
from hoop_platform.telemetry import cause, log, span
from hoop_platform.timing import pause, until_set

BATCH = 500
LEASE_SECONDS = 5
ACK_SECONDS = 15.0
TOPIC_SECONDS = 3.0
MISSING_SECONDS = 10.0
DRAIN_SECONDS = 5.0
UNSENDABLE = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidTopicError)


INTERRUPTED: tuple[type[Exception], ...] = (KafkaError, LeaseLost, *UNAVAILABLE)


class Relay:
    """Publishes the outbox in order and deletes what Kafka has acknowledged.

    Any number may run; the holder of the lease row leads. After any doubt the producer is discarded
    and the rows, which are still in the outbox, are sent again.
    """

    def __init__(self, database: Database, *, bootstrap: str) -> None:
        self._database = database
        self._bootstrap = bootstrap
        self._owner = new_id()
        self._epoch = 0
        self._renew_at = 0.0
        self._missing: dict[str, float] = {}
        self._wake = database.subscribe(asyncio.Event())

    async def run(self, stop: asyncio.Event) -> None:
        """Lead or stand by until `stop`; then publish what is left."""
        while not stop.is_set():
            try:
                await self._with_a_producer(stop)
            except INTERRUPTED as error:
                log.warning("relay interrupted", error=cause(error))
                await pause(stop, 0.5)
        await self._resign()

    async def _with_a_producer(self, stop: asyncio.Event) -> None:
        producer = clients.producer(self._bootstrap)
        try:
            async with asyncio.timeout(30):
                await producer.start()
            await self._lead(producer, stop)
        finally:
            await clients.dispose(producer)

    async def _lead(self, producer: AIOKafkaProducer, stop: asyncio.Event) -> None:
        patience = 0.005
        while not stop.is_set():
            self._wake.clear()
            sent = await self._drain(producer) if await self._leading() else 0
            patience = 0.005 if sent else min(patience * 2, 0.25)
            if sent < BATCH and await until_set(self._wake, patience) and not stop.is_set():
                await asyncio.sleep(0.001)  # lets concurrent commits join this batch
        async with asyncio.timeout(DRAIN_SECONDS):
            while await self._leading() and await self._drain(producer):
                pass

    async def _leading(self) -> bool:
        """Renew the lease when a third of it has passed, take it over when it has expired."""
        now = asyncio.get_running_loop().time()
        if self._epoch and now < self._renew_at:
            return True
        epoch = await self._database.fetchval(
            """
            INSERT INTO relay_lease AS l (owner, until)
            VALUES ($1, clock_timestamp() + make_interval(secs => $2))
            ON CONFLICT (only_one) DO UPDATE
               SET owner = $1, until = excluded.until,
                   epoch = l.epoch + (l.owner <> $1)::int
             WHERE l.owner = $1 OR l.until < clock_timestamp()
            RETURNING epoch
            """,
            self._owner,
            LEASE_SECONDS,
        )
        self._epoch = epoch or 0
        self._renew_at = now + LEASE_SECONDS / 3
        await self._measure()
        return bool(self._epoch)

    async def _drain(self, producer: AIOKafkaProducer) -> int:
        """Publish the oldest rows, one batch; rows of an aggregate with a parked row wait.

        Returns the number of rows read.
        """
        rows = await self._database.fetch(
            """
            SELECT * FROM outbox AS o
             WHERE parked_at IS NULL AND topic <> ALL ($2::text[])
               AND NOT EXISTS (SELECT FROM outbox AS p WHERE p.parked_at IS NOT NULL
                               AND p.topic = o.topic AND p.subject = o.subject)
             ORDER BY id LIMIT $1
            """,
            BATCH,
            self._missing_topics(),
        )
        if not rows:
            return 0
        await fp("relay_claimed")
        parents = [r["traceparent"] for r in rows if r["traceparent"]]
        with span("outbox relay", kind="client", links=parents[:64]):
            acknowledged, failure = await self._send(producer, rows)
        await fp("relay_acknowledged")
        await self._delete(acknowledged)
        if failure is not None:
            raise failure
        return len(rows)

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

    async def _delete(self, rows: Sequence[Row]) -> None:
        """Delete rows that Kafka acknowledged; raises `LeaseLost` if another relay leads by now."""
        deleted = await self._database.fetch(
            """
            DELETE FROM outbox
             WHERE id = ANY($1::bigint[])
               AND EXISTS (SELECT 1 FROM relay_lease WHERE owner = $2 AND epoch = $3)
            RETURNING extract(epoch FROM clock_timestamp() - created_at)::float8 AS age
            """,
            [r["id"] for r in rows],
            self._owner,
            self._epoch,
        )
        if rows and not deleted:
            self._epoch = 0
            raise LeaseLost
        published = telemetry.published.labels(telemetry.name())
        for d in deleted:
            published.observe(d["age"])

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

    async def _measure(self) -> None:
        service = telemetry.name()
        row = await self._database.fetchrow(
            """
            SELECT count(*) FILTER (WHERE parked_at IS NULL) AS depth, count(parked_at) AS parked,
                   coalesce(extract(epoch FROM clock_timestamp()
                            - min(created_at) FILTER (WHERE parked_at IS NULL)), 0)::float8 AS age
              FROM (SELECT parked_at, created_at FROM outbox ORDER BY id LIMIT 10000) AS head
            """
        )
        assert row is not None
        telemetry.outbox_depth.labels(service).set(row["depth"])
        telemetry.outbox_parked.labels(service).set(row["parked"])
        telemetry.outbox_age.labels(service).set(row["age"])

    async def _resign(self) -> None:
        """Delete the lease, so that another relay leads at once; without Postgres it expires."""
        try:
            await self._database.execute("DELETE FROM relay_lease WHERE owner = $1", self._owner)
        except UNAVAILABLE as error:
            log.warning("lease not returned", error=cause(error))


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
