"""Giving the upcoming appointments of a user to others, also of one who was deleted."""

from typing import Annotated, Any, Literal

from pydantic import Field

from booking.api.calendar_events import FIRST, position
from booking.api.presenters import highest_versions, local_time, public_id, token_header
from booking.api.validation import check_users
from booking.domain.commands import AppointmentPatch
from booking.handlers.users import ReassignmentOutcome, ReassignmentRequest, reassign
from booking.store.appointments import count_appointments
from booking.store.projections import list_deleted_users, list_unknown_users
from hoop_platform.errors import NotFound, invalid
from hoop_platform.http.cursor import encode
from hoop_platform.http.parse import Body, OneLine
from hoop_platform.http.route import AnyCall, Call, Reply, ResponseModel, Route
from hoop_platform.ids import row_id
from hoop_scheduling.zones import epoch_ms

MAX_PAGE = 100


class ReassignAppointments(Body):
    """Who gets the appointments, and which ones: by default all upcoming ones, page by page."""

    to_user_id: OneLine | None = Field(
        None,
        description="A member of the calendars; absent: for each appointment a member who is free.",
    )
    appointment_ids: list[OneLine] | None = Field(
        None,
        min_length=1,
        max_length=MAX_PAGE,
        description="Only these of the user's appointments; of a group, all who share the session.",
    )
    ignore_free_slot_validation: bool = Field(
        False, description="As for a changed appointment; nobody is booked twice at a time."
    )
    to_notify: bool = Field(True, description="False: nobody is notified of these changes.")
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = MAX_PAGE
    cursor: str | None = Field(None, description="The `nextCursor` of the last response.")


class ReassignmentDetail(ResponseModel):
    path: str
    code: str
    message: str
    allowed: list[Any] | None = None


class ReassignmentResponse(ResponseModel):
    """The outcome of one appointment; `code`, `message` and `details` say why it was refused."""

    id: str
    calendar_id: str
    start_time: str
    outcome: Literal["reassigned", "refused"]
    assigned_user_id: str | None
    needs_host: bool
    code: str | None = None
    message: str | None = None
    details: list[ReassignmentDetail] | None = None


class ReassignmentListResponse(ResponseModel):
    """A page, in order of start. `nextCursor` is there only when there is another one."""

    appointments: list[ReassignmentResponse]
    reassigned: int
    refused: int
    next_cursor: str | None = None


async def reassign_appointments(call: Call[ReassignAppointments]) -> Reply:
    """Each appointment is changed by itself: what is refused keeps its host and says why."""
    user_id = await _present_or_deleted_user(call)
    request = await _request(call, user_id)
    page = await reassign(call.runtime.db, call.account_id, request, now=call.now)
    shown = [_present(one) for one in page.outcomes]
    refused = sum(one.refused is not None for one in page.outcomes)
    body = {"appointments": shown, "reassigned": len(shown) - refused, "refused": refused}
    if not page.complete:
        last = page.outcomes[-1].state
        body["nextCursor"] = encode([epoch_ms(last.start_time), last.id])
    changed = [one.state for one in page.outcomes if one.refused is None]
    return Reply(body, headers=token_header(highest_versions(changed)))


async def _present_or_deleted_user(call: AnyCall) -> str:
    """The user of the path; `NotFound` for one whom the account never had."""
    user_id, database = call.id("userId"), call.runtime.db

    async def find() -> str | None:
        unknown = await list_unknown_users(database, call.account_id, [user_id])
        if unknown and not await list_deleted_users(database, call.account_id, [user_id]):
            return None
        return user_id

    if await call.runtime.known(find) is None:
        raise NotFound
    return user_id


async def _request(call: Call[ReassignAppointments], user_id: str) -> ReassignmentRequest:
    body = call.body
    if body.to_user_id == user_id:
        raise invalid("toUserId", "same_user", "must be another user")
    if body.to_user_id is not None:
        await check_users(call, {"toUserId": body.to_user_id})
    return ReassignmentRequest(
        user_id=user_id,
        patch=AppointmentPatch(
            host=body.to_user_id,
            notify=body.to_notify,
            ignore_rules=body.ignore_free_slot_validation,
            actor=call.caller.key_id,
        ),
        appointments=await _appointments(call),
        locations=call.caller.location_ids,
        after=position(body.cursor) or FIRST,
        limit=body.limit,
    )


async def _appointments(call: Call[ReassignAppointments]) -> list[str]:
    """The ids of the rows of the named appointments; `NotFound` if there is none of an id."""
    named = {row_id(one) for one in call.body.appointment_ids or ()}
    ids = sorted(one for one in named if one is not None)
    locations = sorted(call.caller.location_ids)
    if len(ids) < len(named) or len(ids) != await count_appointments(
        call.runtime.db, call.account_id, ids, locations=locations
    ):
        raise NotFound("appointmentIds")
    return ids


def _present(one: ReassignmentOutcome) -> dict[str, Any]:
    state, refused = one.state, one.refused
    shown = {
        "id": public_id(state),
        "calendarId": state.calendar_id,
        "startTime": local_time(state.start_time, state.time_zone),
        "outcome": "reassigned" if refused is None else "refused",
        "assignedUserId": state.assigned_user_id,
        "needsHost": state.needs_host,
    }
    if refused is None:
        return shown
    details = [detail.as_json() for detail in refused.details]
    reasons = [f"{detail.path}: {detail.message}" for detail in refused.details]
    message = "; ".join(reasons) or refused.message
    return {**shown, "code": refused.code, "message": message, "details": details}


ROUTES = (
    Route(
        "POST",
        "/users/{userId}/reassign",
        reassign_appointments,
        "calendars/events.write",
        body=ReassignAppointments,
        reply=ReassignmentListResponse,
        summary="Reassign appointments of a user",
        description="Gives the upcoming appointments of a user to other members of their calendars, at"
        " the same times; also those of a user who was deleted. Each is changed by itself, the soonest"
        " first, and listed with its outcome. A collective appointment gets the present team of its"
        " calendar. Repeating the request tries what was refused again.",
        refusals=(NotFound,),
    ),
)
