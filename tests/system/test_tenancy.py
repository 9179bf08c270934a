"""An id of another account is answered as one that nobody has, wherever an id can stand.

What is asked is taken from the route tables: a route or a field that comes later is asked about,
too, and one that this module cannot ask about fails a test.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args
from uuid import UUID

import pytest
from pydantic import BaseModel

from local.testing import Answer, Client
from local.topology import SERVICES, service
from shared.http import Route
from shared.ids import is_id, new_id, unspell

pytestmark = pytest.mark.system

Ids = dict[str, str]
NONSENSE = "nonsense"
OWN_HEADERS = {"x-trace-id", "date", "x-ratelimit-daily-reset"}
"""What differs between any two answers."""
KIND = {
    "calendarId": "calendar",
    "eventId": "appointment",
    "excludeEventId": "appointment",
    "appointmentId": "appointment",
    "contactId": "contact",
    "locationId": "location",
    "userId": "user",
    "assignedUserId": "user",
    "keyId": "key",
    "connectionId": "connection",
    "locationIds": "location",
    "userIds": "user",
}
"""What an id of this name is an id of; a cursor is an id of what is listed."""


def _calendar(ids: Ids) -> dict[str, Any]:
    return {
        "locationId": ids["location"],
        "name": "Tenancy",
        "calendarType": "personal",
        "openHours": [
            {
                "daysOfTheWeek": [0, 1, 2, 3, 4, 5, 6],
                "hours": [{"openHour": 0, "openMinute": 0, "closeHour": 24, "closeMinute": 0}],
            }
        ],
        "teamMembers": [{"userId": ids["user"]}],
    }


# Valid but for the id under test, so that only the id can be the reason of a refusal.
BODIES: dict[str, Callable[[Ids], dict[str, Any]]] = {
    "POST /locations/": lambda _: {"name": "Elsewhere", "timeZone": "Europe/Paris"},
    "PUT /locations/{locationId}": lambda _: {"name": "Taken over"},
    "POST /users/": lambda ids: {
        "name": "Uma",
        "email": "uma@example.com",
        "locationIds": [ids["location"]],
    },
    "PUT /users/{userId}": lambda ids: {"name": "Taken over", "locationIds": [ids["location"]]},
    "POST /contacts/": lambda ids: {"name": "Carl", "locationId": ids["location"]},
    "PUT /contacts/{contactId}": lambda _: {"name": "Taken over"},
    "POST /api-keys": lambda ids: {
        "name": "key",
        "scopes": ["calendars.readonly"],
        "locationIds": [ids["location"]],
    },
    "POST /calendars/": _calendar,
    "PUT /calendars/{calendarId}": lambda ids: {
        "name": "Taken over",
        "teamMembers": [{"userId": ids["user"]}],
    },
    "POST /calendars/events/appointments": lambda ids: {
        "calendarId": ids["calendar"],
        "locationId": ids["location"],
        "contactId": ids["contact"],
        "assignedUserId": ids["user"],
        "startTime": "2028-03-06T15:00:00Z",
        "title": "Taken over",
    },
    "PUT /calendars/events/appointments/{eventId}": lambda ids: {
        "title": "Taken over",
        "calendarId": ids["calendar"],
        "assignedUserId": ids["user"],
    },
    "POST /integrations/zoom/connect": lambda ids: {"userId": ids["user"]},
    "PUT /integrations/zoom/{connectionId}": lambda _: {"waitingForAdmin": True},
    "POST /integrations/google/connect": lambda ids: {
        "calendarId": ids["calendar"],
        "userId": ids["user"],
    },
    "PUT /integrations/google/{connectionId}": lambda ids: {"userId": ids["user"]},
}
QUERIES: dict[str, Callable[[Ids], dict[str, str]]] = {
    "GET /calendars/": lambda ids: {"locationId": ids["location"]},
    "GET /calendars/{calendarId}/free-slots": lambda _: {
        "startDate": "1835913600000",
        "endDate": "1836000000000",
    },
}


@dataclass(frozen=True)
class Place:
    """Where an id can stand in a request: `path.calendarId`, `query.userIds`, `body.teamMembers.0.userId`."""

    route: Route
    part: str
    name: str

    @property
    def kind(self) -> str:
        """What the id is an id of; KeyError for a name that this module does not know yet."""
        last = next(step for step in reversed(self.name.split(".")) if not step.isdigit())
        if last == "cursor":
            return self.route.path.strip("/").removesuffix("s").rpartition("-")[2]
        if last == "connectionId":
            return "google connection" if "google" in self.route.path else "zoom connection"
        return KIND[last]

    def __str__(self) -> str:
        return f"{operation(self.route)} {self.part}.{self.name}"


def operation(route: Route) -> str:
    return f"{route.method} {route.path}"


ROUTES = [route for name in SERVICES for route in service(name).routes if route.scope]


def _places() -> Iterator[Place]:
    for route in ROUTES:
        for step in route.path.split("/"):
            if step.startswith("{"):
                yield Place(route, "path", step.strip("{}"))
        for part, model in (("query", route.query), ("body", route.body)):
            for name in _id_fields(model) if model else ():
                yield Place(route, part, name)


def _id_fields(model: type[BaseModel]) -> Iterator[str]:
    """The fields whose names or types say that an id belongs there, nested ones by their path."""
    for name, info in model.model_fields.items():
        alias = info.alias or name
        inner = next(_models(info.annotation), None)
        plural = any(
            "list" in str(kind) or "tuple" in str(kind) for kind in _kinds(info.annotation)
        )
        if inner is not None:
            yield from (f"{alias}.{'0.' if plural else ''}{more}" for more in _id_fields(inner))
        elif alias.endswith(("Id", "Ids", "cursor")) or alias == "id" or "0-9a-v" in str(info):
            yield f"{alias}.0" if plural else alias


def _kinds(annotation: Any) -> list[Any]:
    return [annotation, *(deeper for kind in get_args(annotation) for deeper in _kinds(kind))]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    return (
        kind
        for kind in _kinds(annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel)
    )


PLACES = list(_places())


@dataclass
class Worlds:
    """Two accounts that have the same kinds of things, and what each of them is called."""

    system: Any
    ask: Client
    other: Client
    own: Ids
    foreign: Ids
    account: UUID

    async def rows(self) -> dict[str, str]:
        """A fingerprint of all rows of the other account, by service and table."""
        found = {}
        for name in self.system.facts["postgres"]:
            tables = await self.system.sql(
                name,
                """
                SELECT table_name AS name FROM information_schema.columns
                 WHERE column_name = 'account_id' AND table_schema = 'public'
                """,
            )
            query = " UNION ALL ".join(
                f"SELECT '{table['name']}' AS name, md5(string_agg(t::text, '|' ORDER BY t::text)) AS rows FROM {table['name']} t WHERE account_id = $1"
                for table in tables
            )
            for table in await self.system.sql(name, query, self.account):
                found[f"{name}.{table['name']}"] = table["rows"]
        return found


@pytest.fixture
async def worlds(desk: Any, eventually: Any) -> Any:
    facts = desk.facts
    async with desk.system.client("other_api_key") as other:
        own = {"location": facts["location_id"], "contact": facts["contact_ids"][0]}
        location = await _made(other, "/locations/", "location", name="B", timeZone="UTC")
        foreign = {"location": location}
        foreign["contact"] = await _made(
            other, "/contacts/", "contact", name="Boris", locationId=location
        )
        account = UUID(bytes=unspell(facts["other_account_id"]))
        worlds = Worlds(desk.system, desk.ask, other, own, foreign, account)
        for ask, ids in ((desk.ask, own), (other, foreign)):
            await _furnish(ask, ids)
        await eventually(lambda: _settled(worlds))
        yield worlds


async def _made(ask: Client, path: str, noun: str, **body: Any) -> str:
    answer = await ask("POST", path, body)
    assert answer.status < 300, answer.body
    return str(answer.body[noun]["id"])


async def _furnish(ask: Client, ids: Ids) -> None:
    """One of each kind. The connections wait for their users, so that nothing works on them."""
    email = f"{new_id()}@staff.example.com"
    places = [ids["location"]]
    ids["user"] = await _made(ask, "/users/", "user", name="U", email=email, locationIds=places)
    ids["key"] = await _made(ask, "/api-keys", "apiKey", scopes=["calendars.readonly"])
    ids["calendar"] = await _made(ask, "/calendars/", "calendar", **_calendar(ids))
    booking = {**BODIES["POST /calendars/events/appointments"](ids), "title": "Mine"}
    booking["startTime"] = "2028-03-07T15:00:00Z"
    booked = await ask("POST", "/calendars/events/appointments", booking)
    assert booked.status == 200, booked.body
    ids["appointment"] = booked.body["id"]
    for provider, owner in (("zoom", "user"), ("google", "calendar")):
        begun = await ask("POST", f"/integrations/{provider}/connect", {f"{owner}Id": ids[owner]})
        assert begun.status == 200, begun.body
        ids[f"{provider} connection"] = begun.body["connectionId"]


async def _settled(worlds: Worlds) -> bool:
    """Every service has heard of both, and nothing is on its way any more."""
    for ask, ids in ((worlds.ask, worlds.own), (worlds.other, worlds.foreign)):
        for route in ROUTES:
            if route.method == "GET" and "{" in route.path:
                answer = await _asked(ask, route, ids)
                if answer.status != 200:
                    return False
    waiting = "SELECT 1 FROM outbox WHERE account_id = $1 UNION ALL SELECT 1 FROM work WHERE account_id = $1 AND status = 'due' AND next_attempt_at < clock_timestamp() + interval '5 s'"
    for name in worlds.system.facts["postgres"]:
        if await worlds.system.sql(name, waiting, worlds.account):
            return False
    return True


async def _asked(
    ask: Client, route: Route, ids: Ids, place: Place | None = None, value: str = ""
) -> Answer:
    """Ask with ids of one's own everywhere, but for `place`."""
    name = operation(route)
    path = route.path
    for step in [step.strip("{}") for step in path.split("/") if step.startswith("{")]:
        here = Place(route, "path", step)
        path = path.replace(f"{{{step}}}", value if here == place else ids[here.kind])
    query = QUERIES.get(name, lambda _: {})(ids)
    body = copy.deepcopy(BODIES[name](ids)) if route.body else None
    if place is not None and place.part == "query":
        query[place.name.removesuffix(".0")] = value
    if place is not None and place.part == "body":
        _put(body, place.name.split("."), value)
    return await ask(route.method, path, body, query=query or None)


