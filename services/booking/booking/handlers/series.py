"""Commands on series: each occurrence is an appointment; all are committed in one transaction."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from booking.domain import appointments as domain
from booking.domain.alternatives import SEARCH_AFTER, free_after
from booking.domain.calendars import Calendar
from booking.domain.commands import AppointmentPatch, NewAppointment
from booking.domain.decisions import Decision
from booking.domain.recurrence_rule import RecurrenceRule
from booking.domain.series import (
    OccurrenceOutcome,
    OccurrenceResult,
    booking_option,
    occurrence,
    occurrence_patches,
    rule_for,
    series_starts,
)
from booking.domain.snapshot import Snapshot
from booking.handlers.appointments import Preconditions, change_appointment, other_location
from booking.handlers.commit import (
    LOCKED_TRIES,
    ContactUnknown,
    decide_and_commit,
    read_snapshot,
)
from booking.store.alternatives import get_calendar_window
from booking.store.appointments import exists_series, list_series
from booking.store.calendars import get_calendar
from booking.store.locks import lock_bookables
from booking.store.snapshot import SnapshotRequest
from hoop_events.booking import Appointment
from hoop_platform.db.database import CONTENTION, Database, Tx
from hoop_platform.db.savepoint import SavepointTx
from hoop_platform.errors import (
    AlreadyAttending,
    NotFound,
    Refused,
    SlotUnavailable,
    StateConflict,
    Unavailable,
)
from hoop_platform.ids import new_id

Result = TypeVar("Result")
CHANGEABLE = ("new", "confirmed", "active")


class DecideOccurrence(Protocol):
    """A decision of `domain.appointments` on one occurrence."""

    def __call__(
        self,
        snapshot: Snapshot,
        new: NewAppointment,
        patch: AppointmentPatch,
        *,
        session_id: str,
        now: datetime,
    ) -> Decision: ...


async def book_series(
    database: Database,
    account_id: str,
    new: NewAppointment,
    patch: AppointmentPatch,
    *,
    location_id: str,
    now: datetime,
) -> list[OccurrenceOutcome]:
    """Book all occurrences of the rule; returns the outcome of each. `new.id` is the series' id.

    Raises the refusal of the first, and writes nothing, when none could be booked.
    """

    async def command(db: SavepointTx) -> list[OccurrenceOutcome]:
        calendar = await _lock_calendar(db, account_id, patch)
        if calendar.location_id != location_id:
            raise other_location()
        rule = rule_for(calendar, patch)
        assert rule is not None
        booking = _SeriesBooking(
            db, account_id, new, replace(patch, rrule=None), calendar, rule, now
        )
        return await booking.book_all()

    return await _in_one_transaction(database, command)


async def _lock_calendar(db: SavepointTx, account_id: str, patch: AppointmentPatch) -> Calendar:
    assert patch.calendar_id is not None
    found = await get_calendar(db, account_id, patch.calendar_id)
    if found is None:
        raise NotFound("calendarId")
    await _lock_takable(db, account_id, found)
    return found


async def _lock_takable(
    db: SavepointTx, account_id: str, *calendars: Calendar, others: Iterable[str] = ()
) -> None:
    """Lock the calendars, and all that appointments on them may take, until the series is committed."""
    takable = {*others}.union(*(one.takable for one in calendars))
    async with db.transaction() as tx:
        await lock_bookables(
            tx, account_id, calendars={one.id for one in calendars}, others=takable
        )


async def _in_one_transaction(
    database: Database, command: Callable[[SavepointTx], Awaitable[Result]]
) -> Result:
    """Run the command in one transaction; again after contention; `Unavailable` after several tries."""
    for _ in range(LOCKED_TRIES):
        try:
            async with database.transaction() as db:
                return await command(SavepointTx(db))
        except CONTENTION:
            continue
    raise Unavailable(headers={"Retry-After": "1"})


@dataclass(frozen=True)
class _SeriesBooking:
    """The booking of a series on a calendar that is locked."""

    db: SavepointTx
    account_id: str
    new: NewAppointment
    patch: AppointmentPatch
    calendar: Calendar
    rule: RecurrenceRule
    now: datetime
    refused: list[Refused] = field(default_factory=list)

    async def book_all(self) -> list[OccurrenceOutcome]:
        """First the occurrences whose time is free, so that no other is moved there; then the others."""
        starts = series_starts(self.rule, self.calendar, self.patch, now=self.now)
        outcomes = [await self._try(start, start, outcome="booked") for start in starts]
        outcomes = [one if one.state else await self._book_otherwise(one) for one in outcomes]
        if not any(one.outcome in ("booked", "moved") for one in outcomes):
            raise self.refused[0]
        return outcomes

    async def _book_otherwise(self, skipped: OccurrenceOutcome) -> OccurrenceOutcome:
        """Book an occurrence whose time is taken according to the calendar's `bookingOption`."""
        if skipped.reason == AlreadyAttending.code:
            return skipped  # the contact has a seat at its time
        option = booking_option(self.calendar.settings)
        if option == "continue":
            unconfirmed = await self._commit(
                skipped.start, skipped.start, domain.create_unconfirmed
            )
            return replace(skipped, outcome="waiting", state=unconfirmed)
        for start in await self._free_after(skipped.start) if option == "book_next" else ():
            moved = await self._try(skipped.start, start, outcome="moved")
            if moved.reason != AlreadyAttending.code:
                return replace(moved, reason=skipped.reason)
        return skipped

    async def _free_after(self, taken: datetime) -> list[datetime]:
        window = await get_calendar_window(
            self.db, self.account_id, self.calendar.id, start=taken, end=taken + SEARCH_AFTER
        )
        if window is None:
            return []
        return free_after(window, taken, now=self.now, host=self.patch.host)

    async def _try(
        self, ruled: datetime, start: datetime, *, outcome: OccurrenceResult
    ) -> OccurrenceOutcome:
        try:
            state = await self._commit(ruled, start, domain.book)
        except (SlotUnavailable, AlreadyAttending) as refused:
            self.refused.append(refused)
            reason = str(refused.extra.get("reason", refused.code))
            return OccurrenceOutcome(ruled, "skipped", reason=reason)
        return OccurrenceOutcome(ruled, outcome, state)

    async def _commit(
        self, ruled: datetime, start: datetime, decide_one: DecideOccurrence
    ) -> Appointment:
        length = self.length
        one = occurrence(self.new, self.rule, ruled, length)
        patch = replace(self.patch, start=start, end=start + length)

        async def decide(db: Tx | Database) -> Decision:
            request = SnapshotRequest(
                self.account_id, self.now, self.calendar.id, start, start + length, one.contact_id
            )
            snapshot = (await read_snapshot(db, request)).snapshot
            if snapshot is None:
                raise NotFound("calendarId")
            if snapshot.contact_name is None:
                raise ContactUnknown
            return decide_one(snapshot, one, patch, session_id=new_id(), now=self.now)

        decision = await decide_and_commit(
            self.db, self.account_id, decide, key=self.calendar.id, now=self.now
        )
        assert decision is not None
        assert isinstance(decision.after, Appointment)
        return decision.after

    @property
    def length(self) -> timedelta:
        """The length of each occurrence."""
        start, end = self.patch.start, self.patch.end
        return self.calendar.length if start is None or end is None else end - start


