"""Wishes: how the world outside should be about one subject, written down until it is so."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.db import Connection
from shared.telemetry import traceparent


@dataclass(frozen=True)
class Wish:
    """What we want of a provider about one subject. A newer `sequence` replaces an older wish.

    `provider` and `principal` name whose patience is spent: the provider's user.
    """

    account_id: str
    kind: str
    subject: str
    provider: str
    principal: str
    due_start: datetime
    desired: dict[str, Any]
    sequence: int


@dataclass(frozen=True)
class Claimed:
    """A wish that is ours alone until `lease_until`."""

    wish: Wish
    attempts: int
    lease_token: str
    lease_until: datetime
    traceparent: str | None = None


@dataclass(frozen=True)
class Done:
    """The world is as wished. `record` writes down what it is now, with the wish's completion."""

    record: Callable[[Connection], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Later:
    """Not now. `at` by the provider's own word, else by growing waits.

    `gate` closes the principal's gate until then: nothing else of it is tried meanwhile.
    """

    reason: str
    at: datetime | None = None
    gate: bool = False
    record: Callable[[Connection], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Failed:
    """It will never work like this; a newer wish may. Said aloud through `record`."""

    reason: str
    record: Callable[[Connection], Awaitable[None]] | None = None


Outcome = Done | Later | Failed


async def want(db: Connection, wish: Wish) -> bool:
    """Write a wish down, in the transaction of the event that caused it; False when it is old."""
    row = await db.fetchrow(
        """
        INSERT INTO work AS w (account_id, kind, subject, provider, principal, due_start, desired,
                               desired_sequence, traceparent)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (kind, subject) DO UPDATE
           SET provider = excluded.provider, principal = excluded.principal,
               due_start = excluded.due_start, desired = excluded.desired,
               desired_sequence = excluded.desired_sequence, traceparent = excluded.traceparent,
               status = 'due', attempts = 0, next_attempt_at = clock_timestamp()
         WHERE w.desired_sequence < excluded.desired_sequence AND w.account_id = excluded.account_id
        RETURNING true
        """,
        wish.account_id,
        wish.kind,
        wish.subject,
        wish.provider,
        wish.principal,
        wish.due_start,
        wish.desired,
        wish.sequence,
        traceparent(),
    )
    return row is not None


async def open_gate(db: Connection, provider: str, principal: str) -> None:
    """Let this principal's wishes be tried at once: it was reconnected."""
    await db.execute("DELETE FROM gate WHERE provider = $1 AND principal = $2", provider, principal)
    await db.execute(
        """
        UPDATE work SET next_attempt_at = clock_timestamp(), status = 'due', attempts = 0
         WHERE provider = $1 AND principal = $2 AND status <> 'done'
        """,
        provider,
        principal,
    )
