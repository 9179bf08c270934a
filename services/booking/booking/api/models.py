"""What bodies and queries of several subjects have in common: names, slugs, locations, pages."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from hoop_platform.http.parse import OneLine, Query

Count = Annotated[int, Field(ge=0, le=9999)]
Name = Annotated[OneLine, Field(min_length=1)]

RESERVED = frozenset(
    ("groups", "events", "blocked-slots", "schedules", "resources", "appointments", "validate-slug")
)
"""No slug: they stand in the paths of this API."""


def _not_reserved(slug: str) -> str:
    if slug.lower() in RESERVED:
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


class InLocation(Query):
    location_id: str


class Some(Query):
    """Which part of a list."""

    limit: Annotated[int, Field(ge=1, le=500)] = 50
    skip: Annotated[int, Field(ge=0, le=1_000_000)] = 0
