"""Effects of events: one for each event or the newest for each aggregate, repeated until they are made."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hoop_events.base import Event
from hoop_events.booking import AppointmentCreated, HoldDeleted
from hoop_platform.config import Settings
from hoop_platform.db.database import Database, Tx
from hoop_platform.ids import new_id
from hoop_platform.providers import errors
from hoop_platform.reconcile import effects
from hoop_platform.reconcile.desired_state import Claimed
from hoop_platform.reconcile.effects import delete_done, desire_for, outcome_of
from hoop_platform.reconcile.outcome import Done, Failed, Later, Outcome
from hoop_platform.reconcile.reconciler import Reconciler
from hoop_platform.reconcile.webhook import post_event
from hoop_platform.reconcile.work import desire
from hoop_platform.runtime import Runtime
from hoop_platform.service.service import Service
from local.testing.consumer import consuming
from local.testing.endpoint import Answer, serving_endpoint
from local.testing.events import example
from local.testing.service import running

SECOND = timedelta(seconds=1)


class PostSettings(Settings):
    post_url: str


async def on_created(db: Tx, event: Event, now: datetime) -> None:
    await desire(db, desire_for(event, kind="post", now=now))


async def on_created_newest_only(db: Tx, event: Event, now: datetime) -> None:
    await desire(db, desire_for(event, kind="post", now=now, newest_only=True))


POSTING = Service(
    "posting",
    settings=PostSettings,
    subscriptions={AppointmentCreated: on_created},
    reconciles={"post": post_event(to=lambda settings: settings.post_url)},
)
NEWEST = Service(
    "posting",
    settings=PostSettings,
    subscriptions={AppointmentCreated: on_created_newest_only},
    reconciles=POSTING.reconciles,
)


def created(appointment: str | None = None, sequence: int = 1) -> AppointmentCreated:
    return example(AppointmentCreated, id=appointment or new_id(), sequence=sequence)


async def test_each_event_is_posted_once_with_its_id_as_the_key(database: Database) -> None:
    """Delivered twice, an event is one effect; what is posted is the event in CloudEvents' form."""
    first, second = created(), created()
    async with (
        serving_endpoint() as endpoint,
        consuming(POSTING, database, post_url=endpoint.url) as consumer,
    ):
        await consumer.deliver(first, second, first)
        await consumer.work()
        assert endpoint.problems == []
        assert endpoint.keys == [first.event_id, second.event_id]
        posted = endpoint.effects[first.event_id]
        assert (posted["type"], posted["subject"]) == ("AppointmentCreated", first.subject)
        assert AppointmentCreated.model_validate(posted["data"]) == first
        assert await consumer.statuses() == ["done", "done"]


async def test_newest_only_posts_what_an_aggregate_has_come_to(database: Database) -> None:
    """Three events while nobody worked are one effect, that of the newest, with its key."""
    appointment = new_id()
    events = [created(appointment, sequence) for sequence in (1, 2, 3)]
    async with (
        serving_endpoint() as endpoint,
        consuming(NEWEST, database, post_url=endpoint.url) as consumer,
    ):
        await consumer.deliver(*events)
        await consumer.work()
        assert endpoint.keys == [events[-1].event_id]


async def test_the_events_of_an_aggregate_are_posted_in_their_order(database: Database) -> None:
    appointment = new_id()
    events = [created(appointment, sequence) for sequence in range(1, 8)]
    async with (
        serving_endpoint() as endpoint,
        consuming(POSTING, database, post_url=endpoint.url) as consumer,
    ):
        await consumer.deliver(*events)
        await consumer.work()
        assert endpoint.keys == [event.event_id for event in events]


async def row_after(answer: Answer, database: Database) -> Any:
    """The desired state after one request that was answered like this."""
    async with serving_endpoint() as endpoint:
        endpoint.answers.append(answer)
        return await _row_after_one(endpoint.url, database)


async def _row_after_one(url: str, database: Database) -> Any:
    async with consuming(POSTING, database, post_url=url) as consumer:
        await consumer.deliver(created())
        await consumer.work()
        return await database.fetchrow(
            """
            SELECT w.status, w.last_error, c.open_until IS NOT NULL AS circuit,
                   extract(epoch FROM w.next_attempt_at - clock_timestamp())::float8 AS seconds
              FROM work AS w LEFT JOIN circuit AS c USING (provider, provider_user)
            """
        )


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 503])
async def test_what_may_succeed_later_is_repeated(database: Database, status: int) -> None:
    """After the wait that the response names; meanwhile nothing else of the aggregate is posted."""
    row = await row_after(Answer(status, {"Retry-After": "100"}), database)
    assert (row["status"], row["last_error"]) == ("waiting", f"answered {status}")
    assert row["circuit"]
    assert 90 < row["seconds"] <= 100


@pytest.mark.parametrize("value", ["soon", "-1", "1e9", ""])
async def test_a_retry_after_that_makes_no_sense_is_ignored(database: Database, value: str) -> None:
    """The waits are our own then, and begin with less than a second."""
    row = await row_after(Answer(503, {"Retry-After": value}), database)
    assert (row["status"], row["seconds"] < 1) == ("waiting", True)


