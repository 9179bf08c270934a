"""Commands on series: each occurrence is an appointment of its own, and all are written at once."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from booking.domain import appointments as domain
from booking.domain.ahead import AFTER, next_free
from booking.domain.calendars import Calendar
from booking.domain.decisions import Decision
from booking.domain.patches import Newcomer, Patch
from booking.domain.recurrence import Rule
from booking.domain.series import Became, Outcome, each, occurrence, option_of, rule_for, times_of
from booking.handlers.appointments import Terms, change, check_location
from booking.handlers.deciding import LOCKED_TRIES, known, settled
from booking.store import appointments as store
from booking.store import versions
from booking.store.ahead import ahead
from booking.store.calendars import calendar
from hoop_events.booking import Appointment
from hoop_platform.db.database import CONTENTION, Database, Tx
from hoop_platform.db.savepoint import SavepointTx
from hoop_platform.errors import NotFound, SlotUnavailable, StateConflict, Unavailable
from hoop_platform.ids import new_id

Result = TypeVar("Result")
Book = Callable[..., Decision]
CHANGEABLE = ("new", "confirmed", "active")


async def book_series(
    database: Database,
    account_id: str,
    newcomer: Newcomer,
    patch: Patch,
    *,
    location_id: str,
    now: datetime,
) -> list[Outcome]:
    """Book every occurrence of the rule, or say what else became of it; the newcomer's id is the series'.

    `SlotUnavailable` when none could be booked: then nothing is written.
    """

    async def deed(db: SavepointTx) -> list[Outcome]:
        on = await _calendar(db, account_id, patch)
        check_location(on, location_id)
        rule = rule_for(on, patch)
        assert rule is not None
        booking = _Booking(db, account_id, newcomer, replace(patch, rrule=None), on, rule, now)
        return await booking.all()

    return await _at_once(database, deed)


async def _calendar(db: SavepointTx, account_id: str, patch: Patch) -> Calendar:
    assert patch.calendar_id is not None
    found = await calendar(db, account_id, patch.calendar_id)
    if found is None:
        raise NotFound
    await _lock(db, account_id, found)
    return found


async def _lock(
    db: SavepointTx, account_id: str, *calendars: Calendar, others: Iterable[str] = ()
) -> None:
    """Nobody else takes or leaves anything of these until the series is written."""
    taken = {*others}.union(*(one.takable for one in calendars))
    async with db.transaction() as connection:
        await versions.lock(
            connection, account_id, calendars={one.id for one in calendars}, others=taken
        )


async def _at_once(database: Database, deed: Callable[[SavepointTx], Awaitable[Result]]) -> Result:
    """Do it in one transaction; again when somebody's locks were in the way."""
    for _ in range(LOCKED_TRIES):
        try:
            async with database.transaction() as db:
                return await deed(SavepointTx(db))
        except CONTENTION:
            continue
    raise Unavailable(headers={"Retry-After": "1"})


