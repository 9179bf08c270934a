"""What the operations on groups, resources, schedules and block slots have in common."""

from collections.abc import Awaitable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol

from booking.api.presenters import token_header
from booking.store.crud import Aggregate, AggregateTable
from hoop_platform.db.database import Tx
from hoop_platform.errors import NotFound
from hoop_platform.http.parse import Body
from hoop_platform.http.route import AnyCall, Reply
from hoop_platform.ids import new_id


class Delete(Protocol):
    """A command that deletes an aggregate and returns the raised versions."""

    def __call__(
        self, db: Tx, account_id: str, aggregate_id: str, /, *, now: datetime
    ) -> Awaitable[dict[str, int]]: ...


def initial_fields(call: AnyCall) -> dict[str, Any]:
    """The fields that every new aggregate begins with."""
    return {
        "id": new_id(),
        "sequence": 1,
        "version": 1,
        "date_added": call.now,
        "date_updated": call.now,
    }


def sent_fields(body: Body) -> dict[str, Any]:
    """The fields that the client sent, without the location, which never changes."""
    return body.model_dump(exclude_unset=True, exclude={"location_id"})


def versioned_reply(
    body: Mapping[str, Any], version: int, versions: Mapping[str, int] | None = None
) -> Reply:
    """The response with an `ETag` and, after a change, with the consistency token."""
    return Reply(body, headers={"ETag": f'"{version}"', **token_header(versions or {})})


def warnings_of(body: Body, names: Iterable[str]) -> dict[str, Any]:
    """`warnings` about the sent ones of these fields, which have no effect; nothing without such.

    A default is nothing to warn about.
    """
    fields = type(body).model_fields
    sent = [
        n for n in names if n in body.model_fields_set and getattr(body, n) != fields[n].default
    ]
    warnings = [
        {"path": fields[n].alias or n, "code": "no_effect", "message": fields[n].description or ""}
        for n in sent
    ]
    return {"warnings": warnings} if warnings else {}


async def find(call: AnyCall, table: AggregateTable[Aggregate], name: str) -> Aggregate:
    """The aggregate whose id is the path parameter `name`; `NotFound` if there is none."""
    aggregate = await table.get(call.runtime.db, call.account_id, call.id(name))
    if aggregate is None:
        raise NotFound(name)
    call.reach(aggregate.location_id, name)
    return aggregate


async def delete_once(
    call: AnyCall, table: AggregateTable[Aggregate], aggregate_id: str, delete: Delete
) -> Reply:
    """Delete the aggregate; a second request has the response of the first."""
    database = call.runtime.db
    versions: dict[str, int] = {}
    call.reach(await table.get_location(database, call.account_id, aggregate_id))
    with suppress(NotFound):
        async with database.transaction() as db:
            versions = await delete(db, call.account_id, aggregate_id, now=call.now)
    return Reply({"success": True}, headers=token_header(versions))
