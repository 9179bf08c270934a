"""The lists of appointments and block slots of a location, a calendar, a user or a group."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from booking.api.block_slots import BlockSlotResponse, present_block_slot
from booking.api.presenters import present_appointment
from booking.api.schemas.appointments import AppointmentResponse, Status
from booking.api.validation import check_group
from booking.store import calendar_events as store
from booking.store.calendars import get_calendar, list_calendar_ids_of_group
from hoop_events.booking import Appointment
from hoop_events.calendars import BlockSlot
from hoop_platform.auth import location_zone
from hoop_platform.errors import LocationForbidden, NotFound, invalid
from hoop_platform.http.cursor import decode, encode, foreign
from hoop_platform.http.parse import Instant, Query
from hoop_platform.http.route import AnyCall, Call, ResponseModel, Route
from hoop_platform.ids import is_id
from hoop_scheduling.zones import epoch_ms, utc_datetime

LAST_MS = 7_258_118_400_000  # the year 2200
MAX_PAGE = 1000
NO_ID = "0" * 26
"""Below all ids, and no user's."""
FIRST: store.Position = (utc_datetime(0), NO_ID)
"""Before the first item of any list."""
_MILLISECONDS = re.compile(r"\d{13}", re.ASCII)
Item = TypeVar("Item", Appointment, BlockSlot)


def _iso_of_epoch(value: object) -> object:
    """Epoch milliseconds as ISO 8601, which the type itself reads."""
    if isinstance(value, str) and _MILLISECONDS.fullmatch(value):
        return utc_datetime(int(value)).isoformat(timespec="milliseconds")
    return value


QueryInstant = Annotated[Instant, BeforeValidator(_iso_of_epoch)]
"""An instant in a query: 13 digits of epoch milliseconds, or ISO 8601 with an offset."""


class TimeRangeQuery(Query):
    """`[startTime, endTime)`."""

    start_time: QueryInstant = Field(description="Epoch milliseconds, or ISO 8601 with an offset.")
    end_time: QueryInstant = Field(description="Epoch milliseconds, or ISO 8601 with an offset.")

    @field_validator("end_time")
    @classmethod
    def _ends_after_it_starts(cls, end: datetime, info: ValidationInfo) -> datetime:
        start = info.data.get("start_time")
        if start is not None and not start < end:
            raise PydanticCustomError("range", "endTime must be later than startTime")
        return end


class BlockSlotListQuery(TimeRangeQuery):
    """What overlaps `[startTime, endTime)`."""

    location_id: str
    calendar_id: str | None = None
    user_id: str | None = None
    group_id: str | None = Field(None, description="The calendars that are in this group now.")
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = MAX_PAGE
    cursor: str | None = Field(None, description="The `nextCursor` of the last response.")


class CalendarEventListQuery(BlockSlotListQuery):
    """With several of calendar, user and group: what belongs to all; without: all of the location."""

    status: list[Status] | None = Field(None, max_length=8, description="In one of these only.")
    updated_after: QueryInstant | None = Field(None, description="Changed later than this only.")
    needs_host: bool = Field(
        False,
        description="true: only appointments of which a host was deleted.",
    )


class AppointmentListResponse(ResponseModel):
    """`nextCursor` is there only when there is another page."""

    events: list[AppointmentResponse]
    next_cursor: str | None = None


class ListedBlockSlot(BlockSlotResponse):
    """A block slot with the fields of an appointment, which are empty."""

    contact_id: str = ""
    group_id: str = ""
    appointment_status: str = ""
    users: list[str] = []


EMPTY_FIELDS = {
    "calendarId": "",
    "assignedUserId": "",
    "contactId": "",
    "groupId": "",
    "appointmentStatus": "",
    "users": [],
}
"""The fields of an appointment that clients read of block slots as well."""


class BlockSlotListResponse(ResponseModel):
    events: list[ListedBlockSlot]
    next_cursor: str | None = None


