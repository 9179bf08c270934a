"""An id of another account is answered as one that nobody has, wherever an id can stand.

What is asked is taken from the route tables: a route or a field that comes later is asked about,
too, and one that `tenants` cannot ask about fails a test.
"""

import pytest

from hoop_platform.ids import is_id, new_id
from tenants import BODIES, PLACES, QUERIES, ROUTES, Place, Worlds, asked, operation, told

pytestmark = pytest.mark.system

NONSENSE = "nonsense"


def unlike(known: str) -> str:
    """An id that nobody has, made in the same moment as this one."""
    other = known[:12] + "".join("v" if c == "0" else "0" for c in known[12:25]) + known[25]
    assert is_id(other)
    return other


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
            await asked(worlds.ask, place.route, worlds.own, place, value)
            for value in (foreign, unlike(foreign))
        ]
        statuses[str(place)] = one.status
        if told(one) != told(other) or foreign in str(one.told):
            wrong.append((str(place), told(one), told(other)))
    assert wrong == []
    assert await worlds.rows() == before
    surprises = {
        str(place): (statuses[str(place)], _expected(place))
        for place in PLACES
        if statuses[str(place)] != _expected(place)
    }
    assert surprises == {}


EXCEPTIONS = {
    "POST /calendars/events/appointments body.holdId": 400,  # lost, as one that ran out
    "POST /integrations/zoom/connect body.userId": 404,
    "GET /calendars/schedules/search query.userId": 422,
    "PUT /calendars/resources/{resourceType}/{id} body.locationId": 422,  # it stays where it is
    "PUT /calendars/{calendarId} body.availabilities.0.id": 422,
}


def _expected(place: Place) -> int:
    """A location 403; a user that is named 422, one that only narrows 200; anything else 404."""
    if str(place) in EXCEPTIONS:
        return EXCEPTIONS[str(place)]
    if place.part != "path" and place.kind == "location":
        return 403
    if place.part != "path" and place.kind == "user":
        return 422 if place.part == "body" else 200
    return 404


async def test_what_cannot_be_an_id_is_no_better(worlds: Worlds) -> None:
    """In a path it is 404 like any unknown id; elsewhere it is that or a 422 that names the field."""
    wrong = []
    for place in PLACES:
        unknown = await asked(worlds.ask, place.route, worlds.own, place, new_id())
        nonsense = await asked(worlds.ask, place.route, worlds.own, place, NONSENSE)
        named = [detail["path"] for detail in (nonsense.body or {}).get("details", ())]
        refused_by_form = nonsense.status == 422 and named == [place.name]
        if place.part != "path" and refused_by_form:
            continue
        if told(nonsense) != told(unknown):
            wrong.append((str(place), told(nonsense), told(unknown)))
    assert wrong == []


async def test_what_is_asked_is_right_but_for_the_id(worlds: Worlds) -> None:
    """With ids of one's own everywhere, the same requests succeed: it was the id that was refused."""
    refused = {}
    for route in ROUTES:
        if route.method != "DELETE":
            answer = await asked(worlds.ask, route, worlds.own)
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
            assert told(answers[0]) == told(answers[1]) == told(answers[2])
