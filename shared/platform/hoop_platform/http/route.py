"""A route as a value: its path, scopes, request and response shapes, and its handler."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from typing_extensions import TypeVar

from hoop_platform.auth import Caller
from hoop_platform.errors import Malformed, NotFound, PreconditionFailed, Refused
from hoop_platform.ids import is_id, row_id
from hoop_platform.runtime import Runtime

VERSIONS = ("2021-04-15", "2021-07-28", "2023-02-21", "v3")
"""Allowed values of the header `Version`."""

Method = Literal["GET", "POST", "PUT", "DELETE"]
Shape = type[BaseModel] | type[list[Any]]
"""A model, or `list[Model]` for a JSON array."""

_VERSION_TAG = re.compile(r'"(\d{1,18})"|(\d{1,18})', re.ASCII)
_ENTITY_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e]*"', re.ASCII)
_PARAMETER = re.compile(r"\{(\w+)\}")
_NO_VERSION = -1


class ResponseModel(BaseModel):
    """The shape of a response, for the OpenAPI document; handlers return plain values."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="allow",
        use_attribute_docstrings=True,
    )


@dataclass(frozen=True)
class Reply:
    """A response with a status, headers or content type of its own; else a handler returns a body.

    A body of bytes with the default content type is serialized JSON without spaces; an object gets
    its `traceId` like any other.
    """

    body: object = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


BodyT_co = TypeVar("BodyT_co", default=None, covariant=True)
QueryT_co = TypeVar("QueryT_co", default=None, covariant=True)


@dataclass(frozen=True)
class Call(Generic[BodyT_co, QueryT_co]):
    """A request, parsed and authorized, as a handler receives it.

    `Call` has neither body nor query, `Call[Model]` a body, `Call[None, Model]` a query.
    """

    runtime: Runtime[Any]
    caller: Caller
    path: Mapping[str, str]
    query: QueryT_co
    body: BodyT_co
    headers: Mapping[str, str]
    now: datetime

    @property
    def account_id(self) -> str:
        return self.caller.account_id

    @property
    def if_match(self) -> int | None:
        """The version in `If-Match`, to be compared under the row's lock; None for any version.

        A tag that is not one of ours is valid (RFC 9110, section 13.1.1) and matches no version.
        """
        tag = self.headers.get("If-Match", "*").strip()
        if tag == "*":
            return None
        if version := _VERSION_TAG.fullmatch(tag):
            return int(version[1] or version[2])
        if _ENTITY_TAG.fullmatch(tag):
            return _NO_VERSION
        raise Malformed("The header `If-Match` must be one entity tag, such as an `ETag` of ours.")

    def id(self, name: str) -> str:
        """An id in the path; raises `NotFound` for text that cannot be an id."""
        if not is_id(self.path[name]):
            raise NotFound(name)
        return self.path[name]

    def row_id(self, name: str) -> str:
        """The row's id of the appointment in the path (see `ids.row_id`); raises `NotFound`."""
        found = row_id(self.path[name])
        if found is None:
            raise NotFound(name)
        return found

    def reach(self, location_id: str | None, path: str | None = None) -> None:
        """Raise `NotFound` for the id at `path` unless the key may use the location; None raises as well."""
        if location_id is None or not self.caller.reaches(location_id):
            raise NotFound(path)


AnyCall = Call[object, object]
"""For functions that look at neither body nor query."""

Handle = Callable[[Call[Any, Any]], Awaitable[BaseModel | Mapping[str, Any] | list[Any] | Reply]]


@dataclass(frozen=True)
class Route:
    """One operation. `scope` None means public, without a key; of several scopes one is enough.

    `reply` is the shape of the response with `status`; `refusals` are the errors beyond those that
    every operation has.
    """

    method: Method
    path: str
    handler: Handle
    scope: str | tuple[str, ...] | None
    body: Shape | None = None
    query: type[BaseModel] | None = None
    reply: Shape | None = None
    status: int = 200
    summary: str = ""
    description: str = ""
    refusals: tuple[type[Refused], ...] = ()
    examples: Mapping[str, Any] = field(default_factory=dict)
    """Example bodies by title."""
    keyed: bool = True
    """Whether a change honours `Idempotency-Key`. It cannot if the handler calls a provider, since no
    transaction may be open then, nor if the response holds a secret, which must not be stored."""

    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Allowed values of path parameters that are no ids."""
    headers: tuple[str, ...] = ()
    """Request headers of this operation beside the common ones."""
    media: str = "application/json"
    """The content type of a successful response."""

    @cached_property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that allow it, the main one first; none if it is public."""
        return (self.scope,) if isinstance(self.scope, str) else self.scope or ()

    @cached_property
    def id_parameters(self) -> tuple[str, ...]:
        """The path parameters that are ids."""
        return tuple(name for name in _PARAMETER.findall(self.path) if name not in self.choices)

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def takes_version(self) -> bool:
        """Whether `If-Match` is compared with the object's version."""
        replaces = self.method == "PUT" and self.body is not None and self.keyed
        return replaces or PreconditionFailed in self.refusals

    @property
    def takes_key(self) -> bool:
        """Whether `Idempotency-Key` is honoured."""
        return self.writes and self.keyed and self.scope is not None
