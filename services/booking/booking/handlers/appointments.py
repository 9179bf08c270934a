"""Commands on appointments: book a time or a hold, change, delete."""

from dataclasses import dataclass
from datetime import datetime

from booking.domain import appointments as domain
from booking.domain.appointment_changes import change
from booking.domain.commands import AppointmentPatch, NewAppointment
from booking.domain.decisions import Decision
from booking.handlers.commit import ContactUnknown, Decide, decide_and_commit, read_snapshot
from booking.store.snapshot import SnapshotRequest
from hoop_events.booking import Appointment, Hold
from hoop_platform.db.database import Database, Tx
from hoop_platform.errors import Invalid, NotFound, SlotUnavailable, check_fresh, invalid
from hoop_platform.failpoints import fp
from hoop_platform.ids import new_id


class SeriesRequired(Exception):
    """The request is for a series, by its own rule or by the calendar's."""


@dataclass(frozen=True)
class Preconditions:
    """What must hold for a change: the version of `If-Match`, and the locations of the API key."""

    version: int | None = None
    locations: frozenset[str] = frozenset()
    """Empty: all locations of the account."""

    def check_location(self, location_id: str, path: str | None = None) -> None:
        """Raise `NotFound` for the id at `path`, of a location that the API key has no access to."""
        if self.locations and location_id not in self.locations:
            raise NotFound(path)

    def check(self, before: Appointment) -> None:
        self.check_location(before.location_id)
        check_fresh(before.version, self.version)


NO_PRECONDITIONS = Preconditions()


async def book(
    database: Database,
    account_id: str,
    new: NewAppointment,
    patch: AppointmentPatch,
    *,
    location_id: str,
    now: datetime,
) -> Appointment:
    """Book the requested time on a calendar of this location, or raise the refusal.

    Raises `SeriesRequired` when the calendar makes a series of it.
    """
    assert patch.calendar_id is not None

    async def decide(db: Tx | Database) -> Decision:
        request = SnapshotRequest(
            account_id, now, patch.calendar_id, patch.start, patch.end, new.contact_id
        )
        snapshot = (await read_snapshot(db, request)).snapshot
        if snapshot is None:
            raise NotFound("calendarId")
        if snapshot.contact_name is None:
            raise ContactUnknown
        calendar = snapshot.calendar
        if calendar.location_id != location_id:
            raise other_location()
        if calendar.recurs and len(calendar.hosts) == 1:
            raise SeriesRequired
        return domain.book(snapshot, new, patch, session_id=new_id(), now=now)

    return await _booked(database, account_id, decide, patch.calendar_id, now)


async def book_held(
    database: Database,
    account_id: str,
    new: NewAppointment,
    patch: AppointmentPatch,
    *,
    location_id: str,
    now: datetime,
) -> Appointment:
    """Make an appointment of a hold, whose id is `new.id`: one hold becomes one appointment.

    Raises `SlotUnavailable` when the hold expired or is gone.
    """
    request = SnapshotRequest(
        account_id, now, None, patch.start, patch.end, new.contact_id, new.id, held=True
    )

    async def decide(db: Tx | Database) -> Decision:
        found = await read_snapshot(db, request)
        hold = found.before
        if not isinstance(hold, Hold) or hold.expires_at <= now:
            raise SlotUnavailable(extra={"reason": "hold_gone"})
        if found.snapshot is None:
            raise NotFound("calendarId")
        if found.snapshot.contact_name is None:
            raise ContactUnknown
        if found.snapshot.calendar.location_id != location_id:
            raise other_location()
        return domain.convert_hold(hold, found.snapshot, new, patch, now=now)

    return await _booked(database, account_id, decide, new.id, now)


def other_location() -> Invalid:
    """The refusal of a `locationId` that is not the calendar's."""
    return invalid("locationId", "other_location", "the calendar stands in another location")


async def _booked(
    database: Database, account_id: str, decide: Decide, key: str, now: datetime
) -> Appointment:
    decision = await decide_and_commit(database, account_id, decide, key=key, now=now)
    assert decision is not None
    assert isinstance(decision.after, Appointment)
    await fp("booked")
    return decision.after


async def change_appointment(
    database: Database,
    account_id: str,
    appointment_id: str,
    patch: AppointmentPatch,
    *,
    now: datetime,
    preconditions: Preconditions = NO_PRECONDITIONS,
) -> Appointment:
    """Move, cancel, confirm, edit or delete an appointment; returns its state afterwards."""
    request = SnapshotRequest(
        account_id, now, patch.calendar_id, patch.start, patch.end, appointment=appointment_id
    )
    found: list[Appointment] = []

    async def decide(db: Tx | Database) -> Decision | None:
        read = await read_snapshot(db, request)
        if not isinstance(read.before, Appointment):
            raise NotFound
        preconditions.check(read.before)
        found[:] = [read.before]
        named = None if patch.calendar_id is None else "calendarId"
        if read.snapshot is None:
            raise NotFound(named)
        preconditions.check_location(read.snapshot.calendar.location_id, named)
        return change(read.before, read.snapshot, patch, session_id=new_id(), now=now)

    decision = await decide_and_commit(database, account_id, decide, key=appointment_id, now=now)
    if decision is None:
        return found[0]
    assert isinstance(decision.after, Appointment)
    return decision.after
