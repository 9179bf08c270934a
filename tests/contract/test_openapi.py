"""The API's document, the route tables, and the operations that the API is compatible with: all agree."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter

from booking.api.examples import EXAMPLES as EXAMPLES_OF_BOOKING
from hoop_platform.http.openapi.page import page
from hoop_platform.http.route import Route
from local.codegen import openapi

COMPATIBLE = """
    GET    /calendars/
    POST   /calendars/
    GET    /calendars/{calendarId}
    PUT    /calendars/{calendarId}
    DELETE /calendars/{calendarId}
    GET    /calendars/{calendarId}/free-slots
    GET    /calendars/groups
    POST   /calendars/groups
    POST   /calendars/groups/validate-slug
    GET    /calendars/groups/{groupId}
    PUT    /calendars/groups/{groupId}
    DELETE /calendars/groups/{groupId}
    PUT    /calendars/groups/{groupId}/status
    GET    /calendars/events
    GET    /calendars/blocked-slots
    POST   /calendars/events/appointments
    GET    /calendars/events/appointments/{eventId}
    PUT    /calendars/events/appointments/{eventId}
    DELETE /calendars/events/{eventId}
    POST   /calendars/events/block-slots
    PUT    /calendars/events/block-slots/{eventId}
    GET    /calendars/appointments/{appointmentId}/notes
    POST   /calendars/appointments/{appointmentId}/notes
    PUT    /calendars/appointments/{appointmentId}/notes/{noteId}
    DELETE /calendars/appointments/{appointmentId}/notes/{noteId}
    GET    /calendars/resources/{resourceType}
    POST   /calendars/resources/{resourceType}
    GET    /calendars/resources/{resourceType}/{id}
    PUT    /calendars/resources/{resourceType}/{id}
    DELETE /calendars/resources/{resourceType}/{id}
    GET    /calendars/{calendarId}/notifications
    POST   /calendars/{calendarId}/notifications
    GET    /calendars/{calendarId}/notifications/{notificationId}
    PUT    /calendars/{calendarId}/notifications/{notificationId}
    DELETE /calendars/{calendarId}/notifications/{notificationId}
    GET    /calendars/schedules/search
    POST   /calendars/schedules
    GET    /calendars/schedules/{id}
    PUT    /calendars/schedules/{id}
    DELETE /calendars/schedules/{id}
    PUT    /calendars/schedules/{id}/associations/{calendarId}
    DELETE /calendars/schedules/{id}/associations/{calendarId}
"""
"""The 42 operations of the calendars API that other vendors' clients call."""
CREATED = {
    "POST /calendars/groups",
    "POST /calendars/schedules",
    "POST /calendars/resources/{resourceType}",
    "POST /calendars/appointments/{appointmentId}/notes",
    "POST /calendars/events/block-slots",
    "PUT /calendars/events/block-slots/{eventId}",
    "DELETE /calendars/events/{eventId}",
}
"""Those of them that answer 201; all others answer 200."""

ROUTES = {
    f"{route.method} {route.path}": route for table in openapi.routes().values() for route in table
}
DOCUMENT: dict[str, Any] = orjson.loads(openapi.text())
OPERATIONS = {
    f"{method.upper()} {path}": said
    for path, methods in DOCUMENT["paths"].items()
    for method, said in methods.items()
}
EXAMPLES = [(name, title) for name, route in ROUTES.items() for title in route.examples]


def compatible() -> list[str]:
    return [" ".join(line.split()) for line in COMPATIBLE.strip().splitlines()]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for inner in node.values():
            yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def test_the_file_is_in_step() -> None:
    """booking's openapi.json is what `./hoop openapi --write` would write."""
    assert openapi.FILE.read_bytes() == openapi.text()


def test_the_document_has_every_route_and_nothing_else() -> None:
    assert OPERATIONS.keys() == ROUTES.keys()


def test_all_operations_of_the_compatible_api_are_here() -> None:
    """All 42, with the status that its clients expect."""
    wanted = compatible()
    assert len(wanted) == 42
    assert {name for name in wanted if name not in ROUTES} == set()
    statuses = {name: ROUTES[name].status for name in wanted}
    assert statuses == {name: 201 if name in CREATED else 200 for name in wanted}


