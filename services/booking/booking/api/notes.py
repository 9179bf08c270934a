"""The operations on notes of appointments."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from booking.api.documents import Success
from booking.api.people import check_users
from booking.handlers import notes as handlers
from booking.store import notes as store
from booking.store.appointments import appointment
from booking.store.notes import Note
from hoop_events.base import Moment, iso
from hoop_platform.errors import NotFound, PreconditionFailed
from hoop_platform.http.parse import Body, Query
from hoop_platform.http.route import Call, Reply, ResponseModel, Route
from hoop_platform.ids import new_id

Words = Annotated[str, StringConstraints(min_length=1, max_length=5000)]


class NotesAsked(Query):
    limit: Annotated[int, Field(ge=1, le=20)]
    offset: Annotated[int, Field(ge=0, le=1_000_000)]


class CreateNote(Body):
    body: Words
    user_id: str | None = Field(None, description="Whose words these are: a user of the account.")


class UpdateNote(Body):
    """A patch: a field that was not sent stays as it is."""

    body: Words | None = None
    user_id: str | None = Field(None, description="Whose words these are: a user of the account.")


class Author(ResponseModel):
    """The user named in the note; else the API key that wrote it, which has no name."""

    id: str
    name: str


class NoteShown(ResponseModel):
    id: str
    body: str
    user_id: str | None
    contact_id: str
    created_by: Author
    date_added: Moment
    date_updated: Moment
    version: int


class OneNote(ResponseModel):
    note: NoteShown


class Notes(ResponseModel):
    notes: list[NoteShown]
    has_more: bool


async def list_notes(call: Call) -> dict[str, Any]:
    """The newest first."""
    query: NotesAsked = call.query
    appointment_id = await _appointment(call)
    found = await store.notes(
        call.runtime.db,
        call.account_id,
        appointment_id,
        limit=query.limit + 1,
        offset=query.offset,
    )
    shown = [_shown(note) for note in found[: query.limit]]
    return {"notes": shown, "hasMore": len(found) > query.limit}


async def create_note(call: Call) -> Reply:
    body: CreateNote = call.body
    appointment_id = await _appointment(call)
    await _check_author(call, body.user_id)
    async with call.runtime.db.transaction(notify=False) as db:
        written = await handlers.create_note(
            db,
            call.account_id,
            new_id(),
            appointment_id=appointment_id,
            body=body.body,
            user_id=body.user_id,
            actor=call.caller.key_id,
            now=call.now,
        )
    return _written(written)


async def update_note(call: Call) -> Reply:
    body: UpdateNote = call.body
    appointment_id, note_id = await _appointment(call), call.id("noteId")
    await _check_author(call, body.user_id)
    async with call.runtime.db.transaction(notify=False) as db:
        written = await handlers.change_note(
            db,
            call.account_id,
            note_id,
            appointment_id=appointment_id,
            body=body.body,
            user_id=body.user_id,
            expected=call.if_match,
            now=call.now,
        )
    return _written(written)


async def delete_note(call: Call) -> dict[str, bool]:
    """Delete it; the second time answers as the first."""
    appointment_id, note_id = await _appointment(call), call.id("noteId")
    async with call.runtime.db.transaction(notify=False) as db:
        await handlers.delete_note(
            db, call.account_id, note_id, appointment_id=appointment_id, now=call.now
        )
    return {"success": True}


async def _appointment(call: Call) -> str:
    """The appointment's id inside, which is not the one in the path for an occurrence of a series."""
    inside = call.row_id("appointmentId")
    found = await appointment(call.runtime.db, call.account_id, inside)
    if found is None:
        raise NotFound
    call.reach(found.location_id)
    return found.id


async def _check_author(call: Call, user_id: str | None) -> None:
    if user_id is not None:
        await check_users(call, {"userId": user_id})


def _written(note: Note) -> Reply:
    return Reply({"note": _shown(note)}, headers={"ETag": f'"{note.version}"'})


def _shown(note: Note) -> dict[str, Any]:
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
        query=NotesAsked,
        reply=Notes,
        summary="Get notes",
        refusals=(NotFound,),
    ),
    Route(
        "POST",
        _NOTES,
        create_note,
        WRITE,
        body=CreateNote,
        reply=OneNote,
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
        reply=OneNote,
        summary="Update note",
        refusals=(NotFound, PreconditionFailed),
    ),
    Route(
        "DELETE",
        _NOTE,
        delete_note,
        WRITE,
        reply=Success,
        summary="Delete note",
        refusals=(NotFound,),
    ),
)
