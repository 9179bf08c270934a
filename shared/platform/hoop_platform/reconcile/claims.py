"""Claims: desired states that are leased, the calls made under a lease, and its end. One statement each."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from hoop_platform.db.database import Database, LeaseLost, Row, Tx
from hoop_platform.db.values import storable, stored_interval
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


@dataclass(frozen=True)
class Position:
    """Where a look for work begins.

    `since`: no desired state before it is due; None: not known. `provider`, `provider_user`: those
    after this user have their turn when busy users fill the window.
    """

    since: datetime | None = None
    provider: str = ""
    provider_user: str = ""


@dataclass(frozen=True)
class Look:
    """What a look for work has found, and where the next one begins.

    `next_in`: seconds until something else may be due, if that is known. `more`: more waits have ended.
    """

    claimed: Sequence[Claimed]
    position: Position
    next_in: float | None
    more: bool


async def claim_due(
    database: Database, kinds: Collection[str], most: int, position: Position
) -> Look:
    """Lease up to `most` desired states that are due, soonest first, one for each provider user."""
    begun = asyncio.get_running_loop().time()
    *rows, last = await database.fetch(
        """
        SELECT (claimed).*, context, soonest, next_provider, next_provider_user,
               extract(epoch FROM next_at - clock_timestamp())::float8 AS next_in, more
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
        [claimed_of(_desired_state(row), row, begun=begun) for row in rows],
        Position(last["soonest"], last["next_provider"], last["next_provider_user"]),
        last["next_in"],
        last["more"],
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
        "SELECT begin_call($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        state.account_id,
        state.kind,
        state.subject,
        claimed.lease_token,
        claimed.revision,
        connection_id,
        _stored_object(intent) if intent else {},
        state.provider,
        state.provider_user,
        day,
        allowance,
    )
    return allowed


@dataclass
class Finish:
    """How an attempt ends: with an outcome, or, without one, objects are recorded and it goes on.

    `kinds`: the user's next desired state is leased if it is one of these. `since`: none before this
    `due_start`.
    """

    claimed: Claimed
    outcome: Outcome | None
    objects: Sequence[ExternalObject] = ()
    kinds: Collection[str] = ()
    since: datetime | None = None
    stored: tuple[dict[str, Any], bytes | None] = field(init=False)
    """As the SQL function takes it, and the body of its event; made here, within the attempt's trace."""

    def __post_init__(self) -> None:
        self.stored = _stored_finish(self)


class ObjectsDiffer(Exception):
    """The recorded objects are in other states than expected: the attempt has to observe them again."""


class RowLocked(Exception):
    """Another transaction has locked the desired state; nothing was stored."""


class LeftBehind:
    """The attempt is stored; the user's next desired state is due, but could not be leased just now."""


Finished = Claimed | LeftBehind | LeaseLost | ObjectsDiffer | RowLocked | None
"""What came of it: the next claimed desired state, if there is one, or why it was not stored."""


async def finish(
    db: Database | Tx, finishes: Sequence[Finish], *, patient: bool
) -> Sequence[Finished]:
    """Finish attempts in one statement; the facts that they have shown are stored in any case.

    `patient`: wait for rows that other transactions have locked; else these are `RowLocked`.
    """
    begun = asyncio.get_running_loop().time()
    rows = await db.fetch(
        """
        SELECT result, (claimed).*, context FROM finish_attempts($1, $2, $3, $4)
        """,
        [each.stored[0] for each in finishes],
        [each.stored[1] for each in finishes],
        LEASE,
        patient,
    )
    return [_finished(row, begun=begun) for row in rows]


def _finished(row: Row, *, begun: float) -> Finished:
    match row["result"]:
        case "lease_lost":
            return LeaseLost()
        case "differs":
            return ObjectsDiffer()
        case "locked":
            return RowLocked()
        case "left_behind":
            return LeftBehind()
    return claimed_of(_desired_state(row), row, begun=begun) if row["kind"] else None


async def record_objects(
    database: Database, claimed: Claimed, objects: Sequence[ExternalObject]
) -> bool:
    """Store what is known of external objects. False when they are not stored as given.

    Raises `LeaseLost`; also then they are stored.
    """
    [finished] = await finish(database, [Finish(claimed, None, objects)], patient=True)
    if isinstance(finished, LeaseLost):
        raise finished
    return not isinstance(finished, ObjectsDiffer)


def wait_of(claimed: Claimed, outcome: Outcome) -> timedelta:
    """Until the next attempt: the provider's own word, else growing waits from 0.5 s to 15 min."""
    if isinstance(outcome, Done):
        return outcome.again_in or timedelta()
    if not isinstance(outcome, Later):
        return timedelta()
    if outcome.wait is not None:
        return outcome.wait
    return min(timedelta(seconds=0.25 * 2 ** min(claimed.attempts, 20)), LONGEST_WAIT)


def _stored_finish(finish: Finish) -> tuple[dict[str, Any], bytes | None]:
    """An attempt as the SQL function takes it, and the body of its event."""
    claimed, outcome = finish.claimed, finish.outcome
    state, announcement = claimed.desired_state, outcome.announcement if outcome else None
    event, body = _outbox_row(announcement)
    reason = getattr(outcome, "reason", None)
    attempt = {
        "account_id": hexed(state.account_id),
        "kind": state.kind,
        "subject": state.subject,
        "token": hexed(claimed.lease_token),
        "revision": claimed.revision,
        "objects": [_stored_object(each) for each in (outcome or finish).objects],
        "status": outcome.status if outcome else None,
        "reason": None if reason is None else storable(reason),
        "wait": stored_interval(wait_of(claimed, outcome)) if outcome else None,
        "opens_circuit": isinstance(outcome, Later) and outcome.opens_circuit,
        "announced": dict(announcement.status) if announcement else None,
        "event": event,
        "next_token": hexed(new_id()) if finish.kinds else None,
        "kinds": list(finish.kinds),
        "since": finish.since,
    }
    return attempt, body


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


def claimed_of(state: DesiredState, row: Row, *, begun: float) -> Claimed:
    """From a row of the SQL functions; `begun`: the event loop's time before the statement."""
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
