"""The five operations of a collection: create, list, get, update and delete entities of one kind."""

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from accounts.api import schemas
from accounts.domain.entity import Entity, EntityT
from accounts.handlers import crud
from accounts.store.locations import LOCATIONS
from accounts.store.repository import Repository
from hoop_platform.db.database import Database
from hoop_platform.errors import Conflict, LocationForbidden, NotFound, PreconditionFailed
from hoop_platform.http.route import AnyCall, Call, Reply, Route
from hoop_platform.ids import new_id

EntityT_co = TypeVar("EntityT_co", bound=Entity, covariant=True)


class LoadPage(Protocol[EntityT_co]):
    """A query of one page, such as `Repository.list`."""

    def __call__(
        self,
        db: Database,
        account_id: str,
        *,
        after: str | None,
        within: frozenset[str],
        location_id: str | None,
        limit: int,
    ) -> Awaitable[Sequence[EntityT_co]]: ...


READ, WRITE = "calendars.readonly", "calendars.write"
EXAMPLE_LOCATION_ID = "06gvlocation0000000000000g"


@dataclass(frozen=True)
class Collection(Generic[EntityT]):
    """Entities of one kind over HTTP. A key confined to locations sees only what lies within them."""

    repository: Repository[EntityT]
    noun: str
    view: type[schemas.EntityView]
    create_body: type[BaseModel]
    update_body: type[BaseModel]
    examples: Mapping[str, Any]
    """A body for each method that takes one."""
    list_query: type[schemas.PageQuery] = schemas.LocationPageQuery

    async def create(self, call: Call[BaseModel]) -> Reply:
        """Create an entity of the caller's account."""
        entity = self.repository.entity_type(
            account_id=call.account_id,
            id=new_id(),
            date_added=call.now,
            date_updated=call.now,
            **call.body.model_dump(),
        )
        async with call.runtime.db.transaction() as db:
            created = await crud.create(db, self.repository, entity, by=call.caller, now=call.now)
        return self._reply(created)

    async def list(self, call: Call[None, schemas.PageQuery]) -> dict[str, Any]:
        """One page of the entities that the caller may see, oldest first."""
        location_id = await filtered_location(call)
        return await list_page(
            call, self.repository.list, self.noun, self.view, location_id=location_id
        )

    async def get(self, call: Call) -> Reply:
        entity = await self.repository.get(
            call.runtime.db, call.account_id, call.id(self._id_parameter)
        )
        if entity is None or not entity.within(call.caller.location_ids):
            raise NotFound
        return self._reply(entity)

    async def update(self, call: Call[BaseModel]) -> Reply:
        entity_id = call.id(self._id_parameter)
        patch = call.body.model_dump(exclude_unset=True)
        async with call.runtime.db.transaction() as db:
            entity = await crud.update(
                db,
                self.repository,
                entity_id,
                patch,
                by=call.caller,
                if_version=call.if_match,
                now=call.now,
            )
        return self._reply(entity)

    async def delete(self, call: Call) -> schemas.SuccessResponse:
        entity_id = call.id(self._id_parameter)
        async with call.runtime.db.transaction() as db:
            await crud.delete(db, self.repository, entity_id, by=call.caller, now=call.now)
        return schemas.SuccessResponse()

    @property
    def routes(self) -> tuple[Route, ...]:
        """The five operations."""
        return (
            *self._routes_of_collection(f"/{self.noun}s/"),
            *self._routes_of_entity(f"/{self.noun}s/{{{self._id_parameter}}}"),
        )

    def _routes_of_collection(self, path: str) -> Iterator[Route]:
        yield Route(
            "POST",
            path,
            self.create,
            scope=WRITE,
            body=self.create_body,
            reply=self._entity_response,
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
            query=self.list_query,
            reply=schemas.list_response(self.noun, self.view),
            summary=f"List {self.noun}s",
            refusals=(LocationForbidden,),
        )

    def _routes_of_entity(self, path: str) -> Iterator[Route]:
        noun, response = self.noun, self._entity_response
        yield Route(
            "GET",
            path,
            self.get,
            scope=READ,
            reply=response,
            summary=f"Get {noun}",
            refusals=(NotFound,),
        )
        yield Route(
            "PUT",
            path,
            self.update,
            scope=WRITE,
            body=self.update_body,
            reply=response,
            summary=f"Update {noun}",
            examples={"One field": self.examples["PUT"]},
            refusals=(NotFound, PreconditionFailed, LocationForbidden),
        )
        yield Route(
            "DELETE",
            path,
            self.delete,
            scope=WRITE,
            reply=schemas.SuccessResponse,
            summary=f"Delete {noun}",
            refusals=(NotFound, Conflict),
        )

    @cached_property
    def _entity_response(self) -> type[BaseModel]:
        return schemas.entity_response(self.noun, self.view)

    @property
    def _id_parameter(self) -> str:
        return f"{self.noun}Id"

    def _reply(self, entity: EntityT) -> Reply:
        body = {self.noun: as_json(entity, self.view)}
        return Reply(body, headers={"ETag": f'"{entity.version}"'})


def as_json(entity: Entity, view: type[schemas.EntityView]) -> dict[str, Any]:
    """The entity as clients see it."""
    return view.model_validate(entity).model_dump(mode="json", by_alias=True)


async def filtered_location(call: Call[None, schemas.PageQuery]) -> str | None:
    """The location that a list is of; None for all. Raises `LocationForbidden`."""
    query = call.query
    location_id = query.location_id if isinstance(query, schemas.LocationPageQuery) else None
    if location_id is not None:
        await _check_location(call, location_id)
    return location_id


async def list_page(
    call: Call[None, schemas.PageQuery],
    load: LoadPage[Entity],
    noun: str,
    view: type[schemas.EntityView],
    *,
    location_id: str | None = None,
) -> dict[str, Any]:
    """The body of a list: one page of the entities that the caller may see."""
    entities = await load(
        call.runtime.db,
        call.account_id,
        after=call.query.cursor,
        within=call.caller.location_ids,
        location_id=location_id,
        limit=call.query.limit + 1,
    )
    page = entities[: call.query.limit]
    cursor = page[-1].id if len(entities) > len(page) else None
    return {f"{noun}s": [as_json(entity, view) for entity in page], "nextCursor": cursor}


async def _check_location(call: AnyCall, location_id: str) -> None:
    """Refuse a location that the caller may not see, whether it exists or not."""
    location = await LOCATIONS.get(call.runtime.db, call.account_id, location_id)
    if location is None or not location.within(call.caller.location_ids):
        raise LocationForbidden
