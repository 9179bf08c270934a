"""Which event announces a change of an appointment, and the differences that the event names."""

from booking.domain.commands import AppointmentPatch
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


def appointment_event(
    before: Appointment | None, after: Appointment, patch: AppointmentPatch, *, account_id: str
) -> AppointmentEvent:
    """One event for one change: Deleted before Created before Rescheduled before Updated."""
    kind: type[AppointmentEvent] = AppointmentUpdated
    reason = None
    if (before is not None and before.occupies and not after.occupies) or patch.delete:
        kind = AppointmentDeleted
        reason = patch.delete_reason if patch.delete else after.appointment_status
    elif before is None or (after.occupies and not before.occupies):
        kind = AppointmentCreated
    elif time_and_hosts(before) != time_and_hosts(after):
        kind = AppointmentRescheduled
    return kind(
        account_id=account_id,
        state=after,
        change=_difference(before, after, patch, reason),
    )


def time_and_hosts(appointment: Appointment) -> tuple[object, ...]:
    """What an appointment must keep in order not to count as rescheduled."""
    return (appointment.start_time, appointment.end_time, appointment.hosts)


def _difference(
    before: Appointment | None, after: Appointment, patch: AppointmentPatch, reason: str | None
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
