"""The parts of a calendar's body: opening hours, dates, the team, locations, lengths."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from hoop_platform.http.parse import Body, OneLine

KEPT = "Only kept, and shown."
READ_ONLY = "Deprecated; answered, and not read: `locationConfigurations` says it."
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
    """`30.0` is as whole as `30`."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def no_flag(value: object) -> object:
    """To Python, though not to JSON, `true` is 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "must be a number")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Minutes = Annotated[Whole, Field(ge=1, le=1440)]
Buffer = Annotated[Whole, Field(ge=0, le=1440)]
MinsOrHours = Literal["mins", "hours"]


def _day(value: object) -> object:
    """`2027-03-01T00:00:00.000Z`, which means the local date, or just the date."""
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
        json_schema_extra={"enum": list(PRIORITIES)},
        description="With equal distribution, 0, 0.5 and 1 are one, two and three parts of what"
        " there is; else the highest who is free comes first.",
    ),
    AfterValidator(_one_of(*PRIORITIES)),
]


def _harmless(text: str) -> str:
    """A place that is a link is one to follow: no script, no document of its own (RFC 2397)."""
    scheme = text.partition(":")[0].strip().lower()
    if scheme in ("javascript", "data", "vbscript", "file", "blob"):
        raise PydanticCustomError("scheme", "must not be a link of this scheme")
    return text


Place = Annotated[OneLine, AfterValidator(_harmless)]
Link = Annotated[str, Field(max_length=2000, pattern=r"^https?://[^\s\x00-\x1f]+$")]
Address = Annotated[
    str, Field(max_length=254, pattern=r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]+$")
]


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
    """On each of these days, 0 being Sunday."""

    days_of_the_week: list[Annotated[int, Field(ge=0, le=6)]] = Field(min_length=1, max_length=7)
    hours: list[Hours] = Field(max_length=24)


def _empty(value: object) -> object:
    """`{}`, as some clients read it and send it back, is no hours."""
    return [] if value == {} else value


Week = Annotated[
    list[OpenHours],
    BeforeValidator(_empty),
    Field(max_length=50, description="Replaced by the schedules that apply to the calendar."),
]


class Availability(Body):
    """One date, instead of its weekday's hours; no hours: closed."""

    date: Day
    hours: list[Hours] = Field(max_length=24)
    deleted: bool = False


class ChangedAvailability(Body):
    """With `id`: changes that one, or deletes it. Without: the date's one, which may be new."""

    id: str | None = None
    date: Day | None = None
    hours: list[Hours] = Field(default=[], max_length=24)
    deleted: bool = False

    @model_validator(mode="after")
    def _says_enough(self) -> Self:
        if self.id is None and self.date is None:
            raise PydanticCustomError("missing", "needs a date, or the id of a date there is")
        return self


class LocationConfiguration(Body):
    """Where it takes place. A conference link is made by the provider: `location` means nothing then."""

    kind: LocationKind
    location: Place | None = None
    meeting_id: str | None = Field(
        None,
        exclude=True,
        description="Answered, and not read: what an appointment's `meetingLocationId` names.",
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
        description="Several only where there is one member, and not of a class.",
    )
    meeting_location_type: str | None = Field(None, exclude=True, description=READ_ONLY)
    meeting_location: str | None = Field(None, exclude=True, description=READ_ONLY)


class LookBusy(Body):
    """So many of a hundred free times are not offered; they can be booked all the same."""

    enabled: bool = False
    look_busy_percentage: int = Field(alias="LookBusyPercentage", ge=0, le=100)


class Recurring(Body):
    """With `enableRecurring`: what is booked without an `rrule` becomes so many appointments."""

    freq: Literal["DAILY", "WEEKLY", "MONTHLY"]
    count: int = Field(ge=1, le=24)
    booking_option: Literal["skip", "continue", "book_next"] = Field(
        default="skip",
        description="What becomes of an occurrence whose time is taken: none, one that takes no"
        " time, or the next free time.",
    )
    booking_overlap_default_status: Literal["confirmed", "new"] = Field(
        default="confirmed", description=KEPT
    )


class Notification(Body):
    """Deprecated; only kept. `/calendars/{calendarId}/notifications` is what counts."""

    type: Literal["email"] = "email"
    should_send_to_contact: bool
    should_send_to_guest: bool
    should_send_to_user: bool
    should_send_to_selected_users: bool
    selected_users: str = Field(max_length=5000, description="E-mail addresses, comma-joined.")
