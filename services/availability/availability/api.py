"""HTTP: the free slots of a calendar."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self, TypedDict

import orjson
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from availability.domain import requested_hosts
from availability.store.cache import ViewCache
from availability.store.occupancy import get_excluded_appointment, list_versions
from availability.store.view import CalendarView
from hoop_platform import consistency_token
from hoop_platform.errors import CalendarInactive, NotFound, invalid
from hoop_platform.http.parse import Query, epoch_unit, time_error
from hoop_platform.http.route import Call, Reply, ResponseModel, Route
from hoop_platform.ids import is_id
from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.explain import explain
from hoop_scheduling.listing import Slot, free_slots, list_slots
from hoop_scheduling.without_one import ExcludedAppointment
from hoop_scheduling.zones import DAY, epoch_ms, is_zone, spans_at_most, utc_datetime

LONGEST_RANGE = 31
"""Local days, of the zone of the response."""
LONGEST_QUERY = (LONGEST_RANGE + 2) * DAY
"""Milliseconds: longer than so many days in any zone; refused before the calendar's zone is known."""
TOO_LONG = "the range may span 31 local days at most"
LAST_MS = 7_258_118_400_000  # the year 2200
TOKEN_SECONDS = 0.3
POLL_SECONDS = 0.01


def _zone(name: str) -> str:
    if not is_zone(name):
        raise PydanticCustomError("time_zone", "must be a time zone of the IANA database")
    return name


def _flag(value: object) -> object:
    """`true` and `false`, as JSON spells them, and no other spelling that pydantic accepts."""
    if value not in ("true", "false", True, False):
        raise PydanticCustomError("bool", "must be true or false")
    return value


def _milliseconds(value: object) -> object:
    """Epoch milliseconds; refuses seconds, which would mean a day in January 1970."""
    if epoch_unit(value) == "seconds":
        raise time_error("is a time in seconds since 1970; milliseconds are needed")
    if isinstance(value, str) and not value.isdecimal():
        raise time_error("must be a time in milliseconds since 1970, such as 1803913200000")
    return value


EpochMs = Annotated[int, BeforeValidator(_milliseconds), Field(ge=0, lt=LAST_MS)]


class FreeSlotsQuery(Query):
    """A range of at most 31 local days in epoch milliseconds, a zone, users, and options."""

    start_date: EpochMs
    end_date: EpochMs
    timezone: Annotated[str, AfterValidator(_zone)] | None = None
    user_id: str | None = None
    user_ids: list[str] | None = Field(None, max_length=100)
    format: Literal["range"] | None = None
    """`range`: each slot with its end, the seats left and the users who can take it."""
    exclude_event_id: str | None = None
    """An appointment that is to be moved: answered as if it were gone."""
    explain: Annotated[bool, BeforeValidator(_flag)] = False
    """Name the rule that emptied each empty day."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if not self.start_date < self.end_date:
            raise PydanticCustomError("range", "endDate must be later than startDate")
        if self.end_date - self.start_date > LONGEST_QUERY:
            raise PydanticCustomError("range", TOO_LONG)
        return self

    @property
    def users(self) -> tuple[str, ...] | None:
        """The users named by either parameter, None if neither is given."""
        if self.user_ids is None and self.user_id is None:
            return None
        return tuple(self.user_ids or ()) + ((self.user_id,) if self.user_id else ())


class FreeSlotRange(ResponseModel):
    """A slot with `format=range`."""

    start: AwareDatetime
    end: AwareDatetime
    seats_left: int
    user_ids: list[str]


class FreeSlotsOfDate(ResponseModel):
    """The free starts of a date, or its slots with `format=range`."""

    slots: list[AwareDatetime] | list[FreeSlotRange]


class FreeSlotsReply(ResponseModel):
    """A day under each date that has free slots, such as `2027-03-01`."""

    __pydantic_extra__: dict[str, FreeSlotsOfDate | Any] = Field(init=False)


class SlotArguments(TypedDict):
    """The arguments that all functions of the slot engine share."""

    busy: Mapping[str, Busy]
    window: tuple[int, int]
    now: int
    seats: Mapping[tuple[str, int], Seats] | None
    day_counts: Mapping[date, int] | None
    hosts: Collection[str] | None
    leave_out: ExcludedAppointment | None


FreeSlotsCall = Call[None, FreeSlotsQuery]


async def get_free_slots(call: FreeSlotsCall) -> Reply:
    """Free starts by local date; dates without any are absent."""
    now, query = epoch_ms(call.now), call.query
    view, stale = await _view_for_token(call, now)
    zone = query.timezone or view.config.time_zone
    if not spans_at_most(LONGEST_RANGE, query.start_date, query.end_date, zone):
        raise invalid("endDate", "range", TOO_LONG)
    if not view.rules.active:
        raise CalendarInactive
    arguments = await _slot_arguments(call, view, now)
    if query.format is None:
        body = list_slots(view.rules, zone=zone, **arguments)
    else:
        body = orjson.dumps(_ranges_by_date(view, free_slots(view.rules, **arguments), zone))
    if query.explain:
        reasons = explain(view.rules, zone=zone, **arguments)
        body = _with_member(body, b'"explain":' + orjson.dumps(reasons))
    headers = {consistency_token.HEADER: view.token}
    return Reply(body, headers={**headers, "X-Stale": "true"} if stale else headers)


async def _slot_arguments(call: FreeSlotsCall, view: CalendarView, now: int) -> SlotArguments:
    query, seats, excluded = call.query, view.seats, None
    if query.exclude_event_id is not None:
        excluded = await _excluded_appointment(call, query.exclude_event_id, view.config.id)
        seats = view.all_seats(now)
    return {
        "busy": view.busy,
        "window": (query.start_date, query.end_date),
        "now": now,
        "seats": seats,
        "day_counts": view.day_counts,
        "hosts": requested_hosts(view.rules, query.users),
        "leave_out": excluded,
    }


async def _excluded_appointment(
    call: FreeSlotsCall, appointment_id: str, calendar_id: str
) -> ExcludedAppointment:
    """The appointment to leave out; raises NotFound if it is unknown or occupies no time."""
    if not is_id(appointment_id):
        raise NotFound("excludeEventId")
    runtime, account_id = call.runtime, call.account_id
    found = await runtime.known(
        lambda: get_excluded_appointment(runtime.db, account_id, appointment_id, calendar_id)
    )
    if found is None:
        raise NotFound("excludeEventId")
    return found


async def _view_for_token(call: FreeSlotsCall, now: int) -> tuple[CalendarView, bool]:
    """The view of the calendar, and whether it is still older than the request's token."""
    token = call.headers.get(consistency_token.HEADER)
    required = consistency_token.decode(token) if token else {}
    view = await _view(call, now)
    if not _is_older(view, required):
        return view, False
    try:
        async with asyncio.timeout(TOKEN_SECONDS):
            await _wait_for_versions(call, required)
    except TimeoutError:
        return await _view(call, now), True
    # The notification of the versions in the database may not have arrived here yet.
    cache = _cache(call)
    cache.invalidate([*required, *view.config.resources])
    cache.invalidate_rules(view.config.id)
    return await _view(call, now), False


