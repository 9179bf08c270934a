"""The operations on notes of appointments."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from booking.api.schemas.shared import SuccessResponse
from booking.api.validation import check_users
from booking.handlers import notes as handlers
from booking.store.appointments import get_appointment
from booking.store.notes import AppointmentNote
from booking.store.notes import list_notes as list_stored_notes
from hoop_events.base import Moment, iso
from hoop_platform.errors import NotFound, PreconditionFailed
from hoop_platform.http.parse import Body, Query
from hoop_platform.http.route import AnyCall, Call, Reply, ResponseModel, Route
from hoop_platform.ids import new_id

NoteText = Annotated[str, StringConstraints(min_length=1, max_length=5000)]


class NoteListQuery(Query):
    limit: Annotated[int, Field(ge=1, le=20)]
    offset: Annotated[int, Field(ge=0, le=1_000_000)]


class CreateNote(Body):
    body: NoteText
    user_id: str | None = Field(None, description="The author: a user of the account.")


class UpdateNote(Body):
    """A patch: a field that is not sent stays as it is."""

    body: NoteText | None = None
    user_id: str | None = Field(None, description="The author: a user of the account.")


class NoteAuthor(ResponseModel):
    """The author of the note; else the API key of the request, which has no name."""

    id: str
    name: str


class NoteResponse(ResponseModel):
    id: str
    body: str
    user_id: str | None
    contact_id: str
    created_by: NoteAuthor
    date_added: Moment
    date_updated: Moment
    version: int


class NoteEnvelope(ResponseModel):
    note: NoteResponse


class NoteListResponse(ResponseModel):
    notes: list[NoteResponse]
    has_more: bool


async def list_notes(call: Call[None, NoteListQuery]) -> dict[str, Any]:
    """The notes of an appointment, newest first."""
    query = call.query
    appointment_id = await _appointment_id(call)
    found = await list_stored_notes(
        call.runtime.db,
        call.account_id,
        appointment_id,
        limit=query.limit + 1,
        offset=query.offset,
    )
    notes = [_present(note) for note in found[: query.limit]]
    return {"notes": notes, "hasMore": len(found) > query.limit}


async def create_note(call: Call[CreateNote]) -> Reply:
    body = call.body
    appointment_id = await _appointment_id(call)
    await _check_author(call, body.user_id)
    async with call.runtime.db.transaction(notify=False) as db:
        note = await handlers.create_note(
            db,
            call.account_id,
            new_id(),
            appointment_id=appointment_id,
            body=body.body,
            user_id=body.user_id,
            actor=call.caller.key_id,
            now=call.now,
        )
    return _reply(note)


async def update_note(call: Call[UpdateNote]) -> Reply:
    body = call.body
    appointment_id, note_id = await _appointment_id(call), call.id("noteId")
    await _check_author(call, body.user_id)
    async with call.runtime.db.transaction(notify=False) as db:
        note = await handlers.change_note(
            db,
            call.account_id,
            note_id,
            appointment_id=appointment_id,
            body=body.body,
            user_id=body.user_id,
            expected=call.if_match,
            now=call.now,
        )
    return _reply(note)


async def delete_note(call: Call) -> dict[str, bool]:
    """Delete the note; a second request has the response of the first."""
    appointment_id, note_id = await _appointment_id(call), call.id("noteId")
    async with call.runtime.db.transaction(notify=False) as db:
        await handlers.delete_note(
            db, call.account_id, note_id, appointment_id=appointment_id, now=call.now
        )
    return {"success": True}


async def _appointment_id(call: AnyCall) -> str:
    """The id of the appointment's row, which for an occurrence is not the one in the path."""
    row_id = call.row_id("appointmentId")
    found = await get_appointment(call.runtime.db, call.account_id, row_id)
    if found is None:
        raise NotFound("appointmentId")
    call.reach(found.location_id, "appointmentId")
    return found.id


async def _check_author(call: AnyCall, user_id: str | None) -> None:
    if user_id is not None:
        await check_users(call, {"userId": user_id})


def _reply(note: AppointmentNote) -> Reply:
    return Reply({"note": _present(note)}, headers={"ETag": f'"{note.version}"'})


def _present(note: AppointmentNote) -> dict[str, Any]:
    return {
        "id": note.id,
        "body": note.body,
        "userId": note.user_id,
        "contactId": note.contact_id,
        "createdBy": {"id": note.user_id or note.created_by, "name": note.user_name or ""},
        "dateAdded": iso(note.date_added),
        "dateUpdated": iso(note.date_updated),
        "version": note.version,
    }


READ, WRITE = "calendars/events.readonly", "calendars/events.write"
_NOTES = "/calendars/appointments/{appointmentId}/notes"
_NOTE = f"{_NOTES}/{{noteId}}"
ROUTES = (
    Route(
        "GET",
        _NOTES,
        list_notes,
        READ,
        query=NoteListQuery,
        reply=NoteListResponse,
        summary="Get notes",
        refusals=(NotFound,),
    ),
    Route(
        "POST",
        _NOTES,
        create_note,
        WRITE,
        body=CreateNote,
        reply=NoteEnvelope,
        status=201,
        summary="Create note",
        refusals=(NotFound,),
    ),
    Route(
        "PUT",
        _NOTE,
        update_note,
        WRITE,
        body=UpdateNote,
        reply=NoteEnvelope,
        summary="Update note",
        refusals=(NotFound, PreconditionFailed),
    ),
    Route(
        "DELETE",
        _NOTE,
        delete_note,
        WRITE,
        reply=SuccessResponse,
        summary="Delete note",
        refusals=(NotFound,),
    ),
)
