"""What the operations on groups, resources, schedules and block slots have in common."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from booking.api.shown import read_token
from booking.store.documents import Documents, groups
from hoop_events.base import Moment
from hoop_platform.errors import NotFound
from hoop_platform.http.parse import Body
from hoop_platform.http.route import Call, Reply, ResponseModel
from hoop_platform.ids import is_id, new_id

Delete = Callable[..., Awaitable[dict[str, int]]]


class Success(ResponseModel):
    """It is done."""

    success: bool


class Kept(ResponseModel):
    """What every kept thing shows: `version` grows with each change, and is its `ETag`."""

    id: str
    version: int
    date_added: Moment
    date_updated: Moment


def begun(call: Call) -> dict[str, Any]:
    """What a new document begins with."""
    return {
        "id": new_id(),
        "sequence": 1,
        "version": 1,
        "date_added": call.now,
        "date_updated": call.now,
    }


def sent(body: Body) -> dict[str, Any]:
    """Only what the client said, in our names; a location is checked, and never changes."""
    return body.model_dump(exclude_unset=True, exclude={"location_id"})


def known_ids(ids: Sequence[str]) -> tuple[str, ...]:
    """These, each once; what cannot be an id is as unknown as any other."""
    if not all(map(is_id, ids)):
        raise NotFound
    return tuple(dict.fromkeys(ids))


def written(body: Mapping[str, Any], version: int, versions: Mapping[str, int]) -> Reply:
    """The answer to a change, with what a reader asks for who wants to see it."""
    return Reply(body, headers={"ETag": f'"{version}"', **read_token(versions)})


async def found(call: Call, documents: Documents[Any], name: str) -> Any:  # of the documents' type
    """The one whose id stands in the path under this name."""
    document = await documents.read(call.runtime.db, call.account_id, call.id(name))
    call.reach(document and document.location_id)
    return document


async def delete_once(
    call: Call, documents: Documents[Any], document_id: str, delete: Delete
) -> Reply:
    """Delete it; the second time answers as the first."""
    database, versions = call.runtime.db, {}
    call.reach(await documents.location(database, call.account_id, document_id))
    with suppress(NotFound):
        async with database.transaction() as db:
            versions = await delete(db, call.account_id, document_id, now=call.now)
    return Reply({"success": True}, headers=read_token(versions))


async def known_group(call: Call, group_id: str) -> None:
    """404 for what is no group of the account."""
    if not is_id(group_id) or not await groups.read(call.runtime.db, call.account_id, group_id):
        raise NotFound
