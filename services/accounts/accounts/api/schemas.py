"""What the bodies, queries and responses of all collections share."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.alias_generators import to_camel

from hoop_events.base import Id, Moment
from hoop_platform.http.parse import StrictQuery

LocationIds = Annotated[tuple[Id, ...], Field(max_length=100)]


class PageQuery(StrictQuery):
    """Which part of a list: up to `limit` entities after the one that the last response's cursor names."""

    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Id | None = None


class LocationPageQuery(PageQuery):
    """As `PageQuery`, of one location or of all."""

    location_id: Id | None = None


class EntityView(BaseModel):
    """What clients see of any entity."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)

    id: Id
    version: int
    date_added: Moment
    date_updated: Moment


class SuccessResponse(BaseModel):
    success: bool = True


class PageResponse(BaseModel):
    """What every list has beside its entities."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    next_cursor: Id | None
    """For the next page; null on the last one."""


def entity_response(noun: str, view: type[EntityView]) -> type[BaseModel]:
    """The model of `{noun: {…}}`."""
    fields: dict[str, Any] = {noun: (view, ...)}
    return create_model(f"{view.__name__.removesuffix('View')}Response", **fields)


def list_response(noun: str, view: type[EntityView]) -> type[BaseModel]:
    """The model of `{nouns: […], nextCursor}`."""
    fields: dict[str, Any] = {f"{noun}s": (list[view], ...)}  # type: ignore[valid-type] # a run-time type
    name = f"{view.__name__.removesuffix('View')}sResponse"
    return create_model(name, __base__=PageResponse, **fields)
