"""The tables of the reconciler: desired states are stored, leased, and completed. One statement each."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Protocol

from hoop_platform.db.database import Database, LeaseLost, Row, Tx, at_end, database_of
from hoop_platform.ids import hexed, new_id
from hoop_platform.outbox import announce
from hoop_platform.reconcile.desired_state import Claimed, DesiredState
from hoop_platform.reconcile.observed_state import ExternalObject, ObservedState
from hoop_platform.reconcile.outcome import Announcement, Done, Later, Outcome
from hoop_platform.telemetry import traceparent

LEASE = timedelta(seconds=20)
"""Renewed three times as often while the work goes on; so long a claim outlives its worker."""
LONGEST_WAIT = timedelta(minutes=15)
WINDOW = 500
"""The most rows that one look for work reads."""


class LocalWorker(Protocol):
    """A worker of this process, which may lease a desired state in the statement that stores it."""

    kinds: Collection[str]

    def reserve(self, wanted: int) -> int:
        """Reserve up to so many places; how many it has."""

    def hand_over(self, claimed: Sequence[Claimed], *, reserved: int, left_behind: bool) -> None:
        """A transaction was committed: begin with what it leased, release the places reserved for it.

        `left_behind`: it stored desired states that it did not lease.
        """


async def desire(db: Tx, *states: DesiredState) -> list[bool]:
    """Store desired states in the transaction of the event that caused them; False for an old one.

    A worker of this process that has free places leases them in the same statement, and begins when
    the transaction is committed.
    """
    if not states:
        return []
    begun = asyncio.get_running_loop().time()
    worker = _local_worker(db, states[0].kind)
    places = worker.reserve(len(states)) if worker else 0
    rows = await db.fetch(
        "SELECT * FROM desire($1, $2, $3, $4)",
        [_stored(state) for state in states],
        new_id() if places else None,
        LEASE,
        places,
    )
    if worker is not None:
        claimed = [
            _claimed(state, row, begun=begun)
            for state, row in zip(states, rows, strict=True)
            if row["leased"]
        ]
        left = len(claimed) < sum(row["changed"] for row in rows)
        at_end(db, partial(_hand_over, worker, claimed, places, left))
    return [row["changed"] for row in rows]


def _local_worker(db: Tx, kind: str) -> LocalWorker | None:
    workers: Sequence[LocalWorker] = database_of(db).workers
    return next((worker for worker in workers if kind in worker.kinds), None)


def _hand_over(
    worker: LocalWorker, claimed: Sequence[Claimed], places: int, left: bool, committed: bool
) -> None:
    worker.hand_over(claimed if committed else (), reserved=places, left_behind=left and committed)


def _stored(state: DesiredState) -> dict[str, Any]:
    delay = state.delay_if_live
    return {
        "account_id": hexed(state.account_id),
        "kind": state.kind,
        "subject": state.subject,
        "provider": state.provider,
        "provider_user": state.provider_user,
        "connection_id": hexed(state.connection_id) if state.connection_id else None,
        "due_start": state.due_start,
        "delay_if_live": f"{delay.total_seconds()} seconds" if delay else None,
        "desired": state.desired,
        "sequence": state.sequence,
        "traceparent": traceparent(),
    }


async def requeue(db: Tx, account_id: str, kind: str, subject: str) -> None:
    """Make a desired state due again, unchanged: what is known of its objects has changed."""
    await db.execute(
        """
        UPDATE work SET status = 'due', revision = revision + 1, next_attempt_at = clock_timestamp()
         WHERE account_id = $1 AND kind = $2 AND subject = $3
        """,
        account_id,
        kind,
        subject,
    )


async def close_circuit(db: Tx, provider: str, provider_user: str) -> None:
    """Let everything of this user of the provider be tried at once: it was reconnected."""
    await db.execute(
        "DELETE FROM circuit WHERE provider = $1 AND provider_user = $2", provider, provider_user
    )
    await db.execute(
        """
        UPDATE work SET next_attempt_at = clock_timestamp(), status = 'due', attempts = 0
         WHERE provider = $1 AND provider_user = $2 AND status IN ('waiting', 'failed')
        """,
        provider,
        provider_user,
    )
    if worker := next(iter(database_of(db).workers), None):
        at_end(db, partial(_hand_over, worker, (), 0, True))


async def abandon_objects(db: Tx, account_id: str, connection_id: str) -> None:
    """Abandon all objects of an ended connection: they stay at the provider, never called again."""
    await db.execute(
        """
        UPDATE external SET state = 'abandoned'
         WHERE account_id = $1 AND connection_id = $2 AND state IN ('intended', 'live', 'to_delete')
        """,
        account_id,
        connection_id,
    )


async def get_observed(
    db: Database | Tx, account_id: str, kind: str, subject: str
) -> ObservedState | None:
    """The observed state of one subject; None when nothing was ever desired for it."""
    context = await db.fetchval(
        """
        SELECT attempt_context(w) FROM work AS w
         WHERE account_id = $1 AND kind = $2 AND subject = $3
        """,
        account_id,
        kind,
        subject,
    )
    return ObservedState.of_context(account_id, context) if context else None


@dataclass(frozen=True)
class Look:
    """What a look for work has found. `next_at`: seconds until something else may be due, if known."""

    claimed: Sequence[Claimed]
    position: "Position"
    next_in: float | None


@dataclass(frozen=True)
class Position:
    """Where the next look begins: no desired state before `since` is due (None: not known); the next
    user of a provider in turn.
    """

    since: datetime | None = None
    provider: str = ""
    provider_user: str = ""


async def claim_due(
    database: Database, kinds: Collection[str], most: int, position: Position
) -> Look:
    """Lease up to `most` desired states that are due, soonest first, one for each provider user."""
    begun = asyncio.get_running_loop().time()
    *rows, last = await database.fetch(
        """
        SELECT (claimed).*, context, soonest, next_provider, next_provider_user,
               extract(epoch FROM next_at - clock_timestamp())::float8 AS next_in
          FROM claim_due($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        sorted(kinds),
        most,
        WINDOW,
        new_id(),
        LEASE,
        position.since,
        position.provider,
        position.provider_user,
    )
    return Look(
        [_claimed(_desired_state(row), row, begun=begun) for row in rows],
        Position(last["soonest"], last["next_provider"], last["next_provider_user"]),
        last["next_in"],
    )


