"""What holds for every operation that changes something: it is done once a key, and on what was seen."""

import copy
from typing import Any

import pytest

from hoop_platform.http.idempotency import HEADER, REPLAYED
from hoop_platform.http.route import Route
from hoop_platform.ids import new_id
from support.tenants.bodies import BODIES
from support.tenants.id_positions import ROUTES, operation
from support.tenants.worlds import Worlds, comparable, send

pytestmark = pytest.mark.system

KEYED = [route for route in ROUTES if route.takes_key]
VERSIONED = [route for route in ROUTES if route.takes_version]
LAST = (
    "DELETE /calendars/{calendarId}",
    "DELETE /contacts/",
    "DELETE /users/",
    "DELETE /locations/",
)
"""What others stand on is deleted after these."""
NO_KEYS = ("", "x" * 256, "\u2603")


def order(route: Route) -> tuple[bool, int, int]:
    """What is deleted is deleted when nobody needs it any more."""
    name = operation(route)
    last = next((n for n, start in enumerate(LAST, start=1) if name.startswith(start)), 0)
    return route.method == "DELETE", last, -route.path.count("/")


async def test_a_change_that_is_sent_again_is_answered_again(worlds: Worlds) -> None:
    """Each operation, twice with one key: the same answer, marked; then with another request: 409."""
    wrong = {}
    for route in sorted(KEYED, key=order):
        if operation(route) == "DELETE /locations/{locationId}":  # its own is everybody's
            created = await worlds.ask(
                "POST", "/locations/", BODIES["POST /locations/"](worlds.own)
            )
            worlds.own["location"] = created.body["location"]["id"]
        said = {HEADER: new_id()}
        body = copy.deepcopy(BODIES[operation(route)](worlds.own)) if route.body else None
        first, again = [await sent(worlds, route, body, said) for _ in range(2)]
        if first.status >= 300:
            wrong[operation(route)] = first.body
        elif (
            comparable(first)[:2] != comparable(again)[:2] or again.headers.get(REPLAYED) != "true"
        ):
            wrong[operation(route)] = (comparable(first), comparable(again))
        elif "{" in route.path:
            other = await send(worlds.ask, route, {**worlds.own, **OTHERS}, **said)
            if (other.status, other.body["code"]) != (409, "idempotency_mismatch"):
                wrong[operation(route)] = comparable(other)
    assert wrong == {}


async def sent(worlds: Worlds, route: Route, body: Any, headers: dict[str, str]) -> Any:
    """Exactly this body: those of `BODIES` may differ each time they are asked for."""
    known = BODIES.get(operation(route))
    if known is None:
        return await send(worlds.ask, route, worlds.own, **headers)
    BODIES[operation(route)] = lambda _: body
    try:
        return await send(worlds.ask, route, worlds.own, **headers)
    finally:
        BODIES[operation(route)] = known


async def test_a_key_that_is_none_is_refused_everywhere(worlds: Worlds) -> None:
    wrong = {}
    for route in KEYED:
        for key in NO_KEYS:
            answer = await send(worlds.ask, route, worlds.own, **{HEADER: key})
            if (answer.status, answer.body["code"]) != (400, "malformed"):
                wrong[operation(route), key[:3]] = comparable(answer)
    assert wrong == {}


@pytest.mark.parametrize(
    ("tag", "expected"), [('"999"', 412), ('W/"1"', 412), ('"x"', 412), ("x y", 400), ("", 400)]
)
async def test_a_change_of_another_version_is_refused_everywhere(
    worlds: Worlds, tag: str, expected: int
) -> None:
    """412 with any version but the present one, 400 with what is none; nothing is changed."""
    wrong = {}
    for route in VERSIONED:
        answer = await send(worlds.ask, route, worlds.own, **{"If-Match": tag})
        if answer.status != expected:
            wrong[operation(route)] = comparable(answer)
    assert wrong == {}


async def test_the_present_version_lets_a_change_through(worlds: Worlds) -> None:
    """What GET has answered in `ETag`; and the answer to a change has the version after it."""
    by_path = {route.path: route for route in ROUTES if route.method == "GET"}
    wrong, tried = {}, 0
    for route in VERSIONED:
        if route.method != "PUT" or route.path not in by_path:
            continue
        seen = await send(worlds.ask, by_path[route.path], worlds.own)
        tag = seen.headers.get("ETag")
        answer = await send(worlds.ask, route, worlds.own, **{"If-Match": tag or "none"})
        again = await send(worlds.ask, by_path[route.path], worlds.own)
        tried += 1
        if answer.status >= 300 or answer.headers.get("ETag") != again.headers.get("ETag"):
            wrong[operation(route)] = (tag, comparable(answer), again.headers.get("ETag"))
    assert wrong == {}
    assert tried >= 8


OTHERS = {kind: new_id() for kind in ("calendar", "appointment", "group", "schedule", "resource")}
OTHERS |= {
    kind: new_id() for kind in ("block", "note", "notification", "location", "user", "contact")
}
OTHERS |= {kind: new_id() for kind in ("hold", "key")}