def test_every_operation_has_a_name_of_its_own() -> None:
    """Methods of clients are generated from these names: snake_case, none twice."""
    names = Counter(said["operationId"] for said in OPERATIONS.values())
    assert [name for name, times in names.items() if times > 1] == []
    assert [name for name in names if not re.fullmatch("[a-z]+(_[a-z]+)+", name)] == []


def test_what_is_referred_to_is_there_and_what_is_there_is_referred_to() -> None:
    found = set(references(DOCUMENT))
    there = {
        f"#/components/{kind}/{name}"
        for kind, parts in DOCUMENT["components"].items()
        if kind != "securitySchemes"
        for name in parts
    }
    assert found - there == set()
    assert there - found == set()


@pytest.mark.parametrize("name", sorted(ROUTES))
def test_an_operation_says_all_about_itself(name: str) -> None:
    """Path parameters, who may call it, its body with an example, what it answers and what it refuses."""
    route, said = ROUTES[name], OPERATIONS[name]
    in_path = [p for p in said["parameters"] if p.get("in") == "path"]
    assert [p["name"] for p in in_path] == re.findall(r"\{(\w+)\}", route.path)
    assert [one["bearer"] for one in said["security"]] == [[scope] for scope in route.scopes]
    assert said["summary"] == route.summary != ""
    refused = {status for status in said["responses"] if status >= "300"}
    assert refused >= {"400", "429", "500", "503"}
    assert (refused >= {"401", "403"}) == bool(route.scopes)
    assert ("404" in refused) >= ("{" in route.path)
    assert ("409" in refused) >= route.takes_key
    assert ("422" in refused) >= bool(route.body or route.query)
    content = said["responses"][str(route.status)]["content"][route.media]
    if route.scopes:
        assert route.reply is not None, "says no shape of its answer"
        assert content["schema"] != {}


@pytest.mark.parametrize("name", sorted(name for name, route in ROUTES.items() if route.body))
def test_a_body_has_an_example(name: str) -> None:
    assert ROUTES[name].examples
    shown = OPERATIONS[name]["requestBody"]["content"]["application/json"]["examples"]
    assert {title: one["value"] for title, one in shown.items()} == ROUTES[name].examples


@pytest.mark.parametrize(("name", "title"), EXAMPLES)
def test_an_example_is_what_the_operation_takes(name: str, title: str) -> None:
    """It fits the model, strictly, as if it had been sent."""
    route: Route = ROUTES[name]
    TypeAdapter(route.body).validate_json(orjson.dumps(route.examples[title]))


def test_an_example_is_written_once() -> None:
    """A table that names an operation which brings its own, or which is no more, is out of date."""
    shown = {name: route.examples for name, route in ROUTES.items()}
    known = {f"{method} {path}": said for (method, path), said in EXAMPLES_OF_BOOKING.items()}
    assert {name for name, said in known.items() if shown.get(name) != said} == set()


def test_headers_are_offered_where_they_are_honoured() -> None:
    """`Idempotency-Key` with every change but those that say so; `If-Match` where versions are compared."""
    for name, route in ROUTES.items():
        said = {p.get("$ref", "").rpartition("/")[2] for p in OPERATIONS[name]["parameters"]}
        assert ("Idempotency-Key" in said) == route.takes_key, name
        assert ("If-Match" in said) == route.takes_version, name
        assert ("Version" in said) == (route.scope is not None), name
        silent = route.writes and route.scopes and not route.takes_key
        assert ("not honoured" in OPERATIONS[name].get("description", "")) == bool(silent), name


def test_a_patch_has_no_defaults() -> None:
    """A field that is not sent stays as it is, whatever the model would make of it."""
    for name, said in OPERATIONS.items():
        if name.startswith("PUT") and "requestBody" in said:
            schema = said["requestBody"]["content"]["application/json"]["schema"]
            body = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            defaults = [f for f, rule in body.get("properties", {}).items() if "default" in rule]
            assert defaults == [], name


def test_the_page_asks_nobody_for_anything() -> None:
    """All operations are on it; no script, and nothing is loaded from anywhere."""
    html = page(DOCUMENT)
    for said in OPERATIONS.values():
        assert f'<article id="{said["operationId"]}">' in html
    assert set(re.findall(r'href="([^#"][^"]*)"', html)) == {"/openapi.json"}
    assert re.findall(r"<script|<img|<link|@import|url\(|src=", html) == []
    anchors = set(re.findall(r'id="([^"]+)"', html))
    assert {link for link in re.findall(r'href="#([^"]+)"', html) if link not in anchors} == set()
