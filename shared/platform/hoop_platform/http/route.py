"""A route is a value: where it stands, who may call it, what it takes and what it answers."""

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
"""What the header `Version` may say."""

Method = Literal["GET", "POST", "PUT", "DELETE"]
Shape = type[BaseModel] | type[list[Any]]
"""A model, or `list[Model]` where the JSON is an array."""

_VERSION_TAG = re.compile(r'"(\d{1,18})"|(\d{1,18})', re.ASCII)
_ENTITY_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e]*"', re.ASCII)
_NO_VERSION = -1


class ResponseModel(BaseModel):
    """The shape of an answer, for the API's document: handlers go on returning plain values."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="allow",
        use_attribute_docstrings=True,
    )


@dataclass(frozen=True)
class Reply:
    """An answer with something special about it; else a handler returns just its body.

    A body of bytes, with the usual content type, is JSON without spaces that is text already; an
    object is given its `traceId` like any other.
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
        """The version that the change was decided on, for its owner to compare under the lock.

        None: whatever version there is. A tag that no version of ours has (RFC 9110, section 13.1.1:
        that is no error) is a version that no row has.
        """
        said = self.headers.get("If-Match", "*").strip()
        if said == "*":
            return None
        if version := _VERSION_TAG.fullmatch(said):
            return int(version[1] or version[2])
        if _ENTITY_TAG.fullmatch(said):
            return _NO_VERSION
        raise Malformed("The header `If-Match` must be one entity tag, such as an `ETag` of ours.")

    def id(self, name: str) -> str:
        """An id in the path; what cannot be an id is as unknown as any other."""
        if not is_id(self.path[name]):
            raise NotFound
        return self.path[name]

    def row_id(self, name: str) -> str:
        """The id inside of the appointment in the path: an occurrence of a series has another."""
        inside = row_id(self.path[name])
        if inside is None:
            raise NotFound
        return inside

    def reach(self, location_id: str | None) -> None:
        """Go on where the key may: what stands elsewhere is as unknown to it as what never was.

        `location_id` is where the thing stands, None if there is none.
        """
        if location_id is None or not self.caller.reaches(location_id):
            raise NotFound


AnyCall = Call[object, object]
"""For functions that look at neither body nor query."""

Handle = Callable[[Call[Any, Any]], Awaitable[BaseModel | Mapping[str, Any] | list[Any] | Reply]]


@dataclass(frozen=True)
class Route:
    """One operation. `scope` None means public: no key is asked for. Of several, one is enough.

    `reply` is the shape of what is answered with `status`; `refusals` are the reasons to say no
    beyond those that every operation has.
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
    """Bodies that may be sent, by a short title each."""
    keyed: bool = True
    """Whether a change honours `Idempotency-Key`. It cannot where the handler asks a provider, for
    then no transaction may be open, nor where the answer holds a secret, which is kept nowhere."""

    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a variable part of the path that is no id: what it may be."""
    headers: tuple[str, ...] = ()
    """Request headers that it reads, beside those that every operation does."""
    media: str = "application/json"
    """What it answers with when all is well; pages are for people."""

    @cached_property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that open it, the plainest name first; none where it is public."""
        return (self.scope,) if isinstance(self.scope, str) else self.scope or ()

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def takes_version(self) -> bool:
        """Whether `If-Match` is compared with the version of what is changed."""
        replaces = self.method == "PUT" and self.body is not None and self.keyed
        return replaces or PreconditionFailed in self.refusals

    @property
    def takes_key(self) -> bool:
        """Whether `Idempotency-Key` is honoured."""
        return self.writes and self.keyed and self.scope is not None
