"""Holds: a seat that is kept for somebody for some minutes, and given back or booked."""

from dataclasses import replace
from datetime import datetime, timedelta

from booking.domain.decisions import Decision, buffers, closing, entering
from booking.domain.placing import Basis, Wanted, place
from hoop_events.base import Change, Gone
from hoop_events.booking import Hold, HoldChanged, HoldDeleted
from hoop_platform.errors import invalid

LONGEST_HOLD = timedelta(minutes=30)


def hold(
    basis: Basis, wanted: Wanted, *, hold_id: str, session_id: str, until: datetime, now: datetime
) -> Decision:
    """Keep the wanted time, under the same rules as a booking, or raise the reason why not."""
    if not now < until <= now + LONGEST_HOLD:
        raise invalid("expiresAt", "too_long", "a hold lasts half an hour at most")
    found = place(basis, wanted, leaving=None, now=now)
    calendar = basis.calendar
    after = Hold(
        id=hold_id,
        sequence=1,
        calendar_id=calendar.id,
        location_id=calendar.location_id,
        start_time=wanted.start,
        end_time=wanted.end,
        time_zone=calendar.time_zone,
        session=session_id,
        hosts=found.hosts,
        resources=found.resources,
        expires_at=until,
    )
    entry = entering(None, after, found, session_id=session_id)
    after = after.model_copy(
        update={"session": entry.session_id, **buffers(basis, entry, found.joins)}
    )
    event = HoldChanged(account_id=calendar.account_id, state=after)
    return Decision(None, after, basis, (event,), found.seat, entry)


def release(held: Hold, basis: Basis, *, reason: str, actor: str | None = None) -> Decision:
    """Give the seat back: `expired`, or `released` by whoever held it."""
    gone = HoldDeleted(
        account_id=basis.calendar.account_id,
        state=Gone(id=held.id, sequence=held.sequence + 1),
        change=Change(reason=reason, actor=actor),
    )
    closes = closing(held, basis, entry=None, occupies=False)
    return replace(Decision(held, None, basis, (gone,)), closes=closes)
