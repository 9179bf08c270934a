"""Where ids can stand in requests, from the route tables: a route or a field that comes later is found, too."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, RootModel

from hoop_platform.http.route import Route
from local.stack.topology import SERVICES, service

KIND = {
    "calendarId": "calendar",
    "eventId": "appointment",
    "appointmentId": "appointment",
    "contactId": "contact",
    "locationId": "location",
    "userId": "user",
    "assignedUserId": "user",
    "keyId": "key",
    "connectionId": "connection",
    "locationIds": "location",
    "userIds": "user",
    "toUserId": "user",
    "appointmentIds": "appointment",
    "selectedUsers": "user",
    "calendarIds": "calendar",
    "excludeEventId": "appointment",
    "groupId": "group",
    "holdId": "hold",
    "noteId": "note",
    "notificationId": "notification",
    "resourceId": "resource",
    "availabilities.id": "availability",
}
"""What an id of this name is an id of; a cursor of `accounts` is an id of what is listed."""
NO_IDS = {
    "additionalEmailIds",
    "formId",
    "meetingId",
    "meetingLocationId",
    "pixelId",
    "templateId",
}
"""Named as if they were ids: texts that are only kept, or names of a calendar's own places."""


@dataclass(frozen=True)
class IdPosition:
    """Where an id can stand in a request: `path.calendarId`, `query.userIds`, `body.teamMembers.0.userId`."""

    route: Route
    part: str
    name: str

    @property
    def kind(self) -> str:
        """What the id is an id of; KeyError for a name that this module does not know yet."""
        names = [step for step in self.name.split(".") if not step.isdigit()]
        last = names[-1]
        if last == "cursor":
            return self.route.path.strip("/").removesuffix("s").rpartition("-")[2]
        if last == "id":
            kinds = {"resources": "resource", "schedules": "schedule"}
            found = kinds.get(self.route.path.split("/")[2]) if self.part == "path" else None
            return found or KIND[".".join(names)]
        if last == "eventId" and "block-slots" in self.route.path:
            return "block"
        if last == "connectionId":
            return "google connection" if "google" in self.route.path else "zoom connection"
        return KIND[last]

    def __str__(self) -> str:
        return f"{operation(self.route)} {self.part}.{self.name}"


def operation(route: Route) -> str:
    return f"{route.method} {route.path}"


ROUTES = [route for name in SERVICES for route in service(name).routes if route.scope]


def _id_positions() -> Iterator[IdPosition]:
    for route in ROUTES:
        for step in (step.strip("{}") for step in route.path.split("/") if step[:1] == "{"):
            if step not in route.choices:
                yield IdPosition(route, "path", step)
        for part, model in (("query", route.query), ("body", route.body)):
            for name in _id_fields(model) if model else ():
                yield IdPosition(route, part, name)


def _id_fields(model: type[BaseModel]) -> Iterator[str]:
    """The fields whose names or types say that an id belongs there, nested ones by their path."""
    if issubclass(model, RootModel):
        yield from (f"0.{name}" for name in _id_fields(next(_models(_root(model)))))
        return
    for name, info in model.model_fields.items():
        alias = info.alias or name
        inner = next(_models(info.annotation), None)
        plural = any(
            "list" in str(kind) or "tuple" in str(kind) for kind in _kinds(info.annotation)
        )
        if inner is not None:
            yield from (f"{alias}.{'0.' if plural else ''}{more}" for more in _id_fields(inner))
        elif alias not in NO_IDS and (
            alias.endswith(("Id", "Ids"))
            or alias == "id"
            or (alias == "selectedUsers" and plural)  # elsewhere mail addresses in one text
            or "0-9a-v" in str(info)
        ):
            yield f"{alias}.0" if plural else alias


def _root(model: type[BaseModel]) -> Any:
    """What the array of a body that is an array holds."""
    return model.model_fields["root"].annotation


def _kinds(annotation: Any) -> list[Any]:
    return [annotation, *(deeper for kind in get_args(annotation) for deeper in _kinds(kind))]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    return (
        kind
        for kind in _kinds(annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel)
    )


ID_POSITIONS = list(_id_positions())
