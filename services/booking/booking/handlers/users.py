"""Users who leave: out of all teams once they are deleted, and their appointments given to others."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from booking.domain.calendars import without_member
from booking.domain.commands import AppointmentPatch
from booking.handlers.appointments import Preconditions, change_appointment
from booking.handlers.calendars import save_settings
from booking.handlers.commit import commit_release
from booking.store import appointments, projections
from booking.store.calendars import lock_calendars_of_user
from booking.store.holds import list_holds_of_host
from booking.store.locks import lock_bookables, update_versions
from hoop_events.accounts import UserDeleted
from hoop_events.base import Change
from hoop_events.booking import Appointment, AppointmentUpdated
from hoop_platform.db.database import Database, Tx
from hoop_platform.errors import Refused

REASON = "user_deleted"
RELEASE_TRIES = 3


async def on_user_deleted(db: Tx, event: UserDeleted, now: datetime) -> None:
    """Take the user out of all teams; what the user was to host needs another host.

    The locks are those of a booking, in the same order. A booking that is decided meanwhile either
    was committed before, and is found here, or its snapshot is outdated.
    """
    account_id, user_id = event.account_id, event.state.id
    await projections.delete_user(db, account_id, user_id)
    await _leave_teams(db, account_id, user_id, now)
    for hold_id in await list_holds_of_host(db, account_id, user_id):
        await _release(db, account_id, hold_id, now)
    upcoming = await appointments.lock_upcoming_of_host(db, account_id, user_id, now=now)
    events = [_needing_host(account_id, before) for before in upcoming if not before.needs_host]
    await appointments.update_states(db, account_id, events, now=now)


async def _leave_teams(db: Tx, account_id: str, user_id: str, now: datetime) -> None:
    calendars = await lock_calendars_of_user(db, account_id, user_id)
    hosts = {user_id}.union(*(calendar.hosts for calendar in calendars))
    await lock_bookables(db, account_id, calendars=[one.id for one in calendars], others=hosts)
    for calendar in calendars:
        await save_settings(db, calendar, without_member(calendar.settings, user_id), now=now)
    await update_versions(db, account_id, calendars=(), others=[user_id])


async def _release(db: Tx, account_id: str, hold_id: str, now: datetime) -> None:
    """Release a hold, unless it is gone; its calendar may have changed between two looks at it."""
    for _ in range(RELEASE_TRIES):
        if await commit_release(db, account_id, hold_id, reason="released", now=now):
            return


def _needing_host(account_id: str, before: Appointment) -> AppointmentUpdated:
    """The event that announces that a host of the appointment was deleted."""
    after = before.model_copy(update={"needs_host": True, "sequence": before.sequence + 1})
    change = Change(fields=("needsHost",), previous={"needsHost": False}, reason=REASON)
    return AppointmentUpdated(account_id=account_id, state=after, change=change)


@dataclass(frozen=True)
class ReassignmentRequest:
    """The appointments of a user that others are to host: a page, in order of start.

    `locations`: only there, if there are any; `appointments`: only what shares a session with one
    of these. `patch` says who hosts them from now on.
    """

    user_id: str
    patch: AppointmentPatch
    appointments: Sequence[str]
    locations: frozenset[str]
    after: tuple[datetime, str]
    limit: int


@dataclass(frozen=True)
class ReassignmentOutcome:
    """An appointment after an attempt to give it to another host, or why it still has the old one."""

    state: Appointment
    refused: Refused | None = None


@dataclass(frozen=True)
class ReassignmentPage:
    """The outcomes of a page; `complete`: there is no further one."""

    outcomes: list[ReassignmentOutcome] = field(default_factory=list)
    complete: bool = True


async def reassign(
    database: Database, account_id: str, request: ReassignmentRequest, *, now: datetime
) -> ReassignmentPage:
    """Give the upcoming appointments of a user to others, each by itself: one refused keeps none back.

    All appointments of one session get the same host, so that a group stays together.
    """
    found = await appointments.list_upcoming_of_host(
        database,
        account_id,
        request.user_id,
        now=now,
        after=request.after,
        locations=sorted(request.locations),
        ids=request.appointments,
        limit=request.limit + 1,
    )
    outcomes: list[ReassignmentOutcome] = []
    new_hosts: dict[str, str] = {}
    for before in found[: request.limit]:
        host = request.patch.host or new_hosts.get(before.session)
        patch = replace(request.patch, host=host, relieve=request.user_id)
        one = await _reassign_one(database, account_id, before, patch, now)
        if one.refused is None and before.shared:
            new_hosts[before.session] = one.state.hosts[0]
        outcomes.append(one)
    return ReassignmentPage(outcomes, complete=len(found) <= request.limit)


async def _reassign_one(
    database: Database,
    account_id: str,
    before: Appointment,
    patch: AppointmentPatch,
    now: datetime,
) -> ReassignmentOutcome:
    only_there = Preconditions(locations=frozenset({before.location_id}))
    try:
        after = await change_appointment(
            database, account_id, before.id, patch, now=now, preconditions=only_there
        )
    except Refused as refused:
        return ReassignmentOutcome(before, refused)
    return ReassignmentOutcome(after)
