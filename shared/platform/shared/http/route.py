"""A route is a value: where it stands, who may call it, what it takes and what it answers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from shared.auth import Caller
from shared.errors import NotFound, Refused
from shared.ids import is_id

Method = Literal["GET", "POST", "PUT", "DELETE"]


@dataclass(frozen=True)
class Reply:
    """An answer with something special about it; else a handler returns just its body.

    A body of bytes, with the usual content type, is a JSON object without spaces that is text
    already; it is given its `traceId` like any other.
    """

    body: object = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass(frozen=True)
class Call:
    """A request, parsed and permitted, as a handler sees it."""

    runtime: Any
    caller: Caller
    path: Mapping[str, str]
    query: Any
    body: Any
    headers: Mapping[str, str]
    now: datetime

    @property
    def account_id(self) -> str:
        return self.caller.account_id

    def id(self, name: str) -> str:
        """An id in the path; what cannot be an id is as unknown as any other."""
        if not is_id(self.path[name]):
            raise NotFound
        return self.path[name]


Handle = Callable[[Call], Awaitable[BaseModel | Mapping[str, Any] | list[Any] | Reply]]


@dataclass(frozen=True)
class Route:
    """One operation. `scope` None means public: no key is asked for."""

    method: Method
    path: str
    handler: Handle
    scope: str | None
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    reply: type[BaseModel] | None = None
    status: int = 200
    summary: str = ""
    refusals: tuple[type[Refused], ...] = ()

    @property
    def writes(self) -> bool:
        return self.method != "GET"