async def renew(database: Database, claimed: Claimed) -> bool:
    """Renew the lease; False when it is lost."""
    state = claimed.desired_state
    renewed = await database.fetchval(
        "SELECT renew_lease($1, $2, $3, $4)", state.kind, state.subject, claimed.lease_token, LEASE
    )
    return bool(renewed)


async def begin_call(
    database: Database,
    claimed: Claimed,
    intent: ExternalObject | None,
    *,
    connection_id: str | None,
    day: date,
    allowance: int | None,
) -> str:
    """`allowed`, `lease_lost`, `not_connected` or `quota`; see the SQL function of this name.

    `intent`: the object in the state `intended` or `to_delete`; None for a call that needs none.
    """
    state = claimed.desired_state
    allowed: str = await database.fetchval(
        "SELECT begin_call($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        state.account_id,
        state.kind,
        state.subject,
        claimed.lease_token,
        claimed.revision,
        connection_id,
        intent.generation if intent else None,
        intent.state if intent else None,
        intent.external_id if intent else None,
        dict(intent.data) if intent else {},
        state.provider,
        state.provider_user,
        day,
        allowance,
    )
    return allowed


async def exhaust_quota(database: Database, state: DesiredState, *, day: date) -> None:
    """Store that the provider says its user's quota is used up, by other apps as well as by us."""
    await database.execute(
        """
        INSERT INTO provider_quota (account_id, provider, provider_user, day, exhausted)
        VALUES ($1, $2, $3, $4, true)
        ON CONFLICT (provider, provider_user, day, account_id) DO UPDATE SET exhausted = true
        """,
        state.account_id,
        state.provider,
        state.provider_user,
        day,
    )


async def record_objects(
    database: Database, claimed: Claimed, objects: Sequence[ExternalObject]
) -> bool:
    """Store what is known of external objects. False when they are not stored as given.

    Raises `LeaseLost`; also then they are stored.
    """
    row = await _finish(database, claimed, objects=objects, status=None)
    if row["result"] == "lease_lost":
        raise LeaseLost
    return bool(row["result"] == "stored")


