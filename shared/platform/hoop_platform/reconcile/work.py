"""Desired states, stored in the transaction of what causes them; a free worker of this process leases them."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol, Self

from hoop_platform.db.database import Row, Tx, at_end, database_of
from hoop_platform.db.values import stored_interval
from hoop_platform.ids import hexed, new_id
from hoop_platform.reconcile.claims import LEASE, claimed_of
from hoop_platform.reconcile.desired_state import Claimed, DesiredState
from hoop_platform.telemetry import traceparent

FORESEEN = timedelta(seconds=8)
"""What waits longer is not looked for when it is stored: the looks of a worker, which come as often as
this anyway, foresee it."""
FIRST_DUE = datetime.min.replace(tzinfo=UTC)
"""Before any `due_start`."""


class LocalWorker(Protocol):
    """A worker of this process, which may lease a desired state in the statement that stores it."""

    kinds: Collection[str]

    def reserve(self, wanted: int) -> int:
        """Reserve capacity for up to so many attempts; for how many it is."""

    def release(self, unused: int) -> None:
        """Give back reserved capacity that was not used."""

    def hand_over(self, claimed: Sequence[Claimed], *, left_behind: datetime | None) -> None:
        """A transaction has ended: begin with what it leased, each in a reserved place.

        `left_behind`: the soonest `due_start` of the desired states that it stored and did not lease.
        """


async def desire(db: Tx, *states: DesiredState) -> list[bool]:
    """Store desired states in the transaction of the event that caused them; False for an old one.

    A worker of this process that has free capacity leases them in the same statement, and begins when
    the transaction is committed.
    """
    if not states:
        return []
    begun = asyncio.get_running_loop().time()
    leasing = _Leasing.reserve(db, states)
    rows = await db.fetch(
        "SELECT * FROM desire($1, $2, $3, $4)",
        [_stored(state) for state in states],
        new_id() if leasing.reserved else None,
        LEASE,
        leasing.reserved,
    )
    stored = list(zip(states, rows, strict=True))
    leasing.hold([claimed_of(state, row, begun=begun) for state, row in stored if row["leased"]])
    leasing.left_behind = min(
        (state.due_start for state, row in stored if _is_left_behind(state, row)), default=None
    )
    return [row["changed"] for row in rows]


def _is_left_behind(state: DesiredState, row: Row) -> bool:
    is_foreseen = state.wait is not None and state.wait >= FORESEEN
    return row["changed"] and not row["leased"] and not is_foreseen


@dataclass
class _Leasing:
    """The places of a local worker that one statement may use; the transaction's end settles them.

    It is told of that end before the statement begins: a statement that fails gives its places back.
    """

    worker: LocalWorker | None
    reserved: int = 0
    claimed: Sequence[Claimed] = ()
    left_behind: datetime | None = None

    @classmethod
    def reserve(cls, db: Tx, states: Sequence[DesiredState]) -> Self:
        """Reserve a place for each state, as far as there are any."""
        worker = _local_worker(db, states[0].kind)
        found = cls(worker, worker.reserve(len(states)) if worker else 0)
        at_end(db, found.settle)
        return found

    def hold(self, claimed: Sequence[Claimed]) -> None:
        """Keep places for these only, for as long as the transaction is open."""
        if self.worker is not None:
            self.worker.release(self.reserved - len(claimed))
        self.claimed, self.reserved = claimed, len(claimed)

    def settle(self, committed: bool) -> None:
        """The transaction has ended: the worker begins, or has its places back."""
        if self.worker is None:
            return
        if not committed:
            self.worker.release(self.reserved)
        elif self.claimed or self.left_behind is not None:
            self.worker.hand_over(self.claimed, left_behind=self.left_behind)


def _local_worker(db: Tx, kind: str) -> LocalWorker | None:
    workers: Sequence[LocalWorker] = database_of(db).workers
    return next((worker for worker in workers if kind in worker.kinds), None)


def _look_soon(worker: LocalWorker, committed: bool) -> None:
    if committed:
        worker.hand_over((), left_behind=FIRST_DUE)


def _stored(state: DesiredState) -> dict[str, Any]:
    return {
        "account_id": hexed(state.account_id),
        "kind": state.kind,
        "subject": state.subject,
        "provider": state.provider,
        "provider_user": state.provider_user,
        "connection_id": hexed(state.connection_id) if state.connection_id else None,
        "due_start": state.due_start,
        "delay_if_live": _interval(state.delay_if_live),
        "wait": _interval(state.wait),
        "desired": state.desired,
        "sequence": state.sequence,
        "traceparent": traceparent(),
    }


def _interval(length: timedelta | None) -> str | None:
    return None if length is None else stored_interval(length)


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
        """
        UPDATE work SET next_attempt_at = clock_timestamp(), status = 'due', attempts = 0
         WHERE provider = $1 AND provider_user = $2 AND status IN ('waiting', 'failed')
        """,
        provider,
        provider_user,
    )
    await db.execute(
        "DELETE FROM circuit WHERE provider = $1 AND provider_user = $2", provider, provider_user
    )
    if worker := next(iter(database_of(db).workers), None):
        at_end(db, partial(_look_soon, worker))


async def abandon_objects(db: Tx, account_id: str, connection_id: str) -> None:
    """Abandon the objects of an ended connection: they stay at the provider, never called again.

    One that was to be deleted stays so: whether it still exists is not known, so none may rely on it.
    """
    await db.execute(
        """
        UPDATE external SET state = 'abandoned'
         WHERE account_id = $1 AND connection_id = $2 AND state IN ('intended', 'live')
        """,
        account_id,
        connection_id,
    )