async def list_events(call: Call[None, CalendarEventListQuery]) -> dict[str, Any]:
    query = call.query
    await location_zone(call.caller, query.location_id, call.runtime.tables)
    chosen = await _calendars(call, query)
    calendars = None if not chosen else sorted(set(chosen[0]).intersection(*chosen))
    filters = replace(
        _filters(query, calendars),
        statuses=query.status,
        updated_after=query.updated_after,
        needs_host=query.needs_host,
    )
    found = await store.list_appointments(call.runtime.db, call.account_id, filters)
    return page(found, query.limit, present_appointment)


async def list_block_slots(call: Call[None, BlockSlotListQuery]) -> dict[str, Any]:
    """The block slots of any of the given calendar, user, and calendars of the group."""
    query = call.query
    zone = await location_zone(call.caller, query.location_id, call.runtime.tables)
    if (query.calendar_id, query.user_id, query.group_id) == (None, None, None):
        raise invalid("calendarId", "missing", "calendarId, userId or groupId must be given")
    calendars = sorted({one for some in await _calendars(call, query) for one in some})
    found = await store.list_block_slots(
        call.runtime.db, call.account_id, _filters(query, calendars)
    )
    return page(
        found, query.limit, lambda block: {**EMPTY_FIELDS, **present_block_slot(block, zone)}
    )


async def _calendars(call: AnyCall, query: BlockSlotListQuery) -> list[list[str]]:
    """The calendar of `calendarId`, and the calendars of `groupId`, of each that is given."""
    chosen = []
    if query.calendar_id is not None:
        known = is_id(query.calendar_id) and await get_calendar(
            call.runtime.db, call.account_id, query.calendar_id
        )
        if not known or known.location_id != query.location_id:
            raise NotFound("calendarId")
        chosen.append([query.calendar_id])
    if query.group_id is not None:
        await check_group(call, query.group_id)
        chosen.append(
            await list_calendar_ids_of_group(call.runtime.db, call.account_id, query.group_id)
        )
    return chosen


def _filters(
    query: BlockSlotListQuery, calendars: Sequence[str] | None
) -> store.CalendarEventFilter:
    return store.CalendarEventFilter(
        location_id=query.location_id,
        start=query.start_time,
        end=query.end_time,
        calendars=calendars,
        user=query.user_id if query.user_id is None or is_id(query.user_id) else NO_ID,
        after=position(query.cursor) or FIRST,
        limit=query.limit + 1,
    )


def position(cursor: str | None) -> store.Position | None:
    """The position of a cursor; None without a cursor, at the beginning of a list."""
    if cursor is None:
        return None
    milliseconds, last = decode(cursor, int, str)
    if not 0 <= int(milliseconds) < LAST_MS or not is_id(str(last)):
        raise foreign()
    return utc_datetime(int(milliseconds)), str(last)


def page(
    found: Sequence[Item], limit: int, present: Callable[[Item], dict[str, Any]]
) -> dict[str, Any]:
    """The response of a list; `found` has one item more than `limit` if there is another page."""
    body: dict[str, Any] = {"events": [present(one) for one in found[:limit]]}
    if len(found) > limit:
        last = found[limit - 1]
        body["nextCursor"] = encode([epoch_ms(last.start_time), last.id])
    return body


ROUTES = (
    Route(
        "GET",
        "/calendars/events",
        list_events,
        "calendars/events.readonly",
        query=CalendarEventListQuery,
        reply=AppointmentListResponse,
        summary="Get calendar events",
        description="Appointments that overlap the time, cancelled ones too, in order of start."
        " `calendarId`, `userId` and `groupId` narrow; without them, all of the location. With"
        " `needsHost=true` those of which a host was deleted.",
        refusals=(LocationForbidden, NotFound),
    ),
    Route(
        "GET",
        "/calendars/blocked-slots",
        list_block_slots,
        "calendars/events.readonly",
        query=BlockSlotListQuery,
        reply=BlockSlotListResponse,
        summary="Get blocked slots",
        description="Block slots that overlap the time, in order of start. At least one of"
        " `calendarId`, `userId` and `groupId` is needed; with several, those of any.",
        refusals=(LocationForbidden, NotFound),
    ),
)
