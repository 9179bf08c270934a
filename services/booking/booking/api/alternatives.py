"""Alternatives in the response: free times near a requested time that is taken."""

from booking.api.presenters import local_time
from booking.domain.alternatives import SEARCH_AFTER, SEARCH_BEFORE, nearest
from booking.domain.requested_time import SlotLost
from booking.store.alternatives import get_calendar_window
from hoop_platform.errors import SlotUnavailable
from hoop_platform.http.route import AnyCall


async def with_alternatives(call: AnyCall, lost: SlotLost) -> SlotUnavailable:
    """The refusal of a taken time with up to five alternatives."""
    start, end = lost.request.start, lost.request.end
    window = await get_calendar_window(
        call.runtime.db,
        call.account_id,
        lost.calendar_id,
        start=start - SEARCH_BEFORE,
        end=start + SEARCH_AFTER,
    )
    if window is None:
        return lost
    zone, length = window.calendar.time_zone, window.calendar.length
    others = nearest(window, start, now=call.now, host=lost.request.host)
    if end - start != length:
        others = []  # another length than the calendar's needs a request that skips the rules
    alternatives = [
        {"startTime": local_time(one, zone), "endTime": local_time(one + length, zone)}
        for one in others
    ]
    return SlotUnavailable(details=lost.details, extra={**lost.extra, "alternatives": alternatives})