def _is_older(view: CalendarView, required: Mapping[str, int]) -> bool:
    known = view.versions
    return any(known.get(id_, 0) < version for id_, version in required.items())


async def _wait_for_versions(call: FreeSlotsCall, required: Mapping[str, int]) -> None:
    """Poll until the events with these versions are applied."""
    while True:
        known = await list_versions(call.runtime.db, call.account_id, list(required))
        if all(known.get(id_, 0) >= version for id_, version in required.items()):
            return
        await asyncio.sleep(POLL_SECONDS)


async def _view(call: FreeSlotsCall, now: int) -> CalendarView:
    """The view of the calendar; raises NotFound if it is unknown even after catching up."""
    calendar_id, query, cache = call.id("calendarId"), call.query, _cache(call)
    window = (query.start_date, query.end_date)
    view = await call.runtime.known(
        lambda: cache.view(call.account_id, calendar_id, *window, now=now)
    )
    if view is None:
        raise NotFound
    return view


def _cache(call: FreeSlotsCall) -> ViewCache:
    runtime = call.runtime
    return ViewCache.of(runtime.db, intervals=runtime.settings.cache_intervals)


def _ranges_by_date(view: CalendarView, slots: list[Slot], zone: str) -> Mapping[str, object]:
    """The body with `format=range`: by local date, each slot an object."""
    calendar_id = view.config.id
    days: dict[str, dict[str, list[object]]] = {}
    for slot in slots:
        start = utc_datetime(slot.start, zone).isoformat()
        member = {
            "start": start,
            "end": utc_datetime(slot.end, zone).isoformat(),
            "seatsLeft": slot.seats_left,
            "userIds": [host for host in slot.hosts if host != calendar_id],
        }
        days.setdefault(start[:10], {"slots": []})["slots"].append(member)
    return days


def _with_member(body: bytes, member: bytes) -> bytes:
    """The JSON object with one more member."""
    return body[:-1] + (b"," if len(body) > len(b"{}") else b"") + member + b"}"


ROUTES = (
    Route(
        "GET",
        "/calendars/{calendarId}/free-slots",
        get_free_slots,
        "calendars.readonly",
        query=FreeSlotsQuery,
        reply=FreeSlotsReply,
        summary="Get free slots",
        description="By local date. Dates without any are absent; `explain` says why. A range has 31"
        " days at most, as the clocks of `timezone` (else of the calendar) count them.",
        headers=(consistency_token.HEADER,),
        refusals=(CalendarInactive,),
    ),
)
