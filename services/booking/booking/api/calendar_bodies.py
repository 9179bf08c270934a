"""The bodies that make and change calendars: names, types and bounds as clients know them."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from booking.api.calendar_parts import (
    KEPT,
    READ_ONLY,
    Address,
    Availability,
    Buffer,
    ChangedAvailability,
    Link,
    LocationConfiguration,
    LookBusy,
    MinsOrHours,
    Minutes,
    Notification,
    Recurring,
    TeamMember,
    Week,
    Whole,
    no_flag,
)
from booking.api.models import Count, InLocation, Name, Slug
from hoop_platform.http.parse import Body, OneLine, Text

CalendarType = Literal[
    "round_robin", "event", "class_booking", "collective", "service_booking", "personal"
]
Locations = Annotated[list[LocationConfiguration], Field(max_length=10)]


class CalendarFields(Body):
    """What is only kept, by both creating and changing."""

    description: Text | None = Field(None, description=KEPT)
    widget_slug: Slug | None = Field(None, description=KEPT)
    widget_type: Literal["classic", "default"] = Field("classic", description=KEPT)
    event_color: str = Field("#039be5", pattern=r"^#[0-9a-fA-F]{6}$", description=KEPT)
    form_id: OneLine | None = Field(None, description=KEPT)
    form_submit_type: Literal["ThankYouMessage", "RedirectURL"] = Field(
        "ThankYouMessage", description=KEPT
    )
    form_submit_redirect_url: Link | None = Field(
        None, alias="formSubmitRedirectURL", description=KEPT
    )
    form_submit_thanks_message: Text | None = Field(None, description=KEPT)
    guest_type: Literal["count_only", "collect_detail"] | None = Field(None, description=KEPT)
    consent_label: Text | None = Field(None, description=KEPT)
    calendar_cover_image: Link | None = Field(None, description=KEPT)
    pixel_id: OneLine | None = Field(None, description=KEPT)
    notes: Text | None = Field(None, description=KEPT)
    alert_email: Address | None = Field(None, description=KEPT)
    allow_reschedule: bool = Field(True, description=KEPT)
    allow_cancellation: bool = Field(True, description=KEPT)
    google_invitation_emails: bool = Field(False, description=KEPT)
    should_send_alert_emails_to_assigned_member: bool = Field(False, description=KEPT)
    should_assign_contact_to_team_member: bool = Field(False, description=KEPT)
    should_skip_assigning_contact_for_existing: bool = Field(False, description=KEPT)
    sticky_contact: bool = Field(False, description=KEPT)
    is_live_payment_mode: bool = Field(False, description=KEPT)
    notifications: list[Notification] = Field(default=[], max_length=50)
    meeting_location: str | None = Field(None, exclude=True, description=READ_ONLY)


class CalendarSettings(CalendarFields):
    """What counts for who can book when."""

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
        default=[], description="Where it takes place, on a calendar of type event."
    )
    slot_duration: Minutes = 30
    slot_duration_unit: MinsOrHours = "mins"
    slot_interval: Minutes = 30
    slot_interval_unit: MinsOrHours = "mins"
    slot_buffer: Buffer = Field(0, description="Kept free after an appointment.")
    slot_buffer_unit: MinsOrHours = "mins"
    pre_buffer: Buffer = Field(0, description="Kept free before an appointment.")
    pre_buffer_unit: MinsOrHours = "mins"
    appoinment_per_slot: Annotated[Whole, Field(ge=1, le=9999)] = 1
    appoinment_per_day: Count | None = None
    allow_booking_after: Count = 0
    allow_booking_after_unit: Literal["mins", "hours", "days", "weeks", "months"] = "hours"
    allow_booking_for: Count | None = None
    allow_booking_for_unit: Literal["days", "weeks", "months"] = "days"
    open_hours: Week = []
    availability_type: Annotated[Literal[0, 1], BeforeValidator(no_flag)] | None = Field(
        None, description="0: `openHours` only; 1: `availabilities` only; null: both."
    )
    auto_confirm: bool = True
    look_busy_config: LookBusy | None = None
    enable_recurring: bool = Field(False, description="Only where there is one member.")
    recurring: Recurring | None = None

    def _dumped(self, *but: str) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True, exclude={"availabilities", *but})


class CreateCalendar(CalendarSettings):
    location_id: str
    name: Name
    calendar_type: CalendarType = "event"
    availabilities: list[Availability] = Field(default=[], max_length=500)

    def settings(self) -> dict[str, Any]:
        """Everything, defaults included, except what has a column of its own, and the dates."""
        return self._dumped("location_id")

    def dates(self) -> list[dict[str, Any]]:
        """The dates, as they are said."""
        return [one.model_dump(mode="json", by_alias=True) for one in self.availabilities]


class UpdateCalendar(CalendarSettings):
    """A patch: the defaults are never used, for a field that was not sent stays as it is.

    `availabilities` are changed one by one; those that are not sent stay.
    """

    name: Name = "unchanged"
    availabilities: list[ChangedAvailability] = Field(default=[], max_length=500)

    def settings(self) -> dict[str, Any]:
        """Only what the client said, in the API's names, except the dates."""
        said = {type(self).model_fields[name].alias for name in self.model_fields_set}
        return {name: value for name, value in self._dumped().items() if name in said}

    def dates(self) -> list[dict[str, Any]]:
        """The dates, as far as they are said."""
        return [
            one.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
            for one in self.availabilities
        ]


class CalendarsAsked(InLocation):
    group_id: str | None = None
    show_drafted: bool = True
