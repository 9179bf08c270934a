"""Kafka clients: all their settings in one place, and a stop that leaves nothing running."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from hoop_platform.telemetry import cause, log

LARGEST_REQUEST = 1_048_576 - 1_024
"""Fits into a topic's `max.message.bytes` with the batch around it: a larger record is refused before
it is sent, so that no other record of its batch fails with it."""

STOP_SECONDS = 4.0
METADATA_SECONDS = 30
_REQUEST_SECONDS = 15
_REBALANCE_SECONDS = 10


def producer(bootstrap: str) -> AIOKafkaProducer:
    """An idempotent producer; not started yet."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=True,
        acks="all",
        linger_ms=0,
        max_batch_size=262_144,
        max_request_size=LARGEST_REQUEST,
        request_timeout_ms=10_000,
        retry_backoff_ms=50,
    )


def consumer(bootstrap: str, *, group: str | None) -> AIOKafkaConsumer:
    """A member of a group, or a reader without one (`group` None); not started yet.

    A member has ten seconds to take part in a rebalance, and ten to send a heartbeat.
    """
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=262_144,
        max_poll_records=500,
        fetch_max_wait_ms=250,
        session_timeout_ms=10_000,
        heartbeat_interval_ms=1_000,
        rebalance_timeout_ms=_REBALANCE_SECONDS * 1000,
        max_poll_interval_ms=300_000,
        request_timeout_ms=_REQUEST_SECONDS * 1000,
        retry_backoff_ms=50,
        metadata_max_age_ms=METADATA_SECONDS * 1000,
    )


def reader(bootstrap: str) -> AIOKafkaConsumer:
    """A consumer without a group, tuned to read whole topics fast; not started yet."""
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1_048_576,
        fetch_max_wait_ms=100,
        request_timeout_ms=_REQUEST_SECONDS * 1000,
        retry_backoff_ms=50,
        metadata_max_age_ms=METADATA_SECONDS * 1000,
    )


async def dispose(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Stop a client for good, within seconds even if the broker does not respond any more."""
    untyped: Any = client
    if not await _done([untyped.stop()]):
        log.warning("kafka client cut off")
        inner = getattr(client, "client", None) or untyped._client  # noqa: SLF001 -- there is no public way
        await _done([inner.close()])  # pending requests fail now
        for task in _tasks(client):
            task.cancel()
        await _done(_tasks(client))
        await _done([inner.close()])  # and connections opened meanwhile


def _tasks(client: AIOKafkaConsumer | AIOKafkaProducer) -> list[asyncio.Task[None]]:
    """Tasks that a half stopped client leaves running; it cannot be stopped again."""
    if isinstance(client, AIOKafkaProducer):
        found = [client._sender.sender_task]  # noqa: SLF001 -- there is no public way
    else:
        names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task")
        found = [getattr(client._coordinator, name, None) for name in names]  # noqa: SLF001 -- as above
        found += [getattr(client._fetcher, "_fetch_task", None)]  # noqa: SLF001 -- as above
    return [task for task in found if task is not None]


async def _done(work: Sequence[Coroutine[Any, Any, None] | asyncio.Task[None]]) -> bool:
    """Wait some seconds for all to end; returns whether they did. Their errors no longer matter.

    Each is a task of its own, for a client that cancels its parts must not cancel the caller.
    """
    loop = asyncio.get_running_loop()
    tasks = [d if isinstance(d, asyncio.Task) else loop.create_task(d) for d in work]
    if not tasks:
        return True
    done, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
    for task in late:
        task.cancel()
    for task in done:
        if not task.cancelled() and (error := task.exception()):
            log.warning("kafka client ended badly", error=cause(error))
    return not late
