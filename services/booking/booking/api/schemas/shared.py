"""Fields, queries and responses that several operations have in common."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from hoop_events.base import Moment
from hoop_platform.http.parse import OneLine, Query
from hoop_platform.http.route import ResponseModel

Count = Annotated[int, Field(ge=0, le=9999)]
Name = Annotated[OneLine, Field(min_length=1)]

RESERVED_SLUGS = frozenset(
    ("groups", "events", "blocked-slots", "schedules", "resources", "appointments", "validate-slug")
)
"""Words in the paths of this API, which no slug may be."""


def _not_reserved(slug: str) -> str:
    if slug.lower() in RESERVED_SLUGS:
        raise PydanticCustomError("reserved", "is a word of the API's own paths")
    return slug


Slug = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$",
        description="One of its kind in the location; capitals make no difference.",
    ),
    AfterValidator(_not_reserved),
]


class LocationQuery(Query):
    location_id: str


class OffsetPageQuery(Query):
    """A page of a list: its length, and how many items come before."""

    limit: Annotated[int, Field(ge=1, le=500)] = 50
    skip: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class SuccessResponse(ResponseModel):
    """The change is committed."""

    success: bool


class WarningResponse(ResponseModel):
    """A sent field that is stored and shown, and has no effect (yet)."""

    path: str
    code: Literal["no_effect"]
    message: str


Warnings = Annotated[
    list[WarningResponse] | None,
    Field(description="Of a change: the sent fields that have no effect. Absent without such."),
]


class VersionedResponse(ResponseModel):
    """What every aggregate shows: `version` grows with each change, and is its `ETag`."""

    id: str
    version: int
    date_added: Moment
    date_updated: Moment
