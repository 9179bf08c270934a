"""The outcome of an attempt to write into Google that ended with an error."""

from datetime import timedelta

from hoop_platform.db.database import Tx
from hoop_platform.providers.errors import (
    NotConnected,
    ProviderDown,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    RequestRejected,
)
from hoop_platform.reconcile.desired_state import Claimed, Failed, Later, Outcome
from hoop_platform.runtime import Runtime
from sync_google.config import Settings
from sync_google.handlers.appointments import announce_push_failed
from sync_google.store import external_objects

PARKED = timedelta(hours=1)
PushError = ProviderError | NotConnected | ProviderDown


async def outcome_of(runtime: Runtime[Settings], claimed: Claimed, error: PushError) -> Outcome:
    """`Failed` if Google will never accept the request, else `Later`."""
    if isinstance(error, RequestRejected):
        return _failed(runtime, claimed, str(error))
    wait, at = _wait_of(error), None
    if wait is not None:
        at = await external_objects.get_database_time(runtime.db) + wait
    reason = "not connected" if isinstance(error, NotConnected) else str(error)
    return Later(reason, at=at, opens_circuit=isinstance(error, (RateLimited, QuotaExceeded)))


def _failed(runtime: Runtime[Settings], claimed: Claimed, reason: str) -> Failed:
    desired_state, now = claimed.desired_state, runtime.clock.now()

    async def record(db: Tx) -> None:
        account_id, subject = desired_state.account_id, desired_state.subject
        await announce_push_failed(db, account_id, subject, reason=reason, now=now)

    return Failed(reason, record)


def _wait_of(error: PushError) -> timedelta | None:
    """How long to wait before the next attempt; None: growing waits."""
    match error:
        case NotConnected() | QuotaExceeded():
            return PARKED
        case ProviderDown():
            return error.retry_after
        case _:
            return error.wait
