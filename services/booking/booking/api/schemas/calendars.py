"""The bodies of calendars, and the responses."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from booking.api.schemas.calendar_fields import (
    OF_CONTACTS,
    READ_ONLY,
    STORED_ONLY,
    Address,
    Buffer,
    CalendarHours,
    CalendarNotification,
    DateAvailability,
    DateAvailabilityPatch,
    Link,
    LocationConfiguration,
    LookBusy,
    MinsOrHours,
    Minutes,
    Recurring,
    TeamMember,
    Week,
    Whole,
    no_boolean,
)
from booking.api.schemas.shared import Count, LocationQuery, Name, Slug, Warnings
from hoop_platform.http.parse import Body, OneLine, Text
from hoop_platform.http.route import ResponseModel

CalendarType = Literal[
    "round_robin", "event", "class_booking", "collective", "service_booking", "personal"
]
Locations = Annotated[list[LocationConfiguration], Field(max_length=10)]


class CalendarFields(Body):
    """The fields that are stored and shown, without further effect."""

    description: Text | None = Field(None, description=STORED_ONLY)
    widget_slug: Slug | None = Field(None, description=STORED_ONLY)
    widget_type: Literal["classic", "default"] = Field("classic", description=STORED_ONLY)
    event_color: str = Field("#039be5", pattern=r"^#[0-9a-fA-F]{6}$", description=STORED_ONLY)
    form_id: OneLine | None = Field(None, description=STORED_ONLY)
    form_submit_type: Literal["ThankYouMessage", "RedirectURL"] = Field(
        "ThankYouMessage", description=STORED_ONLY
    )
    form_submit_redirect_url: Link | None = Field(
        None, alias="formSubmitRedirectURL", description=STORED_ONLY
    )
    form_submit_thanks_message: Text | None = Field(None, description=STORED_ONLY)
    guest_type: Literal["count_only", "collect_detail"] | None = Field(
        None, description=STORED_ONLY
    )
    consent_label: Text | None = Field(None, description=STORED_ONLY)
    calendar_cover_image: Link | None = Field(None, description=STORED_ONLY)
    pixel_id: OneLine | None = Field(None, description=STORED_ONLY)
    notes: Text | None = Field(None, description=STORED_ONLY)
    alert_email: Address | None = Field(None, description=STORED_ONLY)
    allow_reschedule: bool = Field(True, description=OF_CONTACTS)
    allow_cancellation: bool = Field(True, description=OF_CONTACTS)
    google_invitation_emails: bool = Field(False, description=STORED_ONLY)
    should_send_alert_emails_to_assigned_member: bool = Field(False, description=STORED_ONLY)
    should_assign_contact_to_team_member: bool = Field(False, description=STORED_ONLY)
    should_skip_assigning_contact_for_existing: bool = Field(False, description=STORED_ONLY)
    is_live_payment_mode: bool = Field(False, description=STORED_ONLY)
    notifications: list[CalendarNotification] = Field(
        default=[], max_length=50, description=STORED_ONLY
    )
    meeting_location: str | None = Field(None, exclude=True, description=READ_ONLY)


class CalendarSettings(CalendarFields):
    """The fields that decide what can be booked."""

    is_active: bool = Field(True, description="False: a draft, which takes no appointments.")
    group_id: str | None = Field(None, description="A group of the location; null: none.")
    slug: Slug | None = None
    event_type: Literal[
        "RoundRobin_OptimizeForAvailability", "RoundRobin_OptimizeForEqualDistribution"
    ] = "RoundRobin_OptimizeForAvailability"
    event_title: OneLine = Field(
        "{{contact.name}}", description="The title of appointments that are booked without one."
    )
    team_members: list[TeamMember] = Field(default=[], max_length=100)
    location_configurations: Locations = Field(
        default=[], description="The venues of a calendar of type event."
    )
    slot_duration: Minutes = 30
    slot_duration_unit: MinsOrHours = "mins"
    slot_interval: Minutes = 30
    slot_interval_unit: MinsOrHours = "mins"
    slot_buffer: Buffer = Field(0, description="Time after an appointment that stays free.")
    slot_buffer_unit: MinsOrHours = "mins"
    pre_buffer: Buffer = Field(0, description="Time before an appointment that stays free.")
    pre_buffer_unit: MinsOrHours = "mins"
    appoinment_per_slot: Annotated[Whole, Field(ge=1, le=9999)] = 1
    allow_same_contact: bool = Field(
        False, description="True: one contact may take several seats of a session."
    )
    appoinment_per_day: Count | None = None
    allow_booking_after: Count = 0
    allow_booking_after_unit: Literal["mins", "hours", "days", "weeks", "months"] = "hours"
    allow_booking_for: Count | None = None
    allow_booking_for_unit: Literal["days", "weeks", "months"] = "days"
    open_hours: Week = []
    availability_type: Annotated[Literal[0, 1], BeforeValidator(no_boolean)] | None = Field(
        None, description="0: `openHours` only; 1: `availabilities` only; null: both."
    )
    auto_confirm: bool = True
    sticky_contact: bool = Field(
        False,
        description="Of a round robin: the host of the contact's latest appointment on the calendar"
        " is preferred, if free.",
    )
    look_busy_config: LookBusy | None = None
    enable_recurring: bool = Field(False, description="Only with one member.")
    recurring: Recurring | None = None

    def _dump(self, *exclude: str) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True, exclude={"availabilities", *exclude})


class CreateCalendar(CalendarSettings):
    location_id: str
    name: Name
    calendar_type: CalendarType = "event"
    availabilities: list[DateAvailability] = Field(default=[], max_length=500)

    def settings(self) -> dict[str, Any]:
        """All settings, defaults included, without location and dates, in the API's names."""
        return self._dump("location_id")

    def dates(self) -> list[dict[str, Any]]:
        """The dates in the API's names."""
        return [one.model_dump(mode="json", by_alias=True) for one in self.availabilities]


class UpdateCalendar(CalendarSettings):
    """A patch: a field that is not sent stays as it is, and defaults are never used.

    `availabilities` are changed one by one; those that are not sent stay.
    """

    name: Name = "unchanged"
    availabilities: list[DateAvailabilityPatch] = Field(default=[], max_length=500)

    def settings(self) -> dict[str, Any]:
        """The sent settings, without the dates, in the API's names."""
        sent = {type(self).model_fields[name].alias for name in self.model_fields_set}
        return {name: value for name, value in self._dump().items() if name in sent}

    def dates(self) -> list[dict[str, Any]]:
        """The sent dates with their sent fields, in the API's names."""
        return [
            one.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
            for one in self.availabilities
        ]


class CalendarListQuery(LocationQuery):
    group_id: str | None = None
    show_drafted: bool = True


class DateAvailabilityResponse(ResponseModel):
    """A local date, spelled as midnight UTC of that date."""

    id: str
    date: datetime
    hours: list[CalendarHours]
    deleted: bool


class CalendarResponse(CalendarSettings):
    model_config = ConfigDict(extra="allow")

    id: str
    location_id: str
    name: str
    calendar_type: CalendarType
    availabilities: list[DateAvailabilityResponse]
    needs_host: bool = Field(
        False,
        description="All members were deleted: nothing is offered until there is a new member.",
    )
    version: int


class CalendarEnvelope(ResponseModel):
    calendar: CalendarResponse
    warnings: Warnings = None


class CalendarListResponse(ResponseModel):
    calendars: list[CalendarResponse]
