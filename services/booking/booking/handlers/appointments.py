"""Commands on appointments: read without locks, decide, write down if nothing changed meanwhile."""

from dataclasses import dataclass
from datetime import datetime

from booking.domain import appointments as domain
from booking.domain.calendars import Calendar
from booking.domain.decisions import Decision, Seated
from booking.domain.patches import Newcomer, Patch
from booking.domain.placing import Basis
from booking.domain.series import rule_for
from booking.handlers.deciding import Decide, known, settled
from booking.store import appointments as store
from booking.store import holds
from hoop_events.booking import Appointment
from hoop_platform.db.database import Database, Tx
from hoop_platform.errors import NotFound, SlotUnavailable, check_fresh, invalid
from hoop_platform.failpoints import fp
from hoop_platform.ids import new_id


class Recurs(Exception):
    """The calendar makes a series of what is booked on it."""


@dataclass(frozen=True)
class Terms:
    """On which a client changes what it has read: its version, and where the client may reach."""

    version: int | None = None
    locations: frozenset[str] = frozenset()
    """Empty: everywhere in the account."""

    def reach(self, location_id: str) -> None:
        """What stands elsewhere is unknown."""
        if self.locations and location_id not in self.locations:
            raise NotFound

    def check(self, before: Appointment) -> None:
        self.reach(before.location_id)
        check_fresh(before.version, self.version)


ANYHOW = Terms()


async def book(
    database: Database,
    account_id: str,
    newcomer: Newcomer,
    patch: Patch,
    *,
    location_id: str,
    now: datetime,
) -> Appointment:
    """Book the wanted time on a calendar of this location, or raise the reason why not.

    `Recurs` when it is a series that would have to be booked.
    """
    assert patch.calendar_id is not None
    calendar_id = patch.calendar_id

    async def decide(db: Tx | Database) -> Decision:
        found = await _known(
            db, account_id, calendar_id, patch, contact=newcomer.contact_id, now=now
        )
        check_location(found.calendar, location_id)
        if rule_for(found.calendar, patch) is not None:
            raise Recurs
        return domain.book(found, newcomer, patch, session_id=new_id(), now=now)

    return await _booked(database, account_id, decide, calendar_id, now)


async def book_held(
    database: Database,
    account_id: str,
    newcomer: Newcomer,
    patch: Patch,
    *,
    location_id: str,
    now: datetime,
) -> Appointment:
    """Give the held time to the contact. The newcomer's id is the hold's: one hold, one appointment.

    A hold that ran out is as gone as one that never was: its time may be somebody else's by now.
    """

    async def decide(db: Tx | Database) -> Decision:
        hold = await holds.hold(db, account_id, newcomer.id)
        if hold is None or hold.expires_at <= now:
            raise SlotUnavailable(extra={"reason": "hold_gone"})
        found = await _known(
            db,
            account_id,
            hold.calendar_id,
            patch,
            before=hold,
            contact=newcomer.contact_id,
            now=now,
        )
        check_location(found.calendar, location_id)
        return domain.convert(hold, found, newcomer, patch, now=now)

    return await _booked(database, account_id, decide, newcomer.id, now)


def check_location(calendar: Calendar, location_id: str) -> None:
    """The calendar is one of the location that the client names."""
    if calendar.location_id != location_id:
        raise invalid("locationId", "other_location", "the calendar stands in another location")


async def _booked(
    database: Database, account_id: str, decide: Decide, at: str, now: datetime
) -> Appointment:
    decision = await settled(database, account_id, decide, at=at, now=now)
    assert decision is not None
    assert isinstance(decision.after, Appointment)
    await fp("booked")
    return decision.after


async def change(
    database: Database,
    account_id: str,
    appointment_id: str,
    patch: Patch,
    *,
    now: datetime,
    terms: Terms = ANYHOW,
) -> Appointment:
    """Move, cancel, confirm, edit or delete an appointment; answers what it is then."""
    found: list[Appointment] = []

    async def decide(db: Tx | Database) -> Decision | None:
        before = await store.appointment(db, account_id, appointment_id)
        if before is None:
            raise NotFound
        terms.check(before)
        found[:] = [before]
        calendar_id = patch.calendar_id or before.calendar_id
        basis = await _known(db, account_id, calendar_id, patch, before=before, now=now)
        terms.reach(basis.calendar.location_id)
        return domain.change(before, basis, patch, session_id=new_id(), now=now)

    decision = await settled(database, account_id, decide, at=appointment_id, now=now)
    if decision is None:
        return found[0]
    assert isinstance(decision.after, Appointment)
    return decision.after


async def _known(
    db: Tx | Database,
    account_id: str,
    calendar_id: str,
    patch: Patch,
    *,
    before: Seated | None = None,
    contact: str | None = None,
    now: datetime,
) -> Basis:
    start = patch.start or (before.start_time if before else None)
    if start is None:
        raise NotFound
    end = patch.end or (before.end_time if before else None) or start
    return await known(
        db,
        account_id,
        calendar_id,
        start=start,
        end=max(end, start),
        before=before,
        contact=contact,
        now=now,
    )
