"""Giving an appointment to another host: when that is refused, whoever is free."""

from booking.domain.assignment import named_host
from booking.domain.commands import AppointmentPatch
from booking.domain.snapshot import Session, Snapshot
from hoop_events.booking import Appointment
from hoop_platform.errors import invalid


def check_host(before: Appointment, snapshot: Snapshot, patch: AppointmentPatch) -> None:
    """Refuse a host who is no member, and to choose one where all members are hosts together.

    A collective appointment with a host who left the team may get the present team.
    """
    calendar = snapshot.calendar
    if calendar.rules.all_of and before.calendar_id == calendar.id:
        chosen = patch.relieve is None and patch.host not in (None, before.assigned_user_id)
        if chosen or patch.relieve in calendar.hosts:
            text = "a collective appointment has all members of its calendar's team as hosts"
            raise invalid("assignedUserId", "collective", text)
    if patch.host not in (None, *before.hosts):
        named_host(calendar, patch.host)


def check_keeps_together(
    before: Appointment, after: Appointment, snapshot: Snapshot, patch: AppointmentPatch
) -> None:
    """Refuse to split a group: one of several in a session gets another host at the same time.

    One who joins a session that the other host has anyway splits nothing. With `relieve` all of them
    get the other host, one after the other; not in a collective, whose hosts are busy with the rest.
    """
    session = snapshot.sessions.get(before.session)
    if session is None or len(session.seats) == 1:
        return
    if patch.relieve is not None:
        if snapshot.calendar.rules.all_of:
            text = "the hosts of a collective group are replaced when it is moved to another time"
            raise invalid("assignedUserId", "group_session", text)
        return
    if (before.calendar_id, before.start_time) != (after.calendar_id, after.start_time):
        return
    others = [one.hosts[0] for one in _others(before, snapshot)]
    if patch.host not in others:
        text = (
            "one of a group gets no host alone, except one who has a session then (`allowed`);"
            " POST /users/{userId}/reassign gives all of them to another host"
        )
        raise invalid("assignedUserId", "group_session", text, sorted(others))


def _others(before: Appointment, snapshot: Snapshot) -> list[Session]:
    """The other open sessions of the calendar at the same time."""
    return [
        one
        for one in snapshot.sessions.values()
        if one.id != before.session
        and (one.calendar_id, one.starts) == (before.calendar_id, before.start_time)
    ]
