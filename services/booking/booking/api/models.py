"""The bodies of the calendars API: names, types and bounds as its clients know them."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from shared.http import Body, Instant, OneLine, Query, Text

Minutes = Annotated[float, Field(gt=0, le=1440, multiple_of=1)]
Buffer = Annotated[float, Field(ge=0, le=1440, multiple_of=1)]
Count = Annotated[int, Field(ge=0, le=9999)]
MinsOrHours = Literal["mins", "hours"]
Status = Literal[
    "new", "confirmed", "cancelled", "showed", "noshow", "invalid", "active", "completed"
]
PlaceKind = Literal["custom", "zoom", "gmeet", "phone", "address", "ms_teams", "google"]
LocationKind = Literal[
    "custom",
    "zoom_conference",
    "google_conference",
    "ms_teams_conference",
    "inbound_call",
    "outbound_call",
    "physical",
    "booker",
]


def _day(value: object) -> object:
    """`2027-03-01T00:00:00.000Z`, which means the local date, or just the date."""
    plain = isinstance(value, str) and value[10:] in ("", "T00:00:00.000Z")
    return date.fromisoformat(str(value)[:10]) if plain else value


def _one_of(*allowed: float) -> Callable[[float], float]:
    def check(value: float) -> float:
        if value not in allowed:
            expected = ", ".join(f"'{a:g}'" for a in allowed)
            raise PydanticCustomError("enum", "must be one of {expected}", {"expected": expected})
        return value

    return check


class Hours(Body):
    """From opening to closing; `23:60` and `24:00` mean midnight."""

    open_hour: int = Field(ge=0, le=23)
    open_minute: int = Field(ge=0, le=60)
    close_hour: int = Field(ge=0, le=24)
    close_minute: int = Field(ge=0, le=60)

    @model_validator(mode="after")
    def _closes_after_it_opens(self) -> Self:
        opens = self.open_hour * 60 + self.open_minute
        closes = self.close_hour * 60 + self.close_minute
        if not opens < closes <= 1440:
            raise PydanticCustomError("hours", "must close after it opens, by midnight")
        return self


class OpenHours(Body):
    days_of_the_week: list[Annotated[int, Field(ge=0, le=6)]] = Field(min_length=1, max_length=7)
    hours: list[Hours] = Field(max_length=24)


class Availability(Body):
    date: Annotated[date, BeforeValidator(_day)]
    hours: list[Hours] = Field(max_length=24)
    deleted: bool = False


class LocationConfiguration(Body):
    kind: LocationKind
    location: OneLine | None = None


class TeamMember(Body):
    user_id: str
    priority: Annotated[float, AfterValidator(_one_of(0, 0.5, 1))] = 0.5
    is_primary: bool = False
    location_configurations: list[LocationConfiguration] = Field(default=[], max_length=10)


class LookBusy(Body):
    enabled: bool = False
    look_busy_percentage: int = Field(alias="LookBusyPercentage", ge=0, le=100)


class CalendarSettings(Body):
    """What both creating and changing a calendar take."""

    is_active: bool = True
    description: Text | None = None
    slug: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,99}$")] | None = None
    widget_type: Literal["classic", "default"] = "classic"
    event_type: Literal[
        "RoundRobin_OptimizeForAvailability", "RoundRobin_OptimizeForEqualDistribution"
    ] = "RoundRobin_OptimizeForAvailability"
    event_title: OneLine = "{{contact.name}}"
    event_color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] = "#039be5"
    team_members: list[TeamMember] = Field(default=[], max_length=100)
    location_configurations: list[LocationConfiguration] = Field(default=[], max_length=10)
    slot_duration: Minutes = 30
    slot_duration_unit: MinsOrHours = "mins"
    slot_interval: Minutes = 30
    slot_interval_unit: MinsOrHours = "mins"
    slot_buffer: Buffer = 0
    slot_buffer_unit: MinsOrHours = "mins"
    pre_buffer: Buffer = 0
    pre_buffer_unit: MinsOrHours = "mins"
    appoinment_per_slot: Annotated[int, Field(ge=1, le=9999)] = 1
    appoinment_per_day: Count | None = None
    allow_booking_after: Count = 0
    allow_booking_after_unit: Literal["mins", "hours", "days", "weeks", "months"] = "hours"
    allow_booking_for: Count | None = None
    allow_booking_for_unit: Literal["days", "weeks", "months"] = "days"
    open_hours: list[OpenHours] = Field(default=[], max_length=50)
    availability_type: Annotated[int, Field(ge=0, le=1)] | None = None
    availabilities: list[Availability] = Field(default=[], max_length=500)
    auto_confirm: bool = True
    allow_reschedule: bool = True
    allow_cancellation: bool = True
    google_invitation_emails: bool = False
    notes: Text | None = None
    look_busy_config: LookBusy | None = None

    @model_validator(mode="after")
    def _fits_a_day(self) -> Self:
        for name in ("slot_duration", "slot_interval", "slot_buffer", "pre_buffer"):
            if getattr(self, f"{name}_unit") == "hours" and getattr(self, name) > 24:
                raise PydanticCustomError("too_long", "no length may exceed a day")
        return self

    def sent(self) -> dict[str, object]:
        """Only what the client said, in the API's names."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class CreateCalendar(CalendarSettings):
    location_id: str
    name: Annotated[OneLine, Field(min_length=1)]
    calendar_type: Literal[
        "round_robin", "event", "class_booking", "collective", "service_booking", "personal"
    ] = "event"

    @model_validator(mode="after")
    def _members_fit_the_type(self) -> Self:
        count = len(self.team_members)
        primaries = sum(member.is_primary for member in self.team_members)
        if self.calendar_type == "personal" and count != 1:
            raise PydanticCustomError("members", "a personal calendar has exactly one member")
        if self.calendar_type == "collective" and primaries != 1:
            raise PydanticCustomError("primary", "a collective calendar has one primary member")
        if self.calendar_type in ("round_robin", "class_booking", "service_booking") and not count:
            raise PydanticCustomError("members", "this type of calendar needs a member")
        if len({member.user_id for member in self.team_members}) != count:
            raise PydanticCustomError("members", "a member stands in the team once")
        return self

    def settings(self) -> dict[str, object]:
        """Everything, defaults included, except what has a column of its own."""
        return self.model_dump(mode="json", by_alias=True, exclude={"location_id"})


