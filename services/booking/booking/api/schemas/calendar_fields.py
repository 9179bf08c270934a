"""The fields of a calendar's body: open hours, dates, members, locations, lengths."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from hoop_platform.http.parse import Body, OneLine

STORED_ONLY = "Stored and shown, without further effect."
OF_CONTACTS = f"{STORED_ONLY} It will bind a contact's own links, never an API key."
READ_ONLY = "Deprecated and read-only: `locationConfigurations` replaces it."
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
PRIORITIES = (0, 0.5, 1)


def _whole(value: object) -> object:
    """`30.0` is read as `30`."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def no_boolean(value: object) -> object:
    """Refuse a boolean, which Python would read as a number."""
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "must be a number")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Minutes = Annotated[Whole, Field(ge=1, le=1440)]
Buffer = Annotated[Whole, Field(ge=0, le=1440)]
MinsOrHours = Literal["mins", "hours"]


def _day(value: object) -> object:
    """The date of `2027-03-01` or `2027-03-01T00:00:00.000Z`, which both mean the local date."""
    plain = isinstance(value, str) and value[10:] in ("", "T00:00:00.000Z")
    return date.fromisoformat(str(value)[:10]) if plain else value


Day = Annotated[
    date,
    BeforeValidator(_day),
    Field(
        ge=date(1970, 1, 1),
        le=date(2199, 12, 31),
        description="The local date, `2027-03-01` or `2027-03-01T00:00:00.000Z`.",
    ),
]


def _one_of(*allowed: float) -> Callable[[float], float]:
    def check(value: float) -> float:
        if value not in allowed:
            expected = ", ".join(f"'{a:g}'" for a in allowed)
            raise PydanticCustomError("enum", "must be one of {expected}", {"expected": expected})
        return value

    return check


Priority = Annotated[
    float,
    Field(
        json_schema_extra={"minimum": 0, "maximum": 1, "multipleOf": 0.5},
        description="With equal distribution, 0, 0.5 and 1 are one, two and three shares of the"
        " appointments; else the free member with the highest priority comes first.",
    ),
    AfterValidator(_one_of(*PRIORITIES)),
]


def _harmless_link(text: str) -> str:
    """Refuse a link that runs a script or contains a document itself (RFC 2397)."""
    scheme = text.partition(":")[0].strip().lower()
    if scheme in ("javascript", "data", "vbscript", "file", "blob"):
        raise PydanticCustomError("scheme", "must not be a link of this scheme")
    return text


LocationText = Annotated[OneLine, AfterValidator(_harmless_link)]
Link = Annotated[str, Field(max_length=2000, pattern=r"^https?://[^\s\x00-\x1f]+$")]
Address = Annotated[
    str, Field(max_length=254, pattern=r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]+$")
]


class CalendarHours(Body):
    """An interval of open hours; `23:60` and `24:00` mean midnight."""

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
    """The open hours of these days of the week, 0 being Sunday."""

    days_of_the_week: list[Annotated[int, Field(ge=0, le=6)]] = Field(min_length=1, max_length=7)
    hours: list[CalendarHours] = Field(max_length=24)


def _empty_list(value: object) -> object:
    """`{}`, which some clients send for no hours, is read as `[]`."""
    return [] if value == {} else value


Week = Annotated[
    list[OpenHours],
    BeforeValidator(_empty_list),
    Field(max_length=50, description="Replaced by the schedules that apply to the calendar."),
]


class DateAvailability(Body):
    """The open hours of one date, instead of its weekday's; no hours: closed."""

    date: Day
    hours: list[CalendarHours] = Field(max_length=24)
    deleted: bool = False


class DateAvailabilityPatch(Body):
    """With `id`: changes or deletes that entry. Without: replaces the date's entry, or adds one."""

    id: str | None = None
    date: Day | None = None
    hours: list[CalendarHours] = Field(default=[], max_length=24)
    deleted: bool = False

    @model_validator(mode="after")
    def _says_enough(self) -> Self:
        if self.id is None and self.date is None:
            raise PydanticCustomError("missing", "needs a date, or the id of an existing entry")
        return self


class LocationConfiguration(Body):
    """The venue. For a conference the provider creates the link, and `location` is not used."""

    kind: LocationKind
    location: LocationText | None = None
    meeting_id: str | None = Field(
        None,
        exclude=True,
        description="Read-only: the value for an appointment's `meetingLocationId`.",
    )


class TeamMember(Body):
    user_id: str
    priority: Priority = 0.5
    is_primary: bool = Field(
        default=False, description="Of a collective calendar, exactly one member is."
    )
    location_configurations: list[LocationConfiguration] = Field(
        default=[],
        max_length=10,
        description="Several only with one member, and not on class_booking calendars.",
    )
    meeting_location_type: str | None = Field(None, exclude=True, description=READ_ONLY)
    meeting_location: str | None = Field(None, exclude=True, description=READ_ONLY)


class LookBusy(Body):
    """The percentage of free times that is not offered; these times can still be booked."""

    enabled: bool = False
    look_busy_percentage: int = Field(alias="LookBusyPercentage", ge=0, le=100)


class Recurring(Body):
    """With `enableRecurring`: the series that is booked by a request without an `rrule`."""

    freq: Literal["DAILY", "WEEKLY", "MONTHLY"]
    count: int = Field(ge=1, le=24)
    booking_option: Literal["skip", "continue", "book_next"] = Field(
        default="skip",
        description="For an occurrence whose time is taken: skip it, create it without taking"
        " time, or book the next free time.",
    )
    booking_overlap_default_status: Literal["confirmed", "new"] = Field(
        default="confirmed",
        description="The status of an appointment that is booked without one into the buffer of"
        " another, with `ignoreFreeSlotValidation`. No host is booked twice at a time.",
    )


class CalendarNotification(Body):
    """Deprecated, stored only: `/calendars/{calendarId}/notifications` replaces it."""

    type: Literal["email"] = "email"
    should_send_to_contact: bool
    should_send_to_guest: bool
    should_send_to_user: bool
    should_send_to_selected_users: bool
    selected_users: str = Field(max_length=5000, description="E-mail addresses, comma-joined.")
