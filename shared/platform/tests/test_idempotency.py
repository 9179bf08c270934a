"""`Idempotency-Key`: what is asked twice is done once, and answered twice alike."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from shop import NOON, READ, WRITE, Shop, opened

from hoop_platform import failpoints
from hoop_platform.db.database import CONTENTION, Database
from hoop_platform.errors import Conflict
from hoop_platform.http import idempotency
from hoop_platform.http.parse import Body, OneLine, Query
from hoop_platform.http.route import Call, Reply, Route
from hoop_platform.ids import new_id
from local.testing.client import Client, Response
from local.testing.polling import eventually

CONTENDED = "DO $$ BEGIN RAISE EXCEPTION 'secret' USING ERRCODE = '40001'; END $$"
GOOD = {"name": "Lamp"}
NEWS = asyncio.Event()


class Order(Body):
    name: OneLine
    count: int = 0


class Anyhow(Query):
    how: str = ""


async def write(call: Call) -> Reply:
    """Writes in a transaction, and a line outside of it."""
    database: Database = call.runtime.db
    async with database.transaction() as db:
        row = await db.fetchval(
            "INSERT INTO heard (subject) VALUES ($1) RETURNING n", call.body.name
        )
    await database.execute("INSERT INTO heard (text) VALUES ('and')")
    call.runtime.sold.append(NEWS.is_set())
    return Reply({"n": row, "list": [1.5, None]}, headers={"ETag": f'"{row}"'})


async def write_many(call: Call) -> list[Any]:
    await call.runtime.db.execute("INSERT INTO heard (text) VALUES ('many')")
    return [order.name for order in call.body]


async def contend(call: Call) -> dict[str, Any]:
    """Fails twice as it does when others are faster, each time after it has written something."""
    database: Database = call.runtime.db
    for _ in range(2):
        try:
            async with database.transaction() as db:
                await db.execute("INSERT INTO heard (text) VALUES ('never')")
                await db.execute(CONTENDED)
        except CONTENTION:
            pass
    with pytest.raises(CONTENTION):
        await database.fetchval(CONTENDED)
    await database.execute("INSERT INTO heard (text) VALUES ('at last')")
    return {}


async def refuse(call: Call) -> dict[str, Any]:
    await call.runtime.db.execute("INSERT INTO heard (text) VALUES ('never')")
    if call.runtime.sold:
        return {}
    call.runtime.sold.append("asked once")
    raise Conflict


async def answer_no(call: Call) -> Reply:
    await call.runtime.db.execute("INSERT INTO heard (text) VALUES ('never')")
    return Reply({"no": True}, status=400)


async def wait(call: Call) -> dict[str, Any]:
    await call.runtime.db.execute("INSERT INTO heard (text) VALUES ('waited')")
    await asyncio.sleep(0.3)
    return {}


async def forget_body(call: Call) -> dict[str, Any]:
    await call.runtime.db.execute("INSERT INTO heard (text) VALUES ('gone')")
    return {"id": call.path["orderId"]}


async def fetch(call: Call) -> dict[str, Any]:
    call.runtime.sold.append(call.runtime.db)
    return {}


ROUTES = (
    Route("POST", "/orders", write, WRITE, body=Order, query=Anyhow, status=201),
    Route("PUT", "/orders", write, WRITE, body=Order),
    Route("POST", "/orders/many", write_many, WRITE, body=list[Order]),
    Route("POST", "/contended", contend, WRITE),
    Route("POST", "/refused", refuse, WRITE),
    Route("POST", "/no", answer_no, WRITE),
    Route("POST", "/waiting", wait, WRITE),
    Route("DELETE", "/orders/{orderId}", forget_body, WRITE),
    Route("GET", "/orders", fetch, READ),
    Route("POST", "/unkeyed", fetch, WRITE, keyed=False),
    Route("POST", "/public", fetch, None),
)


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with opened(routes=ROUTES, db=database) as found:
        yield found


@pytest.fixture(autouse=True)
def _nothing_armed() -> Iterator[None]:
    NEWS.clear()
    yield
    failpoints.disarm()


@asynccontextmanager
async def asking(shop: Shop, **key: Any) -> AsyncIterator[Client]:
    async with Client(f"http://127.0.0.1:{shop.port}", shop.key(**key)) as client:
        yield client


@pytest.fixture
async def ask(shop: Shop) -> AsyncIterator[Client]:
    async with asking(shop) as client:
        yield client


async def twice(ask: Client, *request: Any, key: str | None = None) -> list[Response]:
    said = {idempotency.HEADER: key or new_id()}
    return [await ask(*request, headers=said) for _ in range(2)]


async def heard(shop: Shop) -> list[tuple[str | None, str | None]]:
    rows = await shop.db.fetch("SELECT subject, text FROM heard ORDER BY n")
    return [(row["subject"], row["text"]) for row in rows]


async def test_the_second_time_is_answered_as_the_first_and_does_nothing(
    shop: Shop, ask: Client
) -> None:
    """Status, headers and body are the same; trace and rate are of the request at hand."""
    first, again = await twice(ask, "POST", "/orders", GOOD)
    assert (first.status, again.status) == (201, 201)
    assert first.content == again.content == {"n": 1, "list": [1.5, None]}
    assert first.headers["ETag"] == again.headers["ETag"] == '"1"'
    assert again.headers[idempotency.REPLAYED] == "true"
    assert idempotency.REPLAYED not in first.headers
    assert again.body["traceId"] == again.headers["X-Trace-Id"] != first.body["traceId"]
    assert "X-RateLimit-Max" in again.headers
    assert await heard(shop) == [("Lamp", None), (None, "and")]


async def test_an_answer_that_is_an_array_stays_one(shop: Shop, ask: Client) -> None:
    first, again = await twice(ask, "POST", "/orders/many", [GOOD, GOOD])
    assert first.body == again.body == ["Lamp", "Lamp"]
    assert await heard(shop) == [(None, "many")]


async def test_without_a_key_it_is_done_again(shop: Shop, ask: Client) -> None:
    answers = [await ask("POST", "/orders", GOOD) for _ in range(2)]
    assert [answer.body["n"] for answer in answers] == [1, 3]
    assert await shop.db.fetchval("SELECT count(*) FROM idempotent_response") == 0


@pytest.mark.parametrize(
    "other",
    [
        ("POST", "/orders", {"name": "Sofa"}),
        ("POST", "/orders", {"name": "Lamp", "count": 0}),
        ("PUT", "/orders", GOOD),
        ("POST", "/orders?how=fast", GOOD),
        ("POST", "/orders/many", [GOOD]),
    ],
    ids=str,
)
async def test_a_key_is_for_one_request(shop: Shop, ask: Client, other: Any) -> None:
    """Another body, another query, another operation: 409, and nothing is done."""
    said = {idempotency.HEADER: "mine"}
    assert (await ask("POST", "/orders", GOOD, headers=said)).status == 201
    answer = await ask(*other, headers=said)
    assert (answer.status, answer.body["code"]) == (409, "idempotency_mismatch")
    assert len(await heard(shop)) == 2


async def test_the_same_request_may_be_spelled_otherwise(shop: Shop, ask: Client) -> None:
    """The order of the members and the slash at the end make no other request."""
    said = {idempotency.HEADER: "mine"}
    await ask("POST", "/orders", {"name": "Lamp", "count": 1}, headers=said)
    answer = await ask("POST", "/orders/", {"count": 1, "name": "Lamp"}, headers=said)
    assert answer.headers[idempotency.REPLAYED] == "true"


async def test_a_body_that_nobody_reads_makes_no_difference(shop: Shop, ask: Client) -> None:
    """Clients send `{}` or nothing with a DELETE; another path is another request all the same."""
    said = {idempotency.HEADER: "mine"}
    await ask("DELETE", "/orders/a", headers=said)
    again = await ask("DELETE", "/orders/a", {}, headers=said)
    assert (again.content, again.headers[idempotency.REPLAYED]) == ({"id": "a"}, "true")
    assert (await ask("DELETE", "/orders/b", headers=said)).status == 409


async def test_accounts_have_keys_of_their_own(shop: Shop, ask: Client) -> None:
    async with asking(shop) as other:
        for client in (ask, other):
            answer = await client("POST", "/orders", GOOD, headers={idempotency.HEADER: "mine"})
            assert idempotency.REPLAYED not in answer.headers
    assert len(await heard(shop)) == 4


@pytest.mark.parametrize("key", ["", "x" * 256, "\u2603", "caf\u00e9"])
async def test_what_is_no_key_is_400(shop: Shop, ask: Client, key: str) -> None:
    answer = await ask("POST", "/orders", GOOD, headers={idempotency.HEADER: key})
    assert (answer.status, answer.body["code"]) == (400, "malformed")
    assert await heard(shop) == []


@pytest.mark.parametrize("key", ["x", "x" * 255, " ~!a b", "'; DROP TABLE idempotent_response"])
async def test_whatever_can_be_read_is_a_key(ask: Client, key: str) -> None:
    _, again = await twice(ask, "POST", "/orders", GOOD, key=key)
    assert again.headers[idempotency.REPLAYED] == "true"


async def test_what_was_refused_has_not_used_the_key(shop: Shop, ask: Client) -> None:
    """The first time 409, and nothing of what it wrote is there; the second time it is done."""
    first, second = await twice(ask, "POST", "/refused")
    assert (first.status, second.status) == (409, 200)
    assert idempotency.REPLAYED not in second.headers
    assert await heard(shop) == [(None, "never")]


async def test_a_no_that_is_no_exception_is_a_no(shop: Shop, ask: Client) -> None:
    answers = await twice(ask, "POST", "/no")
    assert [answer.content for answer in answers] == [{"no": True}] * 2
    assert await heard(shop) == []
    assert await shop.db.fetchval("SELECT count(*) FROM idempotent_response") == 0


async def test_while_a_request_is_in_flight_others_get_409(shop: Shop, ask: Client) -> None:
    """Of twenty at once one does it; the others are told to come again, or what it was told."""
    said = {idempotency.HEADER: "mine"}
    answers = await asyncio.gather(*(ask("POST", "/waiting", headers=said) for _ in range(20)))
    fates = Counter(answer.status for answer in answers)
    assert fates[200] >= 1
    assert fates == {200: fates[200], 409: 20 - fates[200]}
    for answer in answers:
        if answer.status == 409:
            assert answer.body["code"] == "idempotency_in_flight"
            assert answer.headers["Retry-After"] == "1"
    assert (await ask("POST", "/waiting", headers=said)).headers[idempotency.REPLAYED] == "true"
    assert await heard(shop) == [(None, "waited")]


async def test_whoever_tries_again_inside_loses_only_that_try(shop: Shop, ask: Client) -> None:
    """A statement that fails does not spoil the others of the transaction that all are part of."""
    answers = await twice(ask, "POST", "/contended")
    assert [answer.status for answer in answers] == [200, 200]
    assert await heard(shop) == [(None, "at last")]


async def test_who_waits_for_news_is_woken_after_the_commit(shop: Shop, ask: Client) -> None:
    """Not before: there would be nothing to see; and not by an answer that is given again."""
    shop.db.subscribe(NEWS)
    await ask("POST", "/orders", GOOD, headers={idempotency.HEADER: "mine"})
    assert shop.sold == [False]
    assert NEWS.is_set()
    NEWS.clear()
    await ask("POST", "/orders", GOOD, headers={idempotency.HEADER: "mine"})
    assert not NEWS.is_set()


async def test_before_the_commit_nothing_is_true(shop: Shop, ask: Client) -> None:
    """It fails at the last moment: neither the effect nor the answer is there, and the key is free."""
    failpoints.arm("response_stored=raise")
    first, second = await twice(ask, "POST", "/orders", GOOD)
    assert (first.status, second.status) == (500, 201)
    assert await heard(shop) == [("Lamp", None), (None, "and")]


async def test_after_the_commit_everything_is(shop: Shop, ask: Client) -> None:
    """The first answer is lost on its way; asked again, the same is answered."""
    failpoints.arm("response_committed=raise")
    first, second = await twice(ask, "POST", "/orders", GOOD)
    assert (first.status, second.status) == (500, 201)
    assert second.headers[idempotency.REPLAYED] == "true"
    assert await heard(shop) == [("Lamp", None), (None, "and")]


async def test_a_connection_that_is_cut_loses_all_of_it(shop: Shop, ask: Client) -> None:
    """503, and asked again it is done."""
    asked = asyncio.ensure_future(ask("POST", "/waiting", headers={idempotency.HEADER: "mine"}))  # noqa: TID251 -- awaited below
    cut = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND state = 'idle in transaction'"
    )
    await eventually(lambda: shop.db.fetchval(cut))
    answer = await asked
    assert (answer.status, answer.body["code"]) == (503, "unavailable")
    assert await heard(shop) == []
    assert (await ask("POST", "/waiting", headers={idempotency.HEADER: "mine"})).status == 200


async def test_where_it_is_not_honoured_it_is_not_looked_at(shop: Shop, ask: Client) -> None:
    """Reading, public operations, and those that must not be in a transaction."""
    for method, path in (("GET", "/orders"), ("POST", "/unkeyed"), ("POST", "/public")):
        assert (await ask(method, path, headers={idempotency.HEADER: "\u2603"})).status == 200
    assert shop.sold == [shop.db] * 3


async def test_a_key_with_fewer_locations_gets_no_response_of_another(shop: Shop) -> None:
    """Two API keys of one account, one of them confined to a location."""
    said = {idempotency.HEADER: "mine"}
    account = new_id()
    wide, narrow = (shop.key(account_id=account, location_ids=at) for at in ((), (new_id(),)))
    base = f"http://127.0.0.1:{shop.port}"
    async with Client(base, wide) as ask, Client(base, narrow) as other:
        assert (await ask("POST", "/orders", GOOD, headers=said)).status == 201
        assert (await other("POST", "/orders", GOOD, headers=said)).status == 409


async def test_a_day_later_the_key_is_free(shop: Shop, ask: Client) -> None:
    await ask("POST", "/orders", GOOD, headers={idempotency.HEADER: "mine"})
    [expires] = [
        row[0] for row in await shop.db.fetch("SELECT expires_at FROM idempotent_response")
    ]
    assert expires == NOON + timedelta(hours=24)
    await shop.db.execute("UPDATE idempotent_response SET expires_at = $1", NOON)
    answer = await ask("POST", "/orders", {"name": "Sofa"}, headers={idempotency.HEADER: "mine"})
    assert answer.status == 201
    assert idempotency.REPLAYED not in answer.headers


async def test_what_is_old_is_forgotten_batch_by_batch(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is a day old, and nothing that is younger."""
    monkeypatch.setattr(idempotency, "BATCH", 10)
    await database.execute(
        """
        INSERT INTO idempotent_response
        SELECT gen_random_uuid(), n, '', 200, '{}', '', $1::timestamptz + (n - 25) * interval '1 s'
          FROM generate_series(1, 30) AS n
        """,
        NOON,
    )
    await idempotency.delete_expired(database, now=NOON)
    left = await database.fetch("SELECT key FROM idempotent_response ORDER BY key::int")
    assert [row["key"] for row in left] == ["26", "27", "28", "29", "30"]


async def test_there_is_no_pool_behind_it(database: Database) -> None:
    """Whoever reaches for a connection of his own finds none."""
    async with database.transaction() as db:
        pinned = idempotency.SavepointTx(db)
        with pytest.raises(AttributeError):
            _ = pinned.pool
        with pytest.raises(asyncpg.UndefinedTableError):
            await pinned.fetch("SELECT * FROM nowhere")
        row = await pinned.fetchrow("SELECT 1 AS one")
        assert row is not None
        assert row["one"] == 1
