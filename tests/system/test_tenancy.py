"""An id of another account is answered as one that nobody has, wherever an id can stand.

What is asked is taken from the route tables: a route or a field that comes later is asked about,
too, and one that `tenants` cannot ask about fails a test.
"""

import pytest

from hoop_platform.ids import is_id, new_id
from support.tenants.bodies import BODIES, QUERIES
from support.tenants.id_positions import ID_POSITIONS, ROUTES, IdPosition, operation
from support.tenants.worlds import Worlds, comparable, send

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
    assert all(position.kind for position in ID_POSITIONS)


async def test_a_foreign_id_is_as_unknown_as_any(worlds: Worlds) -> None:
    """Same status, body and headers as for an id that nobody has; the foreign things stay as they are."""
    before, statuses, wrong = await worlds.rows(), {}, []
    for position in ID_POSITIONS:
        foreign = worlds.foreign[position.kind]
        one, other = [
            await send(worlds.ask, position.route, worlds.own, position, value)
            for value in (foreign, unlike(foreign))
        ]
        statuses[str(position)] = one.status
        if comparable(one) != comparable(other) or foreign in str(one.content):
            wrong.append((str(position), comparable(one), comparable(other)))
    assert wrong == []
    assert await worlds.rows() == before
    surprises = {
        str(position): (statuses[str(position)], _expected(position))
        for position in ID_POSITIONS
        if statuses[str(position)] != _expected(position)
    }
    assert surprises == {}


EXCEPTIONS = {
    "POST /calendars/events/appointments body.holdId": 400,  # lost, as one that ran out
    "POST /integrations/zoom/connect body.userId": 404,
    "GET /calendars/schedules/search query.userId": 422,
    "PUT /calendars/resources/{resourceType}/{id} body.locationId": 422,  # it stays where it is
    "PUT /calendars/{calendarId} body.availabilities.0.id": 422,
}


def _expected(position: IdPosition) -> int:
    """A location 403; a user that is named 422, one that only narrows 200; anything else 404."""
    if str(position) in EXCEPTIONS:
        return EXCEPTIONS[str(position)]
    if position.part != "path" and position.kind == "location":
        return 403
    if position.part != "path" and position.kind == "user":
        return 422 if position.part == "body" else 200
    return 404


async def test_what_cannot_be_an_id_is_no_better(worlds: Worlds) -> None:
    """In a path it is 404 like any unknown id; elsewhere it is that or a 422 that names the field."""
    wrong = []
    for position in ID_POSITIONS:
        unknown = await send(worlds.ask, position.route, worlds.own, position, new_id())
        nonsense = await send(worlds.ask, position.route, worlds.own, position, NONSENSE)
        named = [detail["path"] for detail in (nonsense.body or {}).get("details", ())]
        refused_by_form = nonsense.status == 422 and named == [position.name]
        if position.part != "path" and refused_by_form:
            continue
        if comparable(nonsense) != comparable(unknown):
            wrong.append((str(position), comparable(nonsense), comparable(unknown)))
    assert wrong == []


async def test_what_is_asked_is_right_but_for_the_id(worlds: Worlds) -> None:
    """With ids of one's own everywhere, the same requests succeed: it was the id that was refused."""
    refused = {}
    for route in ROUTES:
        if route.method != "DELETE":
            answer = await send(worlds.ask, route, worlds.own)
            if answer.status >= 300:
                refused[operation(route)] = answer.body
    assert refused == {}


async def test_a_stranger_hosts_nothing_in_whatever_status(worlds: Worlds) -> None:
    """An appointment that takes no time, too, is hosted by a member of the calendar only."""
    valid = BODIES["POST /calendars/events/appointments"](worlds.own)
    valid["startTime"] = "2028-03-08T15:00:00Z"
    mine = f"/calendars/events/appointments/{worlds.own['appointment']}"
    for status in ("confirmed", "cancelled", "invalid"):
        said = {"appointmentStatus": status}
        for method, path, body in (
            ("POST", "/calendars/events/appointments", valid | said),
            ("PUT", mine, said),
        ):
            hosts = (worlds.foreign["user"], new_id(), NONSENSE)
            answers = [
                await worlds.ask(method, path, {**body, "assignedUserId": host}) for host in hosts
            ]
            assert [answer.status for answer in answers] == [422, 422, 422], (method, status)
            assert comparable(answers[0]) == comparable(answers[1]) == comparable(answers[2])
