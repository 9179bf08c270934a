"""The bodies of appointments and holds: names, types and bounds as clients of the API know them."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from hoop_platform.http.parse import Body, Instant, OneLine, Text

Status = Literal[
    "new", "confirmed", "cancelled", "showed", "noshow", "invalid", "active", "completed"
]
PlaceKind = Literal["custom", "zoom", "gmeet", "phone", "address", "ms_teams", "google"]
RuleText = Annotated[str, StringConstraints(max_length=500)]


class AppointmentFields(Body):
    """What both creating and changing an appointment take."""

    title: OneLine | None = None
    description: Text | None = None
    address: OneLine | None = Field(
        default=None, description="Said alone, it makes `meetingLocationType` `custom`."
    )
    meeting_location_type: PlaceKind | None = Field(
        default=None, description="Instead of one of the calendar's locations."
    )
    meeting_location_id: OneLine | None = Field(
        default=None,
        description="`default`, or a `meetingId` of the `locationConfigurations` of the calendar"
        " or of the assigned member.",
    )
    override_location_config: bool | None = Field(
        default=None,
        description="Where both are said: true takes `meetingLocationType`, false"
        " `meetingLocationId`. Need not be sent.",
    )
    appointment_status: Status | None = None
    assigned_user_id: OneLine | None = Field(
        default=None, description="A member of the calendar; absent: whoever is free, or as it is."
    )
    ignore_date_range: bool = Field(
        default=False, description="Skips minimum notice and booking horizon."
    )
    ignore_free_slot_validation: bool = Field(
        default=False,
        description="Skips the calendar's rules, and what `ignoreDateRange` skips; never what"
        " would put somebody in two places.",
    )
    to_notify: bool = Field(default=True, description="False: nobody is told of this change.")

    @model_validator(mode="after")
    def _names_one_location(self) -> Self:
        override, kind, chosen = (
            self.override_location_config,
            self.meeting_location_type,
            self.meeting_location_id,
        )
        if override and chosen is not None and kind is None:
            raise PydanticCustomError(
                "location", "overrideLocationConfig is false with only a meetingLocationId"
            )
        if override is False and kind is not None and chosen is None:
            raise PydanticCustomError(
                "location", "overrideLocationConfig is true with only a meetingLocationType"
            )
        return self

    @property
    def place(self) -> str | None:
        """The kind of place that is wanted instead of a configured one."""
        wins = self.meeting_location_id is None or self.override_location_config
        return self.meeting_location_type if wins else None

    @property
    def place_id(self) -> str | None:
        """The configured place that is wanted."""
        return None if self.place is not None else self.meeting_location_id


class CreateAppointment(AppointmentFields):
    calendar_id: OneLine
    location_id: OneLine
    contact_id: OneLine
    start_time: Instant
    end_time: Instant | None = Field(
        default=None, description="Absent: the calendar's `slotDuration` after the start."
    )
    rrule: RuleText | None = Field(
        default=None,
        description="A recurrence rule (RFC 5545) without DTSTART: FREQ DAILY, WEEKLY or MONTHLY;"
        " COUNT up to 24, or UNTIL; INTERVAL; BYDAY with WEEKLY, BYMONTHDAY with MONTHLY. Each"
        " occurrence becomes an appointment of its own; `occurrences` says what became of each.",
    )
    hold_id: OneLine | None = Field(
        default=None, description="A hold of this time: the appointment takes its place and its id."
    )

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        check_times(self.start_time, self.end_time)
        if self.hold_id is not None and self.rrule is not None:
            raise PydanticCustomError("hold", "a hold is of one time: send holdId or rrule")
        return self


class UpdateAppointment(AppointmentFields):
    calendar_id: OneLine | None = None
    start_time: Instant | None = None
    end_time: Instant | None = None
    rrule: RuleText | None = Field(
        default=None, description="Only as it is: a series keeps the rule it was made by."
    )

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


class CreateHold(Body):
    start_time: Instant
    end_time: Instant | None = None
    assigned_user_id: OneLine | None = None
    ttl_seconds: int = Field(default=600, ge=1, le=900)

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        check_times(self.start_time, self.end_time)
        return self