def _put(body: Any, steps: list[str], value: str) -> None:
    """Set `a.0.b`, making what is missing on the way."""
    first, *rest = steps
    key: Any = int(first) if first.isdigit() else first
    if isinstance(key, int) and len(body) <= key:
        body.append({})
    if not rest:
        body[key] = value
        return
    if isinstance(key, str):
        body.setdefault(key, [] if rest[0].isdigit() else {})
    _put(body[key], rest, value)


def unlike(known: str) -> str:
    """An id that nobody has, made in the same moment as this one."""
    other = known[:12] + "".join("v" if c == "0" else "0" for c in known[12:25]) + known[25]
    assert is_id(other)
    return other


def _told(answer: Answer) -> tuple[int, Any, dict[str, str]]:
    """All that an answer says but what differs between any two."""
    headers = {n.lower(): v for n, v in answer.headers.items() if n.lower() not in OWN_HEADERS}
    return answer.status, answer.told, headers


def test_every_route_is_known_here() -> None:
    """A new route with a body says here what a valid one is, a new id says what it is an id of."""
    bodies = {operation(route) for route in ROUTES if route.body}
    assert bodies == set(BODIES)
    assert {operation(route) for route in ROUTES} >= set(QUERIES)
    assert all(place.kind for place in PLACES)


