"""Who may call what: every operation is asked with every scope, and with none."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from hoop_platform.auth import KNOWN_SCOPES
from hoop_platform.http.route import Route
from hoop_platform.ids import new_id
from local.codegen import openapi
from local.testing.client import Client

pytestmark = pytest.mark.system

AREAS = (
    (r"/calendars/groups(/.*)?", {"calendars", "calendars/groups"}),
    (r"/calendars/resources/.*", {"calendars", "calendars/resources"}),
    (r"/calendars/\{calendarId\}/notifications(/.*)?", {"calendars", "calendars/events"}),
    (r"/calendars/\{calendarId\}/(holds|sessions)(/.*)?", {"calendars/events"}),
    (r"/calendars/(events|blocked-slots|appointments)(/.*)?", {"calendars/events"}),
    (r"/contacts/\{contactId\}/appointments", {"calendars/events"}),
    (r"/users/\{userId\}/reassign", {"calendars/events"}),
    (r"/integrations/zoom/meetings/.*", {"calendars/events"}),
    (r"/(calendars|schedules|integrations|locations|users|contacts|api-keys)(/.*)?", {"calendars"}),
)
"""What may be used with which scopes, the first that fits; `.readonly` to read, `.write` for both."""
PUBLIC = {
    "GET /openapi.json",
    "GET /docs",
    "GET /integrations/zoom/callback",
    "GET /integrations/google/callback",
}
ROUTES = {f"{r.method} {r.path}": r for table in openapi.routes().values() for r in table}
SECURED = {name: route for name, route in ROUTES.items() if name not in PUBLIC}
AT_ONCE = 8


def areas(route: Route) -> set[str]:
    return next(found for path, found in AREAS if re.fullmatch(path, route.path))


def open_to(route: Route) -> Iterator[str]:
    """The scopes that open it, each of which is enough."""
    for area in areas(route):
        yield f"{area}.write"
        if route.method == "GET":
            yield f"{area}.readonly"


def cells() -> dict[tuple[str, str], bool]:
    """Whether each operation is open to a key that has this scope alone."""
    return {
        (name, scope): scope in set(open_to(route))
        for name, route in SECURED.items()
        for scope in KNOWN_SCOPES
    }


async def send(ask: Client, route: Route) -> Any:
    """Ask about things that nobody has, with a body that lacks everything: nothing can come of it."""
    path = "/".join(new_id() if part.startswith("{") else part for part in route.path.split("/"))
    return await ask(route.method, path, {} if route.body else None)


@pytest.fixture
async def holders(system: Any, eventually: Any) -> AsyncIterator[dict[str, Client]]:
    """A client for each scope, whose key has it alone and is known everywhere."""
    async with AsyncExitStack() as stack:
        ask = await stack.enter_async_context(system.client())
        found = {}
        for scope in KNOWN_SCOPES:
            created = await ask("POST", "/api-keys", {"name": scope, "scopes": [scope]})
            client = Client(system.facts["base_url"], created.body["apiKey"]["key"])
            found[scope] = await stack.enter_async_context(client)

        async def known() -> bool:
            paths = ("/users/", "/calendars/", f"/calendars/{new_id()}/notifications")
            paths += (
                f"/calendars/{new_id()}/free-slots",
                f"/integrations/zoom/meetings/{new_id()}",
            )
            answers = [await c("GET", path) for c in found.values() for path in paths]
            return all(answer.status != 401 for answer in answers)

        await eventually(known)
        yield found


async def send_all(todo: list[tuple[Any, Client]]) -> dict[Any, Any]:
    """The answers by what was asked, a few at a time."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(name: Any, client: Client) -> tuple[Any, Any]:
        async with slots:
            return name, await send(client, ROUTES[name[0]])

    return dict(await asyncio.gather(*(one(name, client) for name, client in todo)))


def test_every_operation_asks_for_what_is_written_here() -> None:
    """Public is what is named here, and nothing else; the others name the scopes of their area."""
    assert {name for name, route in ROUTES.items() if route.scope is None} == PUBLIC
    for name, route in SECURED.items():
        right = "readonly" if route.method == "GET" else "write"
        assert set(route.scopes) == {f"{area}.{right}" for area in areas(route)}, name


async def test_every_scope_on_every_operation(holders: dict[str, Client]) -> None:
    """403 that names the scope, or whatever the request deserves; as the table above says, cell by cell."""
    expected = cells()
    answers = await send_all([(cell, holders[cell[1]]) for cell in expected])
    wrong = {}
    for cell, answer in answers.items():
        code = answer.body.get("code") if isinstance(answer.body, dict) else None
        if (code != "scope_missing") != expected[cell] or answer.status in (401, 500, 503):
            wrong[cell] = (answer.status, code)
        if code == "scope_missing":
            named = [
                scope for scope in ROUTES[cell[0]].scopes if scope not in answer.body["message"]
            ]
            wrong |= {cell: named} if named else {}
    assert wrong == {}
    assert len(answers) == len(SECURED) * len(KNOWN_SCOPES)


@pytest.mark.parametrize(
    "key", [None, f"hoop_{new_id()}_{new_id()}"], ids=["no key", "unknown key"]
)
async def test_without_a_key_nothing_is_open(system: Any, key: str | None) -> None:
    """401 and how to say who one is, on every operation that is not public."""
    async with Client(system.facts["base_url"], key) as nobody:
        answers = await send_all([((name, ""), nobody) for name in SECURED])
    responses = {
        name: (a.status, a.headers.get("WWW-Authenticate")) for (name, _), a in answers.items()
    }
    assert {name: said for name, said in responses.items() if said != (401, "Bearer")} == {}
