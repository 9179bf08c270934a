"""Holds: a seat that is kept for some minutes, then released or booked."""

from dataclasses import replace
from datetime import datetime, timedelta

from booking.domain.assignment import RequestedTime, assign_seat
from booking.domain.decisions import Decision, buffers, closed_session, enter_session
from booking.domain.snapshot import Snapshot
from hoop_events.base import Change, Gone
from hoop_events.booking import Hold, HoldChanged, HoldDeleted
from hoop_platform.errors import invalid

MAX_HOLD = timedelta(minutes=30)


def hold(
    snapshot: Snapshot,
    request: RequestedTime,
    *,
    hold_id: str,
    session_id: str,
    until: datetime,
    now: datetime,
) -> Decision:
    """Hold the requested time, under the rules of a booking; raises the refusal if it is taken."""
    if not now < until <= now + MAX_HOLD:
        raise invalid("expiresAt", "too_long", "a hold lasts half an hour at most")
    found = assign_seat(snapshot, request, excluded=None, now=now)
    calendar = snapshot.calendar
    after = Hold(
        id=hold_id,
        sequence=1,
        calendar_id=calendar.id,
        location_id=calendar.location_id,
        start_time=request.start,
        end_time=request.end,
        time_zone=calendar.time_zone,
        session=session_id,
        hosts=found.hosts,
        resources=found.resources,
        expires_at=until,
    )
    entry = enter_session(None, after, found, session_id=session_id)
    after = after.model_copy(
        update={"session": entry.session_id, **buffers(snapshot, entry, found.joins)}
    )
    event = HoldChanged(account_id=calendar.account_id, state=after)
    return Decision(None, after, snapshot, (event,), found.seat, entry)


def release(held: Hold, snapshot: Snapshot, *, reason: str, actor: str | None = None) -> Decision:
    """Give the seat back; `reason` is `expired`, or `released` by the client that held it."""
    gone = HoldDeleted(
        account_id=snapshot.calendar.account_id,
        state=Gone(id=held.id, sequence=held.sequence + 1),
        change=Change(reason=reason, actor=actor),
    )
    closes = closed_session(held, snapshot, entry=None, occupies=False)
    return replace(Decision(held, None, snapshot, (gone,)), closes=closes)
