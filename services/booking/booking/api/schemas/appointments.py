"""The bodies of appointments and holds, and the responses."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from booking.domain.assignment import MAX_APPOINTMENT
from booking.domain.commands import AppointmentPatch
from hoop_platform.http.parse import Body, Instant, OneLine, Text
from hoop_platform.http.route import ResponseModel

Status = Literal[
    "new", "confirmed", "cancelled", "showed", "noshow", "invalid", "active", "completed"
]
MeetingLocationType = Literal["custom", "zoom", "gmeet", "phone", "address", "ms_teams", "google"]
RuleText = Annotated[str, StringConstraints(max_length=500)]


class AppointmentFields(Body):
    """The fields of both a new and a changed appointment."""

    title: OneLine | None = None
    description: Text | None = None
    address: OneLine | None = Field(
        default=None, description="Sent alone, it makes `meetingLocationType` `custom`."
    )
    meeting_location_type: MeetingLocationType | None = Field(
        default=None, description="Instead of one of the calendar's locations."
    )
    meeting_location_id: OneLine | None = Field(
        default=None,
        description="`default`, or a `meetingId` of the `locationConfigurations` of the calendar"
        " or of the assigned member.",
    )
    override_location_config: bool | None = Field(
        default=None,
        description="Where both are sent: true takes `meetingLocationType`, false"
        " `meetingLocationId`. Need not be sent.",
    )
    appointment_status: Status | None = None
    assigned_user_id: OneLine | None = Field(
        default=None,
        description="A member of the calendar; absent: a free one, or no change. Sent alone, it gives"
        " the appointment to that member, at the same time.",
    )
    ignore_date_range: bool = Field(
        default=False, description="Skips minimum notice and booking horizon."
    )
    ignore_free_slot_validation: bool = Field(
        default=False,
        description="Skips the calendar's rules, and what `ignoreDateRange` skips; a host or a"
        " resource is never booked twice at a time.",
    )
    to_notify: bool = Field(default=True, description="False: nobody is notified of this change.")

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
    def chosen_location_type(self) -> str | None:
        """The `meetingLocationType`, where it wins over `meetingLocationId`."""
        wins = self.meeting_location_id is None or self.override_location_config
        return self.meeting_location_type if wins else None

    @property
    def chosen_location_id(self) -> str | None:
        """The `meetingLocationId`, unless `meetingLocationType` wins."""
        return None if self.chosen_location_type is not None else self.meeting_location_id


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
        description="A recurrence rule (RFC 5545) without DTSTART: FREQ DAILY, WEEKLY, MONTHLY"
        " or YEARLY; COUNT up to 24, or UNTIL; INTERVAL, WKST, BYMONTH, BYMONTHDAY (`-1`), BYDAY"
        " (`2TU`, `-1FR`), BYSETPOS. `startTime` is one of the days that the rule names. Each"
        " occurrence becomes an appointment of its own; `occurrences` lists the outcome of each.",
    )
    hold_id: OneLine | None = Field(
        default=None, description="A hold of this time: the appointment takes its seat and its id."
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
        default=None, description="Only the present rule: the rule of a series cannot be changed."
    )

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        check_times(self.start_time, self.end_time)
        return self


def patch_of(body: CreateAppointment | UpdateAppointment, *, actor: str) -> AppointmentPatch:
    """The fields of a request as a command; `actor` is the API key."""
    return AppointmentPatch(
        calendar_id=body.calendar_id,
        start=body.start_time,
        end=body.end_time,
        host=body.assigned_user_id,
        status=body.appointment_status,
        meeting_location_type=body.chosen_location_type,
        meeting_location_id=body.chosen_location_id,
        title=body.title,
        description=body.description,
        address=body.address,
        rrule=body.rrule,
        notify=body.to_notify,
        ignore_range=body.ignore_date_range,
        ignore_rules=body.ignore_free_slot_validation,
        actor=actor,
    )


def check_times(start: Instant | None, end: Instant | None) -> None:
    """Refuse an end that is not after the start, or later than any zone's clocks allow.

    `domain.assignment.check_length` counts the days of the calendar's zone.
    """
    if start is None or end is None:
        return
    if not start < end:
        raise PydanticCustomError("end_time", "endTime must be later than startTime")
    if end - start > timedelta(days=MAX_APPOINTMENT + 2):
        raise PydanticCustomError("end_time", "an appointment lasts 31 local days at most")


class CreateHold(Body):
    start_time: Instant
    end_time: Instant | None = None
    assigned_user_id: OneLine | None = None
    ttl_seconds: int = Field(default=600, ge=1, le=900)

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        check_times(self.start_time, self.end_time)
        return self


class AppointmentMeetingResponse(ResponseModel):
    """The online meeting; `reason` and `message` say why there is no link (yet)."""

    provider: str | None
    state: Literal["none", "pending", "ready", "blocked", "detached", "failed"]
    join_url: str | None
    reason: str | None
    message: str | None
    expected_at: str | None


class AppointmentCreatedBy(ResponseModel):
    source: str
    user_id: str | None = None


class AppointmentResponse(ResponseModel):
    """An appointment. Times have the offset of its location; `dateAdded` and `dateUpdated` are UTC."""

    id: str
    calendar_id: str
    location_id: str
    contact_id: str
    group_id: str
    start_time: str
    end_time: str
    title: str
    description: str
    address: str
    notes: str
    meeting_location_type: str
    meeting_location_id: str
    meeting: AppointmentMeetingResponse
    appointment_status: Status
    appoinment_status: Status
    assigned_user_id: str | None
    users: list[str]
    needs_host: bool = Field(description="One of the hosts was deleted: another is to be assigned.")
    assigned_resources: list[str]
    is_recurring: bool
    rrule: str | None = None
    master_event_id: str | None = None
    created_by: AppointmentCreatedBy
    date_added: str
    date_updated: str
    version: int


class OccurrenceResponse(ResponseModel):
    """The outcome of one occurrence. `startTime` is the one by the rule; a moved one has another."""

    start_time: str
    outcome: Literal["booked", "moved", "waiting", "skipped"]
    id: str | None = None
    reason: str | None = Field(
        default=None, description="Why the occurrence is not booked at the rule's time."
    )


class AppointmentWriteResponse(AppointmentResponse):
    occurrences: list[OccurrenceResponse] | None = Field(
        default=None, description="Of a new series: the outcome of each occurrence, in order."
    )
    occurrence_ids: list[str] | None = Field(
        default=None, description="With the id of a series: its upcoming occurrences."
    )


class AppointmentEnvelope(ResponseModel):
    event: AppointmentResponse
    appointment: AppointmentResponse


class EventDeletedResponse(ResponseModel):
    succeeded: bool


class HoldResponse(ResponseModel):
    id: str
    calendar_id: str
    location_id: str
    start_time: str
    end_time: str
    assigned_user_id: str | None
    expires_at: str


class HoldEnvelope(ResponseModel):
    hold: HoldResponse
