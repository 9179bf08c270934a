"""Which event tells of a change to an appointment, and what it says has changed."""

from booking.domain.patches import Patch
from hoop_events.base import Change
from hoop_events.booking import (
    Appointment,
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentEvent,
    AppointmentRescheduled,
    AppointmentUpdated,
)

_BOOKKEEPING = {"sequence", "version", "date_updated", "versions"}


def announcement(
    before: Appointment | None, after: Appointment, patch: Patch, *, account_id: str
) -> AppointmentEvent:
    """One event for one change: Deleted before Created before Rescheduled before Updated."""
    kind: type[AppointmentEvent] = AppointmentUpdated
    reason = None
    if (before is not None and before.occupies and not after.occupies) or patch.delete:
        kind = AppointmentDeleted
        reason = patch.because if patch.delete else after.appointment_status
    elif before is None or (after.occupies and not before.occupies):
        kind = AppointmentCreated
    elif when(before) != when(after):
        kind = AppointmentRescheduled
    return kind(
        account_id=account_id,
        state=after,
        change=_difference(before, after, patch, reason),
    )


def when(a: Appointment) -> tuple[object, ...]:
    """What makes it another time for those who are there."""
    return (a.start_time, a.end_time, a.hosts)


def _difference(
    before: Appointment | None, after: Appointment, patch: Patch, reason: str | None
) -> Change:
    if before is None:
        return Change(notify=patch.notify, actor=patch.actor, reason=reason)
    was = before.model_dump(mode="json", by_alias=True, exclude=_BOOKKEEPING | {"personal"})
    now = after.model_dump(mode="json", by_alias=True, exclude=_BOOKKEEPING | {"personal"})
    fields = [name for name in was if was[name] != now[name]]
    if before.personal != after.personal:
        fields.append("personal")
    previous = {name: was[name] for name in fields if name in was}
    return Change(
        fields=tuple(fields),
        previous=previous,
        notify=patch.notify,
        actor=patch.actor,
        reason=reason,
    )
