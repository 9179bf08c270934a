"""Holds: a seat that is kept for some minutes, then released or booked."""

from datetime import datetime, timedelta

from booking.domain.assignment import assign_seat
from booking.domain.decisions import (
    Decision,
    closed_session,
    enter_session,
    entered,
    hold_deleted,
    locks,
)
from booking.domain.requested_time import RequestedTime
from booking.domain.snapshot import Snapshot
from hoop_events.booking import Hold, HoldChanged
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
    entry = enter_session(None, request.end, found, session_id=session_id)
    fixed = locks(None, snapshot, entry, (*found.hosts, *found.resources))
    after = Hold(
        id=hold_id,
        sequence=1,
        calendar_id=snapshot.calendar.id,
        start_time=request.start,
        end_time=request.end,
        expires_at=until,
        versions=fixed.versions,
        **entered(snapshot, entry, found),
    )
    event = HoldChanged(account_id=snapshot.calendar.account_id, state=after)
    return Decision(None, after, snapshot, (event,), fixed, found.seat, entry)


def release(held: Hold, snapshot: Snapshot, *, reason: str, actor: str | None = None) -> Decision:
    """Give the seat back; `reason` is `expired`, or `released` by the client that held it."""
    fixed = locks(held, snapshot, None, ())
    gone = hold_deleted(held, snapshot, fixed, reason=reason, actor=actor)
    closes = closed_session(held, snapshot, entry=None, occupies=False)
    return Decision(held, None, snapshot, (gone,), fixed, closes=closes)
