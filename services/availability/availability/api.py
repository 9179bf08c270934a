"""Speaks HTTP: which slots are free."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from availability import store
from availability.domain import Offer, Question, free_slots
from shared.errors import NotFound
from shared.http import Call, Query, Route
from shared.slots import is_zone

LONGEST = timedelta(days=31)
LAST_MS = 7_258_118_400_000  # the year 2200


def _zone(name: str) -> str:
    if not is_zone(name):
        raise PydanticCustomError("time_zone", "must be a time zone of the IANA database")
    return name


EpochMs = Annotated[int, Field(ge=0, lt=LAST_MS)]


class FreeSlots(Query):
    """What is asked: a range of at most 31 days, in epoch milliseconds; a zone; users."""

    start_date: EpochMs
    end_date: EpochMs
    timezone: Annotated[str, AfterValidator(_zone)] | None = None
    user_id: str | None = None
    user_ids: list[str] | None = Field(None, max_length=100)

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if not self.start_date < self.end_date:
            raise PydanticCustomError("range", "endDate must be later than startDate")
        if self.end_date - self.start_date > LONGEST / timedelta(milliseconds=1):
            raise PydanticCustomError("range", "the range may span 31 days at most")
        return self

    def question(self, zone: str) -> Question:
        users = tuple(self.user_ids or ()) + ((self.user_id,) if self.user_id else ())
        return Question(
            start=datetime.fromtimestamp(self.start_date / 1000, UTC),
            end=datetime.fromtimestamp(self.end_date / 1000, UTC),
            zone=self.timezone or zone,
            users=users or None,
        )


async def get_free_slots(call: Call) -> dict[str, Any]:
    """Free starts by local date; days without any are absent."""
    offer = await _offer(call)
    question = call.query.question(offer.time_zone)
    database = call.runtime.db
    occupied = await store.occupied(database, offer, question.start, question.end)
    counts = await store.day_counts(database, offer, question.start, question.end)
    found = free_slots(offer, occupied, counts, question, now=call.now)
    return {day: {"slots": slots} for day, slots in found.items()}


async def _offer(call: Call) -> Offer:
    """The calendar; one made a moment ago elsewhere is waited for."""
    calendar_id = call.id("calendarId")
    offer = await store.calendar(call.runtime.db, call.account_id, calendar_id)
    if offer is None and await call.runtime.catch_up():
        offer = await store.calendar(call.runtime.db, call.account_id, calendar_id)
    if offer is None:
        raise NotFound
    return offer


ROUTES = (
    Route(
        "GET",
        "/calendars/{calendarId}/free-slots",
        get_free_slots,
        "calendars.readonly",
        query=FreeSlots,
        summary="Get free slots",
    ),
)
