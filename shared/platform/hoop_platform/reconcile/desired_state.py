"""Desired states: how an external object should be, stored until the provider agrees."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hoop_platform.db.database import Tx
from hoop_platform.telemetry import traceparent


@dataclass(frozen=True)
class DesiredState:
    """How the external object of one subject should be. A newer `sequence` replaces an older one.

    `provider` and `provider_user` name the user of the provider whose rate limits the calls count
    against.
    """

    account_id: str
    kind: str
    subject: str
    provider: str
    provider_user: str
    due_start: datetime
    desired: dict[str, Any]
    sequence: int


@dataclass(frozen=True)
class Claimed:
    """A desired state that this worker alone may work on until `lease_until`."""

    desired_state: DesiredState
    attempts: int
    lease_token: str
    lease_until: datetime
    traceparent: str | None = None


@dataclass(frozen=True)
class Done:
    """The provider agrees. `record` stores the observed state in the transaction that completes it."""

    record: Callable[[Tx], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Later:
    """Not now. `at` is the provider's own word, else the waits grow.

    `opens_circuit`: nothing else of this user of the provider is tried until then.
    """

    reason: str
    at: datetime | None = None
    opens_circuit: bool = False
    record: Callable[[Tx], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Failed:
    """It will never work like this; a newer desired state may. `record` stores and announces it."""

    reason: str
    record: Callable[[Tx], Awaitable[None]] | None = None


Outcome = Done | Later | Failed


async def desire(db: Tx, state: DesiredState) -> bool:
    """Store a desired state in the transaction of the event that caused it; False when it is old."""
    row = await db.fetchrow(
        """
        INSERT INTO work AS w (account_id, kind, subject, provider, provider_user, due_start, desired,
                               desired_sequence, traceparent)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (kind, subject) DO UPDATE
           SET provider = excluded.provider, provider_user = excluded.provider_user,
               due_start = excluded.due_start, desired = excluded.desired,
               desired_sequence = excluded.desired_sequence, traceparent = excluded.traceparent,
               status = 'due', attempts = 0, next_attempt_at = clock_timestamp()
         WHERE w.desired_sequence < excluded.desired_sequence AND w.account_id = excluded.account_id
        RETURNING true
        """,
        state.account_id,
        state.kind,
        state.subject,
        state.provider,
        state.provider_user,
        state.due_start,
        state.desired,
        state.sequence,
        traceparent(),
    )
    return row is not None


async def close_circuit(db: Tx, provider: str, provider_user: str) -> None:
    """Let everything of this user of the provider be tried at once: it was reconnected."""
    await db.execute(
        "DELETE FROM circuit WHERE provider = $1 AND provider_user = $2", provider, provider_user
    )
    await db.execute(
        """
        UPDATE work SET next_attempt_at = clock_timestamp(), status = 'due', attempts = 0
         WHERE provider = $1 AND provider_user = $2 AND status <> 'done'
        """,
        provider,
        provider_user,
    )
