"""The lists of what takes time: appointments, and block slots, of a calendar, a user or a group."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from booking.api.appointment_answers import AppointmentAnswer
from booking.api.appointment_bodies import Status
from booking.api.blocks import BlockShown
from booking.api.blocks import shown as shown_block
from booking.api.documents import known_group
from booking.api.shown import shown_appointment
from booking.store import calendars
from booking.store import events as store
from hoop_events.booking import Appointment
from hoop_events.calendars import BlockSlot
from hoop_platform.auth import location_zone
from hoop_platform.errors import LocationForbidden, NotFound, invalid
from hoop_platform.http.cursor import decode, encode, foreign
from hoop_platform.http.parse import Instant, Query
from hoop_platform.http.route import Call, ResponseModel, Route
from hoop_platform.ids import is_id
from hoop_scheduling.zones import epoch_ms, utc_datetime

LAST_MS = 7_258_118_400_000  # the year 2200
MOST = 1000
NOBODY = "0" * 26
FIRST: store.Place = (utc_datetime(0), NOBODY)
"""Before every appointment there can be."""
_MILLISECONDS = re.compile(r"\d{13}", re.ASCII)
Shown = TypeVar("Shown", Appointment, BlockSlot)


def _when(value: object) -> object:
    """Epoch milliseconds as ISO 8601, which is what the type itself reads."""
    if isinstance(value, str) and _MILLISECONDS.fullmatch(value):
        return utc_datetime(int(value)).isoformat(timespec="milliseconds")
    return value


Moment = Annotated[Instant, BeforeValidator(_when)]
"""A point in time in a query: 13 digits of epoch milliseconds, or ISO 8601 with an offset."""


class BlocksAsked(Query):
    """What lies at least in part in `[startTime, endTime)`."""

    location_id: str
    start_time: Moment = Field(description="Epoch milliseconds, or ISO 8601 with an offset.")
    end_time: Moment = Field(description="Epoch milliseconds, or ISO 8601 with an offset.")
    calendar_id: str | None = None
    user_id: str | None = None
    group_id: str | None = Field(None, description="Each calendar that is in this group now.")
    limit: Annotated[int, Field(ge=1, le=MOST)] = MOST
    cursor: str | None = Field(None, description="The last answer's `nextCursor`.")

    @field_validator("end_time")
    @classmethod
    def _ends_after_it_starts(cls, end: datetime, info: ValidationInfo) -> datetime:
        start = info.data.get("start_time")
        if start is not None and not start < end:
            raise PydanticCustomError("range", "endTime must be later than startTime")
        return end


class EventsAsked(BlocksAsked):
    """Who is named more than one of calendar, user and group gets what belongs to all of them."""

    status: list[Status] | None = Field(None, max_length=8, description="In one of these only.")
    updated_after: Moment | None = Field(None, description="Changed later than this only.")


class AppointmentsListed(ResponseModel):
    """`nextCursor` stands here only when there is more."""

    events: list[AppointmentAnswer]
    next_cursor: str | None = None


class BlockListed(BlockShown):
    """A block slot among events: what it has not is empty, for clients read it as an event."""

    contact_id: str = ""
    group_id: str = ""
    appointment_status: str = ""
    users: list[str] = []


AS_EVENT = {
    "calendarId": "",
    "assignedUserId": "",
    "contactId": "",
    "groupId": "",
    "appointmentStatus": "",
    "users": [],
}


class BlocksListed(ResponseModel):
    events: list[BlockListed]
    next_cursor: str | None = None


async def list_events(call: Call) -> dict[str, Any]:
    query: EventsAsked = call.query
    await location_zone(call.caller, query.location_id, call.runtime.tables)
    chosen = await _calendars(call, query)
    on = None if not chosen else sorted(set(chosen[0]).intersection(*chosen))
    wanted = _wanted(query, on, statuses=query.status, updated_after=query.updated_after)
    found = await store.appointments(call.runtime.db, call.account_id, wanted)
    return page(found, query.limit, shown_appointment)


async def list_blocks(call: Call) -> dict[str, Any]:
    """Those of the calendar, of the user and of each calendar of the group, whichever are named."""
    query: BlocksAsked = call.query
    zone = await location_zone(call.caller, query.location_id, call.runtime.tables)
    on = sorted({one for some in await _calendars(call, query) for one in some})
    found = await store.blocks(call.runtime.db, call.account_id, _wanted(query, on))
    return page(found, query.limit, lambda block: {**AS_EVENT, **shown_block(block, zone)})


async def _calendars(call: Call, query: BlocksAsked) -> list[list[str]]:
    """The calendars meant by `calendarId`, and those meant by `groupId`."""
    chosen = []
    if query.calendar_id is not None:
        known = is_id(query.calendar_id) and await calendars.calendar(
            call.runtime.db, call.account_id, query.calendar_id
        )
        if not known or known.location_id != query.location_id:
            raise NotFound
        chosen.append([query.calendar_id])
    if query.group_id is not None:
        await known_group(call, query.group_id)
        chosen.append(await store.calendars_in(call.runtime.db, call.account_id, query.group_id))
    if not chosen and query.user_id is None:
        raise invalid("calendarId", "missing", "calendarId, userId or groupId must be given")
    return chosen


def _wanted(query: BlocksAsked, on: Sequence[str] | None, **more: Any) -> store.Wanted:
    user = query.user_id if query.user_id is None or is_id(query.user_id) else NOBODY
    return store.Wanted(
        location_id=query.location_id,
        start=query.start_time,
        end=query.end_time,
        calendars=on,
        user=user,
        after=place(query.cursor) or FIRST,
        limit=query.limit + 1,
        **more,
    )


def place(cursor: str | None) -> store.Place | None:
    """Where the list goes on; None at its beginning."""
    if cursor is None:
        return None
    milliseconds, last = decode(cursor, int, str)
    if not 0 <= int(milliseconds) < LAST_MS or not is_id(str(last)):
        raise foreign()
    return utc_datetime(int(milliseconds)), str(last)


def page(
    found: Sequence[Shown], limit: int, show: Callable[[Shown], dict[str, Any]]
) -> dict[str, Any]:
    """The answer, of which one item more than shown was asked for, to see whether there is more."""
    shown: dict[str, Any] = {"events": [show(one) for one in found[:limit]]}
    if len(found) > limit:
        last = found[limit - 1]
        shown["nextCursor"] = encode([epoch_ms(last.start_time), last.id])
    return shown


ROUTES = (
    Route(
        "GET",
        "/calendars/events",
        list_events,
        "calendars/events.readonly",
        query=EventsAsked,
        reply=AppointmentsListed,
        summary="Get calendar events",
        description="Appointments that overlap the time, cancelled ones too, in order of start."
        " At least one of `calendarId`, `userId` and `groupId` is needed; several narrow.",
        refusals=(LocationForbidden, NotFound),
    ),
    Route(
        "GET",
        "/calendars/blocked-slots",
        list_blocks,
        "calendars/events.readonly",
        query=BlocksAsked,
        reply=BlocksListed,
        summary="Get blocked slots",
        description="Block slots that overlap the time, in order of start. At least one of"
        " `calendarId`, `userId` and `groupId` is needed; with several, those of any.",
        refusals=(LocationForbidden, NotFound),
    ),
)
