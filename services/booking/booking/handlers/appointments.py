"""Commands on appointments: book a time or a hold, change, delete."""

from dataclasses import dataclass
from datetime import datetime

from booking.domain import appointments as domain
from booking.domain.appointment_changes import change
from booking.domain.calendars import Calendar
from booking.domain.commands import AppointmentPatch, NewAppointment
from booking.domain.decisions import Decision, Occupant
from booking.domain.series import rule_for
from booking.domain.snapshot import Snapshot
from booking.handlers.commit import Decide, decide_and_commit, read_snapshot
from booking.store.appointments import get_appointment
from booking.store.holds import get_hold
from hoop_events.booking import Appointment
from hoop_platform.db.database import Database, Tx
from hoop_platform.errors import NotFound, SlotUnavailable, check_fresh, invalid
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

    def check_location(self, location_id: str) -> None:
        """Raise `NotFound` for a location that the API key has no access to."""
        if self.locations and location_id not in self.locations:
            raise NotFound

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

    Raises `SeriesRequired` when a series has to be booked instead.
    """
    assert patch.calendar_id is not None
    calendar_id = patch.calendar_id

    async def decide(db: Tx | Database) -> Decision:
        found = await _read_snapshot(
            db, account_id, calendar_id, patch, contact=new.contact_id, now=now
        )
        check_calendar_location(found.calendar, location_id)
        if rule_for(found.calendar, patch) is not None:
            raise SeriesRequired
        return domain.book(found, new, patch, session_id=new_id(), now=now)

    return await _booked(database, account_id, decide, calendar_id, now)


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

    async def decide(db: Tx | Database) -> Decision:
        hold = await get_hold(db, account_id, new.id)
        if hold is None or hold.expires_at <= now:
            raise SlotUnavailable(extra={"reason": "hold_gone"})
        found = await _read_snapshot(
            db,
            account_id,
            hold.calendar_id,
            patch,
            before=hold,
            contact=new.contact_id,
            now=now,
        )
        check_calendar_location(found.calendar, location_id)
        return domain.convert_hold(hold, found, new, patch, now=now)

    return await _booked(database, account_id, decide, new.id, now)


def check_calendar_location(calendar: Calendar, location_id: str) -> None:
    """Refuse a `locationId` that is not the calendar's."""
    if calendar.location_id != location_id:
        raise invalid("locationId", "other_location", "the calendar stands in another location")


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
    found: list[Appointment] = []

    async def decide(db: Tx | Database) -> Decision | None:
        before = await get_appointment(db, account_id, appointment_id)
        if before is None:
            raise NotFound
        preconditions.check(before)
        found[:] = [before]
        calendar_id = patch.calendar_id or before.calendar_id
        snapshot = await _read_snapshot(db, account_id, calendar_id, patch, before=before, now=now)
        preconditions.check_location(snapshot.calendar.location_id)
        return change(before, snapshot, patch, session_id=new_id(), now=now)

    decision = await decide_and_commit(database, account_id, decide, key=appointment_id, now=now)
    if decision is None:
        return found[0]
    assert isinstance(decision.after, Appointment)
    return decision.after


async def _read_snapshot(
    db: Tx | Database,
    account_id: str,
    calendar_id: str,
    patch: AppointmentPatch,
    *,
    before: Occupant | None = None,
    contact: str | None = None,
    now: datetime,
) -> Snapshot:
    start = patch.start or (before.start_time if before else None)
    if start is None:
        raise NotFound
    end = patch.end or (before.end_time if before else None) or start
    return await read_snapshot(
        db,
        account_id,
        calendar_id,
        start=start,
        end=max(end, start),
        before=before,
        contact=contact,
        now=now,
    )
