"""Effects: what follows from an event outside of our databases, in its commonest form.

The handler stores `desire_for(event, kind=…)`. The service names in `Service.reconciles` the function
that makes such an effect; it may run again after a crash, with the same identity, until it returns.
"""

import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from hoop_events.base import Event
from hoop_platform.db.database import Database
from hoop_platform.providers.errors import (
    CallPostponed,
    OutcomePending,
    OutcomeUnknown,
    ProviderDown,
    ProviderError,
    QuotaExceeded,
    QuotaExhausted,
    RateLimited,
    Unreachable,
)
from hoop_platform.reconcile.attempt import attempt
from hoop_platform.reconcile.desired_state import Claimed, DesiredState
from hoop_platform.reconcile.outcome import Failed, Later, Outcome
from hoop_platform.reconcile.reconciler import Reconciler
from hoop_platform.reconcile.worker import Perform
from hoop_platform.runtime import Runtime

Effect = Callable[[Runtime[Any], Claimed], Awaitable[Outcome]]
"""Makes a desired state come true, once more if need be; raises a `ProviderError` where it cannot."""

Reconciles = Effect | type[Reconciler[Any]]
"""How the desired states of one kind come true: an effect, or a reconciler of external objects."""

KEPT = timedelta(hours=1)
"""How long a done effect of one event can still be looked at. Its event is not delivered again."""
MOST_DELETED = 5000
"""Of them, in one statement."""


def desire_for(
    event: Event, *, kind: str, now: datetime, newest_only: bool = False
) -> DesiredState:
    """The desired state that an event causes, for `desire`: the event itself, in CloudEvents' JSON form.

    There is one for each event, and its subject is the event's id. `newest_only`: there is one for each
    aggregate, and an event replaces what an older one has left. Those of one aggregate are worked on
    one at a time, the oldest first; one that has to be repeated may be overtaken.
    """
    return DesiredState(
        account_id=event.account_id,
        kind=kind,
        subject=event.subject if newest_only else event.event_id,
        provider=kind,
        provider_user=event.subject,
        due_start=now,
        desired=cloud_event(event),
        sequence=event.sequence if newest_only else None,
    )


def cloud_event(event: Event) -> dict[str, Any]:
    """An event in the JSON form of CloudEvents 1.0; `data` is the body of its record."""
    return {
        "specversion": "1.0",
        "id": event.event_id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "sequence": f"{event.sequence:020}",
        "dataschema": event.dataschema(),
        "datacontenttype": "application/json",
        "data": event.model_dump(mode="json", by_alias=True),
    }


def performing(runtime: Runtime[Any], reconciles: Reconciles) -> Perform:
    """The function with which a worker makes one attempt."""
    if inspect.isclass(reconciles):
        create = cast("Callable[[Runtime[Any]], Reconciler[Any]]", reconciles)
        return partial(attempt, runtime, create(runtime))
    return partial(_make, runtime, reconciles)


async def _make(runtime: Runtime[Any], effect: Effect, claimed: Claimed) -> Outcome:
    try:
        return await effect(runtime, claimed)
    except (ProviderError, ProviderDown) as error:
        return outcome_of(error)


def outcome_of(error: ProviderError | ProviderDown) -> Outcome:
    """The outcome of an effect that may be repeated with the same identity, after this error.

    What may succeed later is repeated: after the provider's `Retry-After`, else after growing waits.
    Meanwhile the circuit is open, so that nothing else of the same aggregate is tried.
    """
    match error:
        case ProviderDown():
            return Later(str(error), wait=error.retry_after or None, opens_circuit=True)
        case CallPostponed() | QuotaExhausted() | RateLimited() | QuotaExceeded() | Unreachable():
            return Later(str(error), wait=error.wait or None, opens_circuit=True)
        case OutcomeUnknown() | OutcomePending():
            return Later(str(error), wait=error.wait or None, opens_circuit=True)
        case _:
            return Failed(str(error))


def effect_kinds(reconciles: Mapping[str, Reconciles]) -> list[str]:
    """The kinds whose desired states are effects."""
    return [kind for kind, each in reconciles.items() if not inspect.isclass(each)]


async def delete_done(database: Database, kinds: Collection[str]) -> None:
    """Delete the effects of single events that were done some time ago: they serve nothing any more.

    A row that somebody has locked is left for the next time, and delays no other.
    """
    deleted = MOST_DELETED
    while deleted == MOST_DELETED:
        deleted = await database.fetchval(
            """
            WITH deleted AS (
                DELETE FROM work WHERE (kind, subject) IN (
                    SELECT kind, subject FROM work
                     WHERE kind = ANY($1) AND status = 'done' AND subject = desired ->> 'id'
                       AND next_attempt_at < clock_timestamp() - $2::interval
                     LIMIT $3 FOR UPDATE SKIP LOCKED)
                RETURNING 1)
            SELECT count(*) FROM deleted
            """,
            list(kinds),
            KEPT,
            MOST_DELETED,
        )
