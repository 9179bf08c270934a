"""A refusal because of a lost slot names free times near it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from booking.api.shown import local_time
from booking.domain.ahead import AFTER, BEFORE, nearest
from booking.domain.placing import SlotLost
from booking.store.ahead import ahead
from hoop_platform.errors import SlotUnavailable
from hoop_platform.http.route import Call


@asynccontextmanager
async def offering(call: Call) -> AsyncIterator[None]:
    """Whatever is refused in here because its time is taken is told of up to five others."""
    try:
        yield
    except SlotLost as lost:
        raise await _with_alternatives(call, lost) from None


async def _with_alternatives(call: Call, lost: SlotLost) -> SlotUnavailable:
    start, end = lost.wanted.start, lost.wanted.end
    found = await ahead(
        call.runtime.db, call.account_id, lost.calendar_id, start=start - BEFORE, end=start + AFTER
    )
    if found is None:
        return lost
    zone, length = found.calendar.time_zone, found.calendar.length
    others = nearest(found, start, now=call.now, host=lost.wanted.host)
    if end - start != length:
        others = []  # as long as that, only what skips the rules may be
    shown = [
        {"startTime": local_time(one, zone), "endTime": local_time(one + length, zone)}
        for one in others
    ]
    return SlotUnavailable(extra={**lost.extra, "alternatives": shown})
