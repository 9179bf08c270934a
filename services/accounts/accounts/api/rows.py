"""The routes of locations, users and contacts, which differ in their fields only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from accounts import handlers
from accounts.api import models
from accounts.domain import Row
from accounts.store import CONTACTS, LOCATIONS, USERS, Shelf
from hoop_platform.errors import Conflict, LocationForbidden, NotFound, PreconditionFailed
from hoop_platform.http.route import Call, Reply, Route
from hoop_platform.ids import new_id

R = TypeVar("R", bound=Row)
READ, WRITE = "calendars.readonly", "calendars.write"
_LOCATION = "06gvlocation0000000000000g"


@dataclass(frozen=True)
class Collection(Generic[R]):
    """One kind of row over HTTP. A key confined to locations meets only what lies within them."""

    shelf: Shelf[R]
    noun: str
    view: type[models.View]
    new: type[BaseModel]
    patch: type[BaseModel]
    examples: Mapping[str, Any]
    """A body for each method that takes one."""
    page: type[models.Page] = models.PageAt

    async def create(self, call: Call) -> Reply:
        """Add a row of the caller's account."""
        row = self.shelf.kind(
            account_id=call.account_id,
            id=new_id(),
            date_added=call.now,
            date_updated=call.now,
            **call.body.model_dump(),
        )
        async with call.runtime.db.transaction() as db:
            return self._shown(
                await handlers.add(db, self.shelf, row, by=call.caller, now=call.now)
            )

    async def list(self, call: Call) -> dict[str, Any]:
        """The caller's rows, oldest first."""
        at = getattr(call.query, "location_id", None)
        if at is not None:
            await check_location(call, at)
        return await listed(call, self.shelf, self.noun, self.view, at=at)

    async def get(self, call: Call) -> Reply:
        row = await self.shelf.find(call.runtime.db, call.account_id, call.id(self._id))
        if row is None or not row.within(call.caller.location_ids):
            raise NotFound
        return self._shown(row)

    async def put(self, call: Call) -> Reply:
        row_id, patch = call.id(self._id), call.body.model_dump(exclude_unset=True)
        async with call.runtime.db.transaction() as db:
            row = await handlers.change(
                db,
                self.shelf,
                row_id,
                patch,
                by=call.caller,
                if_version=call.if_match,
                now=call.now,
            )
        return self._shown(row)

    async def delete(self, call: Call) -> models.Success:
        async with call.runtime.db.transaction() as db:
            await handlers.remove(db, self.shelf, call.id(self._id), by=call.caller, now=call.now)
        return models.Success()

    @property
    def routes(self) -> tuple[Route, ...]:
        """Its five operations."""
        return (
            *self._of_the_whole(f"/{self.noun}s/"),
            *self._of_one(f"/{self.noun}s/{{{self._id}}}"),
        )

    def _of_the_whole(self, path: str) -> Iterator[Route]:
        yield Route(
            "POST",
            path,
            self.create,
            scope=WRITE,
            body=self.new,
            reply=self._reply,
            status=201,
            summary=f"Create {self.noun}",
            examples={f"A {self.noun}": self.examples["POST"]},
            refusals=(LocationForbidden,),
        )
        yield Route(
            "GET",
            path,
            self.list,
            scope=READ,
            query=self.page,
            reply=models.many(self.noun, self.view),
            summary=f"List {self.noun}s",
            refusals=(LocationForbidden,),
        )

    def _of_one(self, path: str) -> Iterator[Route]:
        noun, reply, missing = self.noun, self._reply, (NotFound,)
        yield Route(
            "GET", path, self.get, scope=READ, reply=reply, summary=f"Get {noun}", refusals=missing
        )
        yield Route(
            "PUT",
            path,
            self.put,
            scope=WRITE,
            body=self.patch,
            reply=reply,
            summary=f"Update {noun}",
            examples={"One field": self.examples["PUT"]},
            refusals=(NotFound, PreconditionFailed, LocationForbidden),
        )
        yield Route(
            "DELETE",
            path,
            self.delete,
            scope=WRITE,
            reply=models.Success,
            summary=f"Delete {noun}",
            refusals=(NotFound, Conflict),
        )

    @cached_property
    def _reply(self) -> type[BaseModel]:
        return models.one(self.noun, self.view)

    @property
    def _id(self) -> str:
        return f"{self.noun}Id"

    def _shown(self, row: R) -> Reply:
        body = {self.noun: shown(row, self.view)}
        return Reply(body, headers={"ETag": f'"{row.version}"'})


def shown(row: Row, view: type[models.View]) -> dict[str, Any]:
    """A row as clients see it."""
    return view.model_validate(row).model_dump(mode="json", by_alias=True)


async def listed(
    call: Call, shelf: Shelf[R], noun: str, view: type[models.View], *, at: str | None = None
) -> dict[str, Any]:
    """The page that the call asks for."""
    rows = await shelf.list(
        call.runtime.db,
        call.account_id,
        after=call.query.cursor,
        reach=call.caller.location_ids,
        at=at,
        limit=call.query.limit + 1,
    )
    page = rows[: call.query.limit]
    more = page[-1].id if len(rows) > len(page) else None
    return {f"{noun}s": [shown(row, view) for row in page], "nextCursor": more}


async def check_location(call: Call, location_id: str) -> None:
    """Refuse a location that the caller cannot see, whoever has it or nobody."""
    location = await LOCATIONS.find(call.runtime.db, call.account_id, location_id)
    if location is None or not location.within(call.caller.location_ids):
        raise LocationForbidden


ROUTES = (
    *Collection(
        LOCATIONS,
        "location",
        models.LocationView,
        models.NewLocation,
        models.LocationPatch,
        {
            "POST": {"name": "Downtown", "timeZone": "America/New_York"},
            "PUT": {"name": "Uptown"},
        },
        models.Page,
    ).routes,
    *Collection(
        USERS,
        "user",
        models.UserView,
        models.NewUser,
        models.UserPatch,
        {
            "POST": {"name": "Ada", "email": "ada@example.com", "locationIds": [_LOCATION]},
            "PUT": {"timeZone": "Europe/London"},
        },
    ).routes,
    *Collection(
        CONTACTS,
        "contact",
        models.ContactView,
        models.NewContact,
        models.ContactPatch,
        {
            "POST": {"locationId": _LOCATION, "name": "Carl", "email": "carl@example.com"},
            "PUT": {"phone": "+12125550123"},
        },
    ).routes,
)