async def finish(
    db: Database | Tx, claimed: Claimed, outcome: Outcome, *, chain: bool, since: datetime | None
) -> Claimed | None:
    """Store an outcome, release the lease; with `chain`, lease the user's next desired state.

    `since`: none before this `due_start`. Raises `LeaseLost`, and `ObjectsDiffer` when the objects
    could not be stored as given, hence nothing else was stored; the facts are stored in both cases.
    """
    begun = asyncio.get_running_loop().time()
    row = await _finish(
        db,
        claimed,
        objects=outcome.objects,
        status=outcome.status,
        reason=None if isinstance(outcome, Done) else getattr(outcome, "reason", None),
        wait=wait_of(claimed, outcome),
        opens_circuit=isinstance(outcome, Later) and outcome.opens_circuit,
        announcement=outcome.announcement,
        next_token=new_id() if chain else None,
        since=since,
    )
    match row["result"]:
        case "lease_lost":
            raise LeaseLost
        case "differs":
            raise ObjectsDiffer
    if row["kind"] is None:
        return None
    return _claimed(_desired_state(row), row, begun=begun)


class ObjectsDiffer(Exception):
    """The recorded objects are in other states than expected: the attempt has to observe them again."""


def wait_of(claimed: Claimed, outcome: Outcome) -> timedelta:
    """Until the next attempt: the provider's own word, else growing waits from 0.5 s to 15 min."""
    if isinstance(outcome, Done):
        return outcome.again_in or timedelta()
    if not isinstance(outcome, Later):
        return timedelta()
    if outcome.wait is not None:
        return outcome.wait
    return min(timedelta(seconds=0.25 * 2 ** min(claimed.attempts, 20)), LONGEST_WAIT)


async def _finish(
    db: Database | Tx,
    claimed: Claimed,
    *,
    objects: Sequence[ExternalObject],
    status: str | None,
    reason: str | None = None,
    wait: timedelta = timedelta(),
    opens_circuit: bool = False,
    announcement: Announcement | None = None,
    next_token: str | None = None,
    since: datetime | None = None,
) -> Row:
    state = claimed.desired_state
    event, body = _outbox_row(announcement)
    row = await db.fetchrow(
        """
        SELECT result, (claimed).*, context
          FROM finish_attempt($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        """,
        state.account_id,
        state.kind,
        state.subject,
        claimed.lease_token,
        claimed.revision,
        [_stored_object(each) for each in objects],
        status,
        reason,
        wait,
        opens_circuit,
        dict(announcement.status) if announcement else None,
        event,
        body,
        next_token,
        LEASE,
        since,
    )
    assert row is not None
    return row


def _outbox_row(announcement: Announcement | None) -> tuple[dict[str, Any] | None, bytes | None]:
    """The outbox row of an announcement as JSON, and its body."""
    if announcement is None:
        return None, None
    row = announce.row(announcement.event, now=announcement.now)
    ids = {name: hexed(row[name]) for name in ("event_id", "account_id")}
    return {**{n: v for n, v in row.items() if n != "body"}, **ids}, row["body"]


def _stored_object(external: ExternalObject) -> dict[str, Any]:
    return {
        "generation": external.generation,
        "state": external.state,
        "external_id": external.external_id,
        "content": external.content,
        "data": external.data,
        "looked_up": external.looked_up,
    }


def _desired_state(row: Row) -> DesiredState:
    return DesiredState(
        account_id=row["account_id"],
        kind=row["kind"],
        subject=row["subject"],
        provider=row["provider"],
        provider_user=row["provider_user"],
        due_start=row["due_start"],
        desired=row["desired"],
        sequence=row["desired_sequence"],
        connection_id=row["connection_id"],
    )


def _claimed(state: DesiredState, row: Row, *, begun: float) -> Claimed:
    return Claimed(
        desired_state=state,
        observed=ObservedState.of_context(state.account_id, row["context"]),
        revision=row["revision"],
        attempts=row["attempts"],
        lease_token=row["lease_token"],
        begun=begun,
        announced=row["announced"],
        announced_sequence=row["announced_sequence"],
        traceparent=row["traceparent"] if "traceparent" in row else traceparent(),
    )
