"""The venue of an appointment: a location, an address, or an online meeting."""

from booking.domain.calendars import Calendar, venues_of
from booking.domain.commands import AppointmentPatch
from booking.domain.snapshot import Session
from hoop_events.booking import Appointment, Meeting
from hoop_platform.errors import invalid

NO_MEETING = Meeting()


def with_venue(
    after: Appointment,
    calendar: Calendar,
    host: str,
    patch: AppointmentPatch,
    *,
    reassigned: bool,
) -> Appointment:
    """The appointment at the venue that the patch names; else at its present one.

    `reassigned`: the appointment gets another time, calendar or host, so a venue that no client
    has chosen follows the present settings. Otherwise changed settings do not change the venue.
    Raises `Invalid` for an unknown `meetingLocationId`.
    """
    venues = venues_of(calendar, host)
    venue_id, kind = after.meeting_location_id, after.meeting_location_type
    address = after.personal.address
    if patch.meeting_location_id is not None:
        if patch.meeting_location_id not in venues:
            text = "is none of the locations of the calendar or its member"
            raise invalid("meetingLocationId", "unknown_location", text, tuple(venues))
        venue_id = patch.meeting_location_id
        kind, address = venues[venue_id]
    elif patch.meeting_location_type is not None:
        address = address if kind == patch.meeting_location_type else ""
        venue_id, kind = "default", patch.meeting_location_type
    elif patch.address and patch.address != address:
        venue_id, kind = "default", "custom"
    elif reassigned and kind == "default":
        kind, address = venues["default"]
    if patch.address is not None:
        address = patch.address
    if reassigned and venue_id not in venues:
        venue_id = "default"
    venue = {
        "meeting_location_id": venue_id,
        "meeting_location_type": kind,
        "personal": after.personal.model_copy(update={"address": address}),
    }
    return after.model_copy(update=venue)


def meeting_for(provider: str | None, session: Session | None, *, confirmed: bool) -> Meeting:
    """The meeting that an appointment shows when it enters a session; None: a new session."""
    if provider not in ("zoom", "teams"):
        return NO_MEETING
    if session is not None and provider in session.meetings:
        return session.meetings[provider]
    if not confirmed:
        return Meeting(
            provider=provider,
            state="pending",
            reason="awaiting_confirmation",
            message="The link is made when the appointment is confirmed.",
        )
    return Meeting(provider=provider, state="pending", message="The link is being made.")