async def test_a_foreign_id_is_as_unknown_as_any(worlds: Worlds) -> None:
    """Same status, body and headers as for an id that nobody has; the foreign things stay as they are."""
    before, statuses, wrong = await worlds.rows(), {}, []
    for place in PLACES:
        foreign = worlds.foreign[place.kind]
        one, other = [
            await _asked(worlds.ask, place.route, worlds.own, place, value)
            for value in (foreign, unlike(foreign))
        ]
        statuses[str(place)] = one.status
        if _told(one) != _told(other) or foreign in str(one.told):
            wrong.append((str(place), _told(one), _told(other)))
    assert wrong == []
    assert await worlds.rows() == before
    assert statuses == {str(place): _expected(place) for place in PLACES}


def _expected(place: Place) -> int:
    """In a path 404; as a location 403; as a member of a team 422; where it only narrows, 200."""
    name = place.name.split(".")[-1] if "." not in place.name else place.name.partition(".0")[0]
    if place.part == "path" or name in ("contactId", "calendarId", "excludeEventId"):
        return 404
    if name in ("locationId", "locationIds"):
        return 403
    if place.part == "query":
        return 200
    return 404 if place.route.path == "/integrations/zoom/connect" else 422


async def test_what_cannot_be_an_id_is_no_better(worlds: Worlds) -> None:
    """In a path it is 404 like any unknown id; elsewhere it is that or a 422 that names the field."""
    wrong = []
    for place in PLACES:
        unknown = await _asked(worlds.ask, place.route, worlds.own, place, new_id())
        nonsense = await _asked(worlds.ask, place.route, worlds.own, place, NONSENSE)
        named = [detail["path"] for detail in (nonsense.body or {}).get("details", ())]
        refused_by_form = nonsense.status == 422 and named == [place.name]
        if place.part != "path" and refused_by_form:
            continue
        if _told(nonsense) != _told(unknown):
            wrong.append((str(place), _told(nonsense), _told(unknown)))
    assert wrong == []


async def test_what_is_asked_is_right_but_for_the_id(worlds: Worlds) -> None:
    """With ids of one's own everywhere, the same requests succeed: it was the id that was refused."""
    refused = {}
    for route in ROUTES:
        if route.method != "DELETE":
            answer = await _asked(worlds.ask, route, worlds.own)
            if answer.status >= 300:
                refused[operation(route)] = answer.body
    assert refused == {}


async def test_a_stranger_hosts_nothing_in_whatever_status(worlds: Worlds) -> None:
    """An appointment that takes no time, too, is hosted by a member of the calendar only."""
    body = BODIES["POST /calendars/events/appointments"](worlds.own)
    body["startTime"] = "2028-03-08T15:00:00Z"
    mine = f"/calendars/events/appointments/{worlds.own['appointment']}"
    for status in ("confirmed", "cancelled", "invalid"):
        said = {"appointmentStatus": status}
        for method, path, wish in (
            ("POST", "/calendars/events/appointments", body | said),
            ("PUT", mine, said),
        ):
            hosts = (worlds.foreign["user"], new_id(), NONSENSE)
            answers = [
                await worlds.ask(method, path, {**wish, "assignedUserId": host}) for host in hosts
            ]
            assert [answer.status for answer in answers] == [422, 422, 422], (method, status)
            assert _told(answers[0]) == _told(answers[1]) == _told(answers[2])
