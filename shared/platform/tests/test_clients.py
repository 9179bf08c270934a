"""Kafka's clients end for good, also when their own way of ending hangs: no task, no socket is left."""

import asyncio
from typing import Any

import pytest
from noted import Noted, note

from hoop_events.codec import body
from hoop_platform.kafka import clients


def _others() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type] # there is one


async def _hang() -> None:
    await asyncio.sleep(3600)


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_consumer_leaves_nothing_behind(
    kafka_bootstrap: str, noted: type[Noted], hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "STOP_SECONDS", 0.5)
    before = _others()
    consumer = clients.consumer(kafka_bootstrap, group=noted.topic)
    consumer.subscribe([noted.topic])
    await consumer.start()
    await consumer.getmany(timeout_ms=100)
    if hangs:
        monkeypatch.setattr(consumer, "stop", _hang)
    await clients.dispose(consumer)
    await asyncio.sleep(0.1)
    assert _others() <= before
    consumer._closed = True


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_producer_leaves_nothing_behind(
    kafka_bootstrap: str, noted: type[Noted], hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "STOP_SECONDS", 0.5)
    before, event = _others(), note(noted, "0" * 26, 1)
    producer = clients.producer(kafka_bootstrap)
    await producer.start()
    await producer.send_and_wait(noted.topic, body(event))
    if hangs:
        monkeypatch.setattr(producer, "stop", _hang)
    await clients.dispose(producer)
    await asyncio.sleep(0.1)
    assert _others() <= before
    producer._closed = True


async def test_one_that_never_started_ends_as_well() -> None:
    await clients.dispose(clients.consumer("127.0.0.1:1", group=None))
    await clients.dispose(clients.producer("127.0.0.1:1"))


async def test_one_that_ends_badly_takes_nobody_along(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka may cancel its own tasks, and await them: that is not our cancellation."""

    async def end_badly() -> None:
        raise asyncio.CancelledError

    async def fail() -> None:
        raise OSError("gone")

    for bad in (end_badly, fail):
        consumer = clients.consumer(kafka_bootstrap, group=None)
        stop = consumer.stop
        monkeypatch.setattr(consumer, "stop", bad)
        await clients.dispose(consumer)
        await stop()