@dataclass(frozen=True)
class _Booking:
    """A series on its way into the calendar, which is locked."""

    db: SavepointTx
    account_id: str
    newcomer: Newcomer
    patch: Patch
    calendar: Calendar
    rule: Rule
    now: datetime
    refused: list[SlotUnavailable] = field(default_factory=list)

    async def all(self) -> list[Outcome]:
        """First those whose time is free, so that no other is moved there; then the rest, in order."""
        times = times_of(self.rule, self.calendar, self.patch, now=self.now)
        tried = [await self._try(start, start, outcome="booked") for start in times]
        tried = [one if one.state else await self._otherwise(one) for one in tried]
        if not any(one.outcome in ("booked", "moved") for one in tried):
            raise self.refused[0]
        return tried

    async def _otherwise(self, skipped: Outcome) -> Outcome:
        """What the calendar does with an occurrence whose time is taken."""
        option = option_of(self.calendar.settings)
        if option == "continue":
            waiting = await self._write(skipped.start, skipped.start, domain.wait)
            return replace(skipped, outcome="waiting", state=waiting)
        start = await self._next(skipped.start) if option == "book_next" else None
        if start is None:
            return skipped
        moved = await self._try(skipped.start, start, outcome="moved")
        return replace(moved, reason=skipped.reason)

    async def _next(self, lost: datetime) -> datetime | None:
        found = await ahead(
            self.db, self.account_id, self.calendar.id, start=lost, end=lost + AFTER
        )
        if found is None:
            return None
        return next_free(found, lost, now=self.now, host=self.patch.host)

    async def _try(self, ruled: datetime, start: datetime, *, outcome: Became) -> Outcome:
        try:
            state = await self._write(ruled, start, domain.book)
        except SlotUnavailable as refused:
            self.refused.append(refused)
            return Outcome(ruled, "skipped", reason=str(refused.extra["reason"]))
        return Outcome(ruled, outcome, state)

    async def _write(self, ruled: datetime, start: datetime, how: Book) -> Appointment:
        length = self.length
        one = occurrence(self.newcomer, self.rule, ruled, length)
        patch = replace(self.patch, start=start, end=start + length)

        async def decide(db: Tx | Database) -> Decision:
            found = await known(
                db,
                self.account_id,
                self.calendar.id,
                start=start,
                end=start + length,
                before=None,
                contact=one.contact_id,
                now=self.now,
            )
            return how(found, one, patch, session_id=new_id(), now=self.now)

        decision = await settled(
            self.db, self.account_id, decide, at=self.calendar.id, now=self.now
        )
        assert decision is not None
        assert isinstance(decision.after, Appointment)
        return decision.after

    @property
    def length(self) -> timedelta:
        """Of each occurrence."""
        start, end = self.patch.start, self.patch.end
        return self.calendar.length if start is None or end is None else end - start


async def change_series(
    database: Database, account_id: str, master: str, patch: Patch, *, terms: Terms, now: datetime
) -> list[Appointment]:
    """Change all occurrences that begin later than now, or none; what they are then, in order.

    Those that are cancelled or finished are left as they are.
    """

    async def deed(db: SavepointTx) -> list[Appointment]:
        before = await _ahead(db, account_id, master, now)
        if not before:
            raise StateConflict("No occurrence of the series lies ahead that could be changed.")
        terms.check(before[0])
        await _lock_all(db, account_id, before, patch)
        after = [
            await change(db, account_id, one.id, part, now=now) for one, part in each(patch, before)
        ]
        return sorted(after, key=lambda one: one.start_time)

    return await _at_once(database, deed)


async def delete_series(
    database: Database, account_id: str, master: str, patch: Patch, *, terms: Terms, now: datetime
) -> list[Appointment]:
    """Delete all occurrences that begin later than now; again, there are none left."""

    async def deed(db: SavepointTx) -> list[Appointment]:
        before = [one for one in await _standing(db, account_id, master) if one.start_time > now]
        for one in before:
            terms.check(one)
        await _lock_all(db, account_id, before, patch)
        return [await change(db, account_id, one.id, patch, now=now) for one in before]

    return await _at_once(database, deed)


async def _ahead(db: Database, account_id: str, master: str, now: datetime) -> list[Appointment]:
    found = await _standing(db, account_id, master)
    return [one for one in found if one.start_time > now and one.appointment_status in CHANGEABLE]


async def _standing(db: Database, account_id: str, master: str) -> list[Appointment]:
    found = await store.series(db, account_id, master)
    if not found and not await store.series_existed(db, account_id, master):
        raise NotFound
    return found


async def _lock_all(
    db: SavepointTx, account_id: str, before: Sequence[Appointment], patch: Patch
) -> None:
    """What the occurrences are in, and what they may come into."""
    ids = {one.calendar_id for one in before} | (
        {patch.calendar_id} if patch.calendar_id else set()
    )
    found = [await calendar(db, account_id, one) for one in sorted(ids)]
    taken = {key for one in before for key in (*one.hosts, *one.resources)}
    await _lock(db, account_id, *(one for one in found if one), others=taken)


async def next_of(
    database: Database, account_id: str, master: str, *, now: datetime
) -> Appointment:
    """What the id of a series shows: its next occurrence, else its last."""
    found = await _standing(database, account_id, master)
    if not found:
        raise NotFound
    return next((one for one in found if one.end_time > now), found[-1])
