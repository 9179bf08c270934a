"""Speaks HTTP: which slots are free."""

import asyncio
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from availability import store
from availability.domain import asked_hosts
from availability.store import Memory, View
from hoop_platform import consistency_token
from hoop_platform.errors import CalendarInactive, NotFound
from hoop_platform.http.parse import Query
from hoop_platform.http.route import Call, Reply, ResponseModel, Route
from hoop_platform.ids import is_id
from hoop_scheduling.explain import explain
from hoop_scheduling.listing import Slot, free_slots, list_slots
from hoop_scheduling.zones import epoch_ms, is_zone, utc_datetime

LONGEST = timedelta(days=31)
LAST_MS = 7_258_118_400_000  # the year 2200
TOKEN_SECONDS = 0.3
LOOK_SECONDS = 0.01


def _zone(name: str) -> str:
    if not is_zone(name):
        raise PydanticCustomError("time_zone", "must be a time zone of the IANA database")
    return name


def _flag(value: object) -> object:
    """`true` and `false`, as JSON spells them, and nothing else that pydantic would take for these."""
    if value not in ("true", "false", True, False):
        raise PydanticCustomError("bool", "must be true or false")
    return value


EpochMs = Annotated[int, Field(ge=0, lt=LAST_MS)]


class FreeSlots(Query):
    """What is asked: a range of at most 31 days, in epoch milliseconds; a zone; users."""

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
        if self.end_date - self.start_date > LONGEST / timedelta(milliseconds=1):
            raise PydanticCustomError("range", "the range may span 31 days at most")
        return self

    @property
    def users(self) -> tuple[str, ...] | None:
        """The users named by either parameter; None: nobody."""
        if self.user_ids is None and self.user_id is None:
            return None
        return tuple(self.user_ids or ()) + ((self.user_id,) if self.user_id else ())


class SlotShown(ResponseModel):
    """A slot with `format=range`."""

    start: AwareDatetime
    end: AwareDatetime
    seats_left: int
    user_ids: list[str]


class DayShown(ResponseModel):
    """The free starts of a date, or its slots with `format=range`."""

    slots: list[AwareDatetime] | list[SlotShown]


class FreeSlotsReply(ResponseModel):
    """A day under each date that has free slots, such as `2027-03-01`."""

    __pydantic_extra__: dict[str, DayShown | Any] = Field(init=False)


async def get_free_slots(call: Call) -> Reply:
    """Free starts by local date; days without any are absent."""
    now = epoch_ms(call.now)
    view, stale = await _seen(call, now)
    if not view.rules.active:
        raise CalendarInactive
    asked: FreeSlots = call.query
    zone = asked.timezone or view.offer.time_zone
    question = await _question(call, view, now)
    if asked.format is None:
        body = list_slots(view.rules, zone=zone, **question)
    else:
        body = orjson.dumps(_ranges(view, free_slots(view.rules, **question), zone))
    if asked.explain:
        body = _with(body, b'"explain":' + orjson.dumps(explain(view.rules, zone=zone, **question)))
    headers = {consistency_token.HEADER: view.token}
    return Reply(body, headers={**headers, "X-Stale": "true"} if stale else headers)


async def _question(call: Call, view: View, now: int) -> dict[str, Any]:
    """What the engine is asked, in its own words."""
    asked: FreeSlots = call.query
    question: dict[str, Any] = {
        "busy": view.busy,
        "window": (asked.start_date, asked.end_date),
        "now": now,
        "seats": view.seats,
        "day_counts": view.day_counts,
        "hosts": asked_hosts(view.rules, asked.users),
    }
    if asked.exclude_event_id is not None:
        question["leave_out"] = await _leaving(call, asked.exclude_event_id, view.offer.id)
        question["seats"] = view.all_seats(now)
    return question


async def _leaving(call: Call, appointment_id: str, calendar_id: str) -> object:
    if not is_id(appointment_id):
        raise NotFound
    database = call.runtime.db
    found = await store.leaving(database, call.account_id, appointment_id, calendar_id)
    if found is None and await call.runtime.catch_up():
        found = await store.leaving(database, call.account_id, appointment_id, calendar_id)
    if found is None:
        raise NotFound
    return found


async def _seen(call: Call, now: int) -> tuple[View, bool]:
    """The calendar as it is known, and whether that is older than the read token asks for."""
    token = call.headers.get(consistency_token.HEADER)
    wanted = consistency_token.decode(token) if token else {}
    view = await _view(call, now)
    if not _older(view, wanted):
        return view, False
    try:
        async with asyncio.timeout(TOKEN_SECONDS):
            await _told(call, wanted)
    except TimeoutError:
        return await _view(call, now), True
    memory = _memory(call)
    memory.forget([*wanted, *view.offer.resources])  # it may not have heard yet of what is true now
    memory.forget_rules(view.offer.id)
    return await _view(call, now), False


def _older(view: View, wanted: dict[str, int]) -> bool:
    known = view.versions
    return any(known.get(id_, 0) < version for id_, version in wanted.items())


async def _told(call: Call, wanted: dict[str, int]) -> None:
    """Wait until events have told these versions."""
    while True:
        told = await store.versions_told(call.runtime.db, call.account_id, list(wanted))
        if all(told.get(id_, 0) >= version for id_, version in wanted.items()):
            return
        await asyncio.sleep(LOOK_SECONDS)


async def _view(call: Call, now: int) -> View:
    """The calendar; one made a moment ago elsewhere is waited for."""
    calendar_id, asked, memory = call.id("calendarId"), call.query, _memory(call)
    window = (asked.start_date, asked.end_date)
    view = await memory.view(call.account_id, calendar_id, *window, now=now)
    if view is None and await call.runtime.catch_up():
        view = await memory.view(call.account_id, calendar_id, *window, now=now)
    if view is None:
        raise NotFound
    return view


def _memory(call: Call) -> Memory:
    runtime = call.runtime
    return Memory.of(runtime.db, intervals=runtime.settings.memory_intervals)


def _ranges(view: View, slots: list[Slot], zone: str) -> dict[str, Any]:
    """By date, as the plain answer, but each slot an object."""
    own = view.offer.id
    days: dict[str, Any] = {}
    for slot in slots:
        start = utc_datetime(slot.start, zone).isoformat()
        said = {
            "start": start,
            "end": utc_datetime(slot.end, zone).isoformat(),
            "seatsLeft": slot.seats_left,
            "userIds": [host for host in slot.hosts if host != own],
        }
        days.setdefault(start[:10], {"slots": []})["slots"].append(said)
    return days


def _with(body: bytes, member: bytes) -> bytes:
    """A JSON object with one member more."""
    return body[:-1] + (b"," if len(body) > len(b"{}") else b"") + member + b"}"


ROUTES = (
    Route(
        "GET",
        "/calendars/{calendarId}/free-slots",
        get_free_slots,
        "calendars.readonly",
        query=FreeSlots,
        reply=FreeSlotsReply,
        summary="Get free slots",
        description="By local date. Dates without any are absent; `explain` says why.",
        headers=(consistency_token.HEADER,),
        refusals=(CalendarInactive,),
    ),
)