async def change_series(
    database: Database,
    account_id: str,
    master: str,
    patch: AppointmentPatch,
    *,
    preconditions: Preconditions,
    now: datetime,
) -> list[Appointment]:
    """Change all upcoming occurrences, or none; returns their states afterwards, in order of start.

    Cancelled and finished occurrences are left as they are.
    """

    async def command(db: SavepointTx) -> list[Appointment]:
        before = await _upcoming(db, account_id, master, now)
        if not before:
            raise StateConflict("No occurrence of the series lies ahead that could be changed.")
        preconditions.check(before[0])
        await _lock_all(db, account_id, before, patch)
        after = [
            await change_appointment(db, account_id, one.id, part, now=now)
            for one, part in occurrence_patches(patch, before)
        ]
        return sorted(after, key=lambda one: one.start_time)

    return await _in_one_transaction(database, command)


async def delete_series(
    database: Database,
    account_id: str,
    master: str,
    patch: AppointmentPatch,
    *,
    preconditions: Preconditions,
    now: datetime,
) -> list[Appointment]:
    """Delete all upcoming occurrences; returns their states. A second time there are none left."""

    async def command(db: SavepointTx) -> list[Appointment]:
        before = [one for one in await _occurrences(db, account_id, master) if one.start_time > now]
        for one in before:
            preconditions.check(one)
        await _lock_all(db, account_id, before, patch)
        return [await change_appointment(db, account_id, one.id, patch, now=now) for one in before]

    return await _in_one_transaction(database, command)


async def _upcoming(db: Database, account_id: str, master: str, now: datetime) -> list[Appointment]:
    found = await _occurrences(db, account_id, master)
    return [one for one in found if one.start_time > now and one.appointment_status in CHANGEABLE]


async def _occurrences(db: Database, account_id: str, master: str) -> list[Appointment]:
    found = await list_series(db, account_id, master)
    if not found and not await exists_series(db, account_id, master):
        raise NotFound
    return found


async def _lock_all(
    db: SavepointTx, account_id: str, before: Sequence[Appointment], patch: AppointmentPatch
) -> None:
    """Lock the calendars, hosts and resources that the occurrences have and may get."""
    ids = {one.calendar_id for one in before} | (
        {patch.calendar_id} if patch.calendar_id else set()
    )
    found = [await get_calendar(db, account_id, one) for one in sorted(ids)]
    taken = {key for one in before for key in (*one.hosts, *one.resources)}
    await _lock_takable(db, account_id, *(one for one in found if one), others=taken)


async def get_next_occurrence(
    database: Database, account_id: str, master: str, *, now: datetime
) -> Appointment:
    """The next occurrence of a series, else the last one. `NotFound` for an unknown series."""
    found = await _occurrences(database, account_id, master)
    if not found:
        raise NotFound
    return next((one for one in found if one.end_time > now), found[-1])
