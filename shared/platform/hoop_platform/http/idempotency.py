"""`Idempotency-Key`: a request that is sent again is answered again, and what it asks is done once.

The whole handler runs in one transaction, in which its answer is kept as well: there is no moment
at which the one is true without the other. docs/decisions/0010-idempotency.md has the reasons.
"""

import hashlib
import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from aiohttp import web

from hoop_platform.db.database import Database, Row
from hoop_platform.db.savepoint import SavepointTx
from hoop_platform.errors import IdempotencyInFlight, IdempotencyMismatch, Malformed
from hoop_platform.failpoints import fp
from hoop_platform.http.responses import serialized
from hoop_platform.http.route import Call, Reply, Route

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replay"
KEPT = timedelta(hours=24)
BATCH = 1000

_KEY = re.compile(r"[\x20-\x7e]{1,255}", re.ASCII)
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))"
_FIND = """
    SELECT digest, status, headers, body FROM idempotent_response
     WHERE account_id = $1 AND key = $2 AND expires_at > $3
"""
_KEEP = """
    INSERT INTO idempotent_response (account_id, key, digest, status, headers, body, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (account_id, key) DO UPDATE
       SET digest = excluded.digest, status = excluded.status, headers = excluded.headers,
           body = excluded.body, expires_at = excluded.expires_at
"""
_FORGET = """
    WITH old AS (
        SELECT account_id, key FROM idempotent_response WHERE expires_at <= $1
         ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    DELETE FROM idempotent_response AS a USING old WHERE (a.account_id, a.key) = (old.account_id, old.key)
"""


class _Undone(Exception):
    """The handler has answered no: nothing of what it did may stay."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def idempotency_key(request: web.Request, route: Route) -> str | None:
    """The request's key, where the operation takes one; 400 for what is none."""
    said = request.headers.getall(HEADER, [])
    if not said or not route.takes_key:
        return None
    if len(said) > 1 or not _KEY.fullmatch(said[0]):
        raise Malformed(f"The header `{HEADER}` must be 1 to 255 printable ASCII characters.")
    return said[0]


async def respond_once(call: Call[Any, Any], route: Route, request: web.Request, key: str) -> Reply:
    """What the handler answers, or has answered to the same request within 24 hours."""
    database: Database = call.runtime.db
    asked = await _digest(call, route, request)
    try:
        async with database.transaction(notify=False) as db:
            if not await db.fetchval(_LOCK, f"{call.account_id} {key}"):
                raise IdempotencyInFlight(headers={"Retry-After": "1"})
            # A statement of its own: its snapshot must not be older than the lock.
            if found := await db.fetchrow(_FIND, call.account_id, key, call.now):
                return _again(found, asked)
            pinned = SavepointTx(db)
            reply = await _done(replace(call, runtime=replace(call.runtime, db=pinned)), route)
            await db.execute(
                _KEEP,
                call.account_id,
                key,
                asked,
                reply.status,
                dict(reply.headers),
                reply.body,
                call.now + KEPT,
            )
            await fp("answer_written")
    except _Undone as undone:
        return undone.reply
    if pinned.has_news:
        database.notify()
    await fp("answer_kept")
    return reply


async def _digest(call: Call[Any, Any], route: Route, request: web.Request) -> bytes:
    """Of all that makes it this request: a key that reaches less must not be told what another was."""
    sent = orjson.loads(await request.read()) if route.body else None
    asked = [
        route.method,
        route.path,
        dict(call.path),
        sorted(request.query.items()),
        sorted(call.caller.location_ids),
        sent,
    ]
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).digest()


def _again(found: Row, asked: bytes) -> Reply:
    if found["digest"] != asked:
        raise IdempotencyMismatch
    return Reply(found["body"], found["status"], {**found["headers"], REPLAYED: "true"})


async def _done(call: Call[Any, Any], route: Route) -> Reply:
    reply = serialized(await route.handler(call), route.status)
    if reply.status is None or reply.status >= web.HTTPMultipleChoices.status_code:
        raise _Undone(reply)
    return reply


async def delete_expired(database: Database, *, now: datetime) -> None:
    """Delete the answers that are older than a day, a batch at a time."""
    while await database.execute(_FORGET, now, BATCH) == f"DELETE {BATCH}":
        pass
