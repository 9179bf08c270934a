"""The list of a calendar's sessions: when, with whom, who attends, and where staff open the meeting."""

from typing import Annotated, Any

from pydantic import Field

from booking.api.calendar_events import FIRST, TimeRangeQuery, position
from booking.api.presenters import local_time
from booking.api.schemas.appointments import AppointmentMeetingResponse, Status
from booking.domain.calendars import Calendar
from booking.store import sessions as store
from booking.store.calendars import get_calendar
from booking.store.sessions import MAX_ATTENDEES, AttendedSession, Attendee
from hoop_events.booking import Meeting
from hoop_platform.errors import NotFound
from hoop_platform.http.cursor import encode
from hoop_platform.http.route import Call, ResponseModel, Route
from hoop_scheduling.zones import epoch_ms


class SessionListQuery(TimeRangeQuery):
    """The sessions that begin within `[startTime, endTime)`."""

    limit: Annotated[int, Field(ge=1, le=100)] = 50
    cursor: str | None = Field(None, description="The `nextCursor` of the last response.")


class AttendeeResponse(ResponseModel):
    """An appointment with a seat of the session."""

    appointment_id: str
    contact_id: str
    title: str
    appointment_status: Status


class SeatsResponse(ResponseModel):
    """`taken` counts appointments and holds; `left` is what the calendar's settings leave."""

    total: int
    taken: int
    left: int


class SessionResponse(ResponseModel):
    id: str
    calendar_id: str
    start_time: str
    end_time: str
    assigned_user_id: str | None
    users: list[str]
    seats: SeatsResponse
    attendees: list[AttendeeResponse] = Field(
        description=f"By seat; {MAX_ATTENDEES} at most, `seats.taken` counts all."
    )
    meeting: AppointmentMeetingResponse
    start_link_path: str | None = Field(
        description="Where staff get the host's start link, `startUrl`, with the scope"
        " `calendars/events.write`. Null until the meeting is ready."
    )


class SessionListResponse(ResponseModel):
    """`nextCursor` is there only when there is another page."""

    sessions: list[SessionResponse]
    next_cursor: str | None = None


async def list_sessions(call: Call[None, SessionListQuery]) -> dict[str, Any]:
    """The open sessions of a calendar, in order of start."""
    query, database = call.query, call.runtime.db
    calendar = await get_calendar(database, call.account_id, call.id("calendarId"))
    if calendar is None:
        raise NotFound
    call.reach(calendar.location_id)
    found = await store.list_sessions(
        database,
        call.account_id,
        calendar.id,
        start=query.start_time,
        end=query.end_time,
        after=position(query.cursor) or FIRST,
        limit=query.limit + 1,
    )
    body: dict[str, Any] = {
        "sessions": [present_session(one, calendar) for one in found[: query.limit]]
    }
    if len(found) > query.limit:
        last = found[query.limit - 1]
        body["nextCursor"] = encode([epoch_ms(last.start), last.id])
    return body


def present_session(session: AttendedSession, calendar: Calendar) -> dict[str, Any]:
    """The session object of the API; times with the offset of the calendar's location."""
    online = next((one for one in session.attendees if one.meeting.provider), None)
    total = calendar.rules.capacity
    return {
        "id": session.id,
        "calendarId": calendar.id,
        "startTime": local_time(session.start, calendar.time_zone),
        "endTime": local_time(session.end, calendar.time_zone),
        "assignedUserId": None if session.hosts == (calendar.id,) else session.hosts[0],
        "users": list(session.hosts[1:]),
        "seats": {
            "total": total,
            "taken": session.taken,
            "left": max(total - session.taken, 0),
        },
        "attendees": [_attendee(one) for one in session.attendees],
        "meeting": (online.meeting if online else Meeting()).model_dump(mode="json", by_alias=True),
        "startLinkPath": _start_link_path(online),
    }


def _attendee(one: Attendee) -> dict[str, Any]:
    return {
        "appointmentId": one.appointment_id,
        "contactId": one.contact_id,
        "title": one.title,
        "appointmentStatus": one.status,
    }


def _start_link_path(online: Attendee | None) -> str | None:
    """The route of the service that made the meeting; any appointment of the session names it."""
    if online is None or online.meeting.state != "ready":
        return None
    appointment = online.appointment_id
    return f"/integrations/{online.meeting.provider}/meetings/{appointment}?startUrl=true"


ROUTES = (
    Route(
        "GET",
        "/calendars/{calendarId}/sessions",
        list_sessions,
        "calendars/events.readonly",
        query=SessionListQuery,
        reply=SessionListResponse,
        summary="Get calendar sessions",
        description="A session is what is booked on one calendar, with one host, at one start: an"
        " appointment, or a class with its attendees. Sessions without appointments are not listed.",
        refusals=(NotFound,),
    ),
)
