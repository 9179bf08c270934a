"""The two accounts on the running system, and how to ask in the name of the first."""

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hoop_platform.http.route import Route
from hoop_platform.ids import new_id, unspell
from local.testing.client import Client, Response
from support.quiet import is_quiet
from support.tenants.bodies import BODIES, QUERIES, Ids, calendar, setting
from support.tenants.id_positions import ROUTES, IdPosition, operation

OWN_HEADERS = {"x-trace-id", "date", "x-ratelimit-daily-reset"}
"""What differs between any two answers."""
ONE_OF = {"calendarId", "assignedUserId", "resourceId"}
"""Of these a block slot has one."""


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


async def _created(ask: Client, path: str, noun: str, **body: Any) -> str:
    answer = await ask("POST", path, body)
    assert answer.status < 300, answer.body
    return str(answer.body[noun]["id"])


async def _furnish(ask: Client, ids: Ids) -> None:
    """One of each kind. The connections wait for their users, so that nothing works on them."""
    email = f"{new_id()}@staff.example.com"
    positions = [ids["location"]]
    ids["user"] = await _created(
        ask, "/users/", "user", name="U", email=email, locationIds=positions
    )
    ids["key"] = await _created(ask, "/api-keys", "apiKey", scopes=["calendars.readonly"])
    ids["calendar"] = await _created(ask, "/calendars/", "calendar", **calendar(ids))
    booking = {**BODIES["POST /calendars/events/appointments"](ids), "title": "Mine"}
    booking["startTime"] = "2028-03-07T15:00:00Z"
    booked = await ask("POST", "/calendars/events/appointments", booking)
    assert booked.status == 200, booked.body
    ids["appointment"] = booked.body["id"]
    shown = (await ask("GET", f"/calendars/{ids['calendar']}")).body["calendar"]
    ids["availability"] = shown["availabilities"][0]["id"]
    await _furnish_more(ask, ids)
    for provider, owner in (("zoom", "user"), ("google", "calendar")):
        begun = await ask("POST", f"/integrations/{provider}/connect", {f"{owner}Id": ids[owner]})
        assert begun.status == 200, begun.body
        ids[f"{provider} connection"] = begun.body["connectionId"]


async def _furnish_more(ask: Client, ids: Ids) -> None:
    """What belongs to calendars and appointments."""
    calendar, notes = (
        f"/calendars/{ids['calendar']}",
        "/calendars/appointments/{appointmentId}/notes",
    )
    for kind, noun, operation_of in (
        ("group", "group", "POST /calendars/groups"),
        ("schedule", "schedule", "POST /calendars/schedules"),
        ("hold", "hold", "POST /calendars/{calendarId}/holds"),
        ("note", "note", f"POST {notes}"),
        ("block", None, "POST /calendars/events/block-slots"),
        ("resource", None, "POST /calendars/resources/{resourceType}"),
    ):
        path = operation_of.partition(" ")[2].replace("/calendars/{calendarId}", calendar)
        path = path.replace("{appointmentId}", ids["appointment"]).replace(
            "{resourceType}", "rooms"
        )
        body = BODIES[operation_of](ids)
        if kind == "hold":
            body["startTime"] = "2028-03-11T15:00:00Z"
        if kind == "resource":
            body["calendarIds"] = []
        created = await ask("POST", path, body)
        assert created.status < 300, created.body
        ids[kind] = created.body[noun]["id"] if noun else created.body["id"]
    said = await ask("POST", f"{calendar}/notifications", [setting(ids)])
    assert said.status == 200, said.body
    ids["notification"] = said.body[0]["id"]


async def _settled(worlds: Worlds) -> bool:
    """Every service has heard of both, and nothing is on its way any more."""
    for ask, ids in ((worlds.ask, worlds.own), (worlds.other, worlds.foreign)):
        for route in ROUTES:
            if route.method == "GET" and "{" in route.path:
                answer = await send(ask, route, ids)
                if answer.status != 200:
                    return False
    return await is_quiet(worlds.system)


async def send(
    ask: Client,
    route: Route,
    ids: Ids,
    position: IdPosition | None = None,
    value: str = "",
    **headers: str,
) -> Response:
    """Ask with ids of one's own everywhere, but for `place`."""
    name = operation(route)
    path = route.path
    for step in [step.strip("{}") for step in path.split("/") if step.startswith("{")]:
        here = IdPosition(route, "path", step)
        known = route.choices[step][0] if step in route.choices else ids[here.kind]
        path = path.replace(f"{{{step}}}", value if here == position else known)
    query = QUERIES.get(name, lambda _: {})(ids)
    body = copy.deepcopy(BODIES[name](ids)) if route.body else None
    if position is not None and position.part == "query":
        query[position.name.removesuffix(".0")] = value
    if position is not None and position.part == "body":
        if position.name in ONE_OF and "block-slots" in route.path:
            body = {key: said for key, said in body.items() if key not in ONE_OF}
        _put(body, position.name.split("."), value)
    return await ask(route.method, path, body, query=query or None, headers=headers)


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


def comparable(answer: Response) -> tuple[int, Any, dict[str, str]]:
    """All that an answer says but what differs between any two."""
    headers = {n.lower(): v for n, v in answer.headers.items() if n.lower() not in OWN_HEADERS}
    return answer.status, answer.content, headers


@asynccontextmanager
async def worlds(desk: Any, eventually: Any) -> AsyncIterator[Worlds]:
    """Both accounts, furnished and known to all services."""
    facts = desk.facts
    async with desk.system.client("other_api_key") as other:
        own = {"location": facts["location_id"]}
        own["contact"] = await _created(
            desk.ask, "/contacts/", "contact", name="Anna", locationId=own["location"]
        )
        location = await _created(other, "/locations/", "location", name="B", timeZone="UTC")
        foreign = {"location": location}
        foreign["contact"] = await _created(
            other, "/contacts/", "contact", name="Boris", locationId=location
        )
        account = UUID(bytes=unspell(facts["other_account_id"]))
        worlds = Worlds(desk.system, desk.ask, other, own, foreign, account)
        for ask, ids in ((desk.ask, own), (other, foreign)):
            await _furnish(ask, ids)
        await eventually(lambda: _settled(worlds))
        yield worlds
