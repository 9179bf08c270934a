"""`Idempotency-Key`: a repeated request gets the stored response, and its effect happens once.

The whole handler runs in one transaction, in which its response is stored as well, so there is no
effect without its response. docs/decisions/0010-idempotency.md has the reasons.
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
LIFETIME = timedelta(hours=24)
BATCH = 1000

_KEY = re.compile(r"[\x20-\x7e]{1,255}", re.ASCII)
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))"
_FIND = """
    SELECT digest, status, headers, body FROM idempotent_response
     WHERE account_id = $1 AND key = $2 AND expires_at > $3
"""
_INSERT = """
    INSERT INTO idempotent_response (account_id, key, digest, status, headers, body, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (account_id, key) DO UPDATE
       SET digest = excluded.digest, status = excluded.status, headers = excluded.headers,
           body = excluded.body, expires_at = excluded.expires_at
"""
_DELETE = """
    WITH old AS (
        SELECT account_id, key FROM idempotent_response WHERE expires_at <= $1
         ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    DELETE FROM idempotent_response AS a USING old WHERE (a.account_id, a.key) = (old.account_id, old.key)
"""


class _RolledBack(Exception):
    """The handler returned an error status: its transaction is rolled back."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def idempotency_key(request: web.Request, route: Route) -> str | None:
    """The request's key, if the operation takes one; raises `Malformed` (400) for an invalid one."""
    said = request.headers.getall(HEADER, [])
    if not said or not route.takes_key:
        return None
    if len(said) > 1 or not _KEY.fullmatch(said[0]):
        raise Malformed(f"The header `{HEADER}` must be 1 to 255 printable ASCII characters.")
    return said[0]


async def respond_once(call: Call[Any, Any], route: Route, request: web.Request, key: str) -> Reply:
    """The handler's response, or the stored one of the same request within 24 hours."""
    database: Database = call.runtime.db
    digest = await _digest(call, route, request)
    try:
        async with database.transaction(notify=False) as db:
            if not await db.fetchval(_LOCK, f"{call.account_id} {key}"):
                raise IdempotencyInFlight(headers={"Retry-After": "1"})
            # A separate statement: its snapshot must not be older than the lock.
            if found := await db.fetchrow(_FIND, call.account_id, key, call.now):
                return _replayed(found, digest)
            savepoint = SavepointTx(db)
            reply = await _handled(
                replace(call, runtime=replace(call.runtime, db=savepoint)), route
            )
            await db.execute(
                _INSERT,
                call.account_id,
                key,
                digest,
                reply.status,
                dict(reply.headers),
                reply.body,
                call.now + LIFETIME,
            )
            await fp("response_stored")
    except _RolledBack as rolled_back:
        return rolled_back.reply
    if savepoint.notified:
        database.notify()
    await fp("response_committed")
    return reply


async def _digest(call: Call[Any, Any], route: Route, request: web.Request) -> bytes:
    """SHA-256 of everything that makes the request; an API key confined to other locations differs."""
    body = orjson.loads(await request.read()) if route.body else None
    parts = [
        route.method,
        route.path,
        dict(call.path),
        sorted(request.query.items()),
        sorted(call.caller.location_ids),
        body,
        request.headers.get("If-Match"),
    ]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).digest()


def _replayed(found: Row, digest: bytes) -> Reply:
    if found["digest"] != digest:
        raise IdempotencyMismatch
    return Reply(found["body"], found["status"], {**found["headers"], REPLAYED: "true"})


async def _handled(call: Call[Any, Any], route: Route) -> Reply:
    reply = serialized(await route.handler(call), route.status)
    if reply.status is None or reply.status >= web.HTTPMultipleChoices.status_code:
        raise _RolledBack(reply)
    return reply


async def delete_expired(database: Database, *, now: datetime) -> None:
    """Delete expired responses, a batch at a time."""
    while await database.execute(_DELETE, now, BATCH) == f"DELETE {BATCH}":
        pass
