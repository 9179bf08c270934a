"""The baseline of a booking over HTTP, as a program: JSON read, one SQL statement, no rules.

The statement writes appointment and event; a constraint of the database keeps two from overlapping.
"""

import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import asyncpg
import orjson
import uvloop
from aiohttp import web

CONNECTIONS = 10
LENGTH = timedelta(minutes=30)
TABLES = """
    CREATE EXTENSION btree_gist;
    CREATE TABLE appointment (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, host text NOT NULL,
        during tstzrange NOT NULL, state bytea NOT NULL,
        EXCLUDE USING gist (host WITH =, during WITH &&)
    );
    CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL
    );
"""
BOOK = """
    WITH booked AS (
        INSERT INTO appointment (host, during, state) VALUES ($1, tstzrange($2, $3), $4)
    )
    INSERT INTO outbox (body) VALUES ($4)
"""
SIZE = 620
"""Bytes of an event, about as many as ours have, envelope included."""
TAKEN = b'{"statusCode":400,"code":"slot_unavailable"}'
POOL = web.AppKey("pool", asyncpg.Pool)


async def _book(request: web.Request) -> web.Response:
    body = orjson.loads(await request.read())
    start = datetime.fromisoformat(body["startTime"])
    try:
        await request.app[POOL].execute(
            BOOK, body["calendarId"], start, start + LENGTH, bytes(SIZE)
        )
    except asyncpg.ExclusionViolationError:
        return web.Response(body=TAKEN, status=400, content_type="application/json")
    return web.Response(body=orjson.dumps(body), content_type="application/json")


async def _ready(_: web.Request) -> web.Response:
    return web.Response(body=b"{}")


def _main(port: int, dsn: str) -> None:
    async def connected(app: web.Application) -> AsyncIterator[None]:
        async with asyncpg.create_pool(
            dsn, min_size=CONNECTIONS, max_size=CONNECTIONS, timeout=10
        ) as pool:
            await pool.execute(TABLES)
            app[POOL] = pool
            yield

    app = web.Application()
    app.cleanup_ctx.append(connected)
    app.router.add_get("/", _ready)
    app.router.add_post("/calendars/events/appointments", _book)
    web.run_app(
        app, host="127.0.0.1", port=port, print=None, access_log=None, loop=uvloop.new_event_loop()
    )


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2])