async def test_a_retry_after_may_be_a_date_and_is_an_hour_at_most(database: Database) -> None:
    answer = Answer(429, {"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"})
    row = await row_after(answer, database)
    assert 3500 < row["seconds"] <= 3600


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410, 422])
async def test_a_request_that_is_refused_is_not_repeated(database: Database, status: int) -> None:
    """It is kept as failed, with the reason; a redirect is not followed."""
    row = await row_after(Answer(status, {"Location": "/elsewhere"}), database)
    assert (row["status"], row["last_error"]) == ("failed", f"answered {status}")


async def test_an_endpoint_that_is_not_there_is_waited_for(database: Database) -> None:
    row = await _row_after_one("http://127.0.0.1:1/", database)
    assert (row["status"], row["circuit"]) == ("waiting", True)
    assert row["last_error"].startswith("cannot be reached")


async def test_a_url_that_is_none_fails_visibly(database: Database) -> None:
    row = await _row_after_one("localhost", database)
    assert (row["status"], row["last_error"]) == ("failed", "the endpoint's URL is invalid")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (errors.RateLimited("no", 7 * SECOND), Later("no", wait=7 * SECOND, opens_circuit=True)),
        (errors.RateLimited("no", 0 * SECOND), Later("no", opens_circuit=True)),
        (
            errors.ProviderDown("no", retry_after=SECOND),
            Later("no", wait=SECOND, opens_circuit=True),
        ),
        (errors.Unreachable("no"), Later("no", opens_circuit=True)),
        (errors.OutcomeUnknown("no"), Later("no", opens_circuit=True)),
        (errors.RequestRejected("no"), Failed("no")),
        (errors.TokenRejected("no"), Failed("no")),
        (errors.ObjectNotFound("no"), Failed("no")),
    ],
)
def test_an_error_is_an_outcome(error: Any, outcome: Outcome) -> None:
    """Repeated is what may succeed later; a wait of nothing would be a loop."""
    assert outcome_of(error) == outcome


async def test_done_effects_of_single_events_are_deleted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an hour; not those that are not done, nor what stands for an aggregate."""
    monkeypatch.setattr(effects, "MOST_DELETED", 1)
    old, older, fresh, waiting, aggregate = (created() for _ in range(5))
    now = datetime(2027, 3, 1, tzinfo=UTC)
    async with database.transaction() as db:
        await desire(
            db, *(desire_for(e, kind="post", now=now) for e in (old, older, fresh, waiting))
        )
        await desire(db, desire_for(aggregate, kind="post", now=now, newest_only=True))
    await database.execute("UPDATE work SET status = 'done' WHERE subject <> $1", waiting.event_id)
    await database.execute(
        "UPDATE work SET next_attempt_at = next_attempt_at - interval '61 minutes'"
        " WHERE subject <> $1",
        fresh.event_id,
    )
    await delete_done(database, ["post"])
    rows = await database.fetch("SELECT subject FROM work")
    left = {row["subject"] for row in rows}
    assert left == {fresh.event_id, waiting.event_id, aggregate.subject}


async def test_a_locked_effect_does_not_keep_others_from_being_deleted(database: Database) -> None:
    """It is deleted the next time; nobody waits for whoever has locked it."""
    events, now = [created(), created()], datetime(2027, 3, 1, tzinfo=UTC)
    async with database.transaction() as db:
        await desire(db, *(desire_for(event, kind="post", now=now) for event in events))
    await database.execute(
        "UPDATE work SET status = 'done', next_attempt_at = clock_timestamp() - interval '2 hours'"
    )
    async with database.transaction() as db, asyncio.timeout(2):
        await db.execute("SELECT FROM work WHERE subject = $1 FOR UPDATE", events[0].event_id)
        await delete_done(database, ["post"])
    rows = await database.fetch("SELECT subject FROM work")
    assert [row["subject"] for row in rows] == [events[0].event_id]
    await delete_done(database, ["post"])
    assert await database.fetchval("SELECT count(*) FROM work") == 0


def test_an_event_that_was_not_announced_has_no_effects() -> None:
    """Without an id, two deliveries of it could not be told from two events."""
    new = example(HoldDeleted).model_copy()
    del new.__dict__["event_id"]
    with pytest.raises(LookupError, match="HoldDeleted"):
        desire_for(new, kind="post", now=datetime(2027, 3, 1, tzinfo=UTC))


async def test_a_service_without_tables_runs_its_effects_and_reconcilers(
    new_database: Any, kafka_bootstrap: str
) -> None:
    """No jobs, no migrations: the platform's worker performs every kind that the service names."""
    performed: dict[str, asyncio.Event] = {"call": asyncio.Event(), "adopt": asyncio.Event()}

    async def call(_: Runtime, __: Claimed) -> Outcome:
        performed["call"].set()
        return Done()

    class Adopting(Reconciler[None]):
        def __init__(self, runtime: Runtime) -> None:
            self.name = runtime.name

        async def load(self, claimed: Claimed) -> None:
            assert self.name == claimed.desired_state.kind + "er"
            performed["adopt"].set()
            raise ConnectionError

    service = Service("adopter", reconciles={"call": call, "adopt": Adopting})
    database = await new_database()
    async with (
        running(service, database=database, kafka_bootstrap=kafka_bootstrap) as (_, runtime),
        asyncio.timeout(10),
    ):
        async with runtime.db.transaction() as db:
            now = runtime.clock.now()
            await desire(db, *(desire_for(created(), kind=kind, now=now) for kind in performed))
        await asyncio.gather(*(each.wait() for each in performed.values()))