class UpdateCalendar(CalendarSettings):
    name: Annotated[OneLine, Field(min_length=1)] = "unchanged"


class CreateAppointment(Body):
    calendar_id: str
    location_id: str
    contact_id: str
    start_time: Instant
    end_time: Instant | None = None
    title: OneLine | None = None
    description: Text | None = None
    address: OneLine | None = None
    meeting_location_type: PlaceKind | None = None
    appointment_status: Status | None = None
    assigned_user_id: str | None = None
    ignore_date_range: bool = False
    ignore_free_slot_validation: bool = False
    to_notify: bool = True

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        check_times(self.start_time, self.end_time)
        return self


class UpdateAppointment(Body):
    calendar_id: str | None = None
    start_time: Instant | None = None
    end_time: Instant | None = None
    title: OneLine | None = None
    description: Text | None = None
    address: OneLine | None = None
    meeting_location_type: PlaceKind | None = None
    appointment_status: Status | None = None
    assigned_user_id: str | None = None
    ignore_date_range: bool = False
    ignore_free_slot_validation: bool = False
    to_notify: bool = True

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        check_times(self.start_time, self.end_time)
        return self


def check_times(start: Instant | None, end: Instant | None) -> None:
    """An appointment ends after it starts, within 31 days."""
    if start is None or end is None:
        return
    if not start < end:
        raise PydanticCustomError("end_time", "endTime must be later than startTime")
    if (end - start).days > 31:
        raise PydanticCustomError("end_time", "an appointment lasts 31 days at most")


class InLocation(Query):
    location_id: str
