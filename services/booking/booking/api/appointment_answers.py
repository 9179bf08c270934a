"""What the operations on appointments and holds answer: the shapes, for the API's document."""

from typing import Literal

from pydantic import Field

from booking.api.appointment_bodies import Status
from hoop_platform.http.route import ResponseModel


class MeetingAnswer(ResponseModel):
    """The online meeting, or why there is none (yet)."""

    provider: str | None
    state: Literal["none", "pending", "ready", "blocked", "detached", "failed"]
    join_url: str | None
    reason: str | None
    message: str | None
    expected_at: str | None


class CreatedBy(ResponseModel):
    source: str
    user_id: str | None = None


class AppointmentAnswer(ResponseModel):
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
    meeting: MeetingAnswer
    appointment_status: Status
    appoinment_status: Status
    assigned_user_id: str | None
    users: list[str]
    assigned_resources: list[str]
    is_recurring: bool
    rrule: str | None = None
    master_event_id: str | None = None
    created_by: CreatedBy
    date_added: str
    date_updated: str
    version: int


class OccurrenceAnswer(ResponseModel):
    """What became of one occurrence. `startTime` is the rule's; a moved one has another."""

    start_time: str
    outcome: Literal["booked", "moved", "waiting", "skipped"]
    id: str | None = None
    reason: str | None = Field(default=None, description="Why it is not booked as the rule says.")


class WrittenAppointment(AppointmentAnswer):
    occurrences: list[OccurrenceAnswer] | None = Field(
        default=None, description="Of a new series: what became of each occurrence, in order."
    )
    occurrence_ids: list[str] | None = Field(
        default=None, description="With the id of a series: its occurrences that lie ahead."
    )


class OneAppointment(ResponseModel):
    event: AppointmentAnswer
    appointment: AppointmentAnswer


class EventGone(ResponseModel):
    succeeded: bool


class HoldShown(ResponseModel):
    id: str
    calendar_id: str
    location_id: str
    start_time: str
    end_time: str
    assigned_user_id: str | None
    expires_at: str


class HoldAnswer(ResponseModel):
    hold: HoldShown


class HoldGone(ResponseModel):
    success: bool
