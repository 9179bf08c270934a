"""A foreign account's id answers exactly like an id that never was, on every route."""

import pytest

from accounts.__main__ import service
from hoop_platform.auth import key_id
from hoop_platform.ids import new_id
from local.testing.client import Client

VOLATILE = {"Date", "X-Trace-Id", "X-RateLimit-Daily-Reset"}
BODIES = {
    "/locations/{locationId}": {"name": "Mine"},
    "/users/{userId}": {"name": "Mine"},
    "/contacts/{contactId}": {"name": "Mine"},
}
WITH_ID = [(route.method, route.path) for route in service.routes if "{" in route.path]


def foreign_ids(demo):
    return {
        "locationId": demo.other_location_id,
        "userId": demo.other_user_ids[0],
        "contactId": demo.other_contact_ids[0],
        "keyId": key_id(demo.other_api_key),
    }


def comparable(answer):
    headers = {name: value for name, value in answer.headers.items() if name not in VOLATILE}
    return answer.status, answer.told, headers


async def everything(database):
    """All rows of all tables of ours."""
    tables = ("account", "location", "app_user", "contact", "api_key", "deleted", "outbox")
    return {
        table: [tuple(row) for row in await database.fetch(f"SELECT * FROM {table}")]
        for table in tables
    }


def test_every_route_with_an_id_is_asked():
    assert len(WITH_ID) == 10


@pytest.mark.parametrize(("method", "path"), WITH_ID)
async def test_a_foreign_id_in_the_path(ask, demo, database, method, path):
    """The same status, body and headers; and nothing has happened to the foreign row."""
    before = await everything(database)
    body = BODIES.get(path) if method == "PUT" else None
    name = path.partition("{")[2].rstrip("}")
    foreign = await ask(method, path.format(**{name: foreign_ids(demo)[name]}), body)
    unknown = await ask(method, path.format(**{name: new_id()}), body)
    nonsense = await ask(method, path.format(**{name: "%7BnoteId%7D"}), body)
    assert foreign.status == 404
    assert comparable(foreign) == comparable(unknown) == comparable(nonsense)
    assert await everything(database) == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/contacts/", lambda at: {"locationId": at, "name": "Ada"}),
        (
            "POST",
            "/users/",
            lambda at: {"name": "U", "email": "u@example.com", "locationIds": [at]},
        ),
        ("PUT", "/users/{user}", lambda at: {"locationIds": [at]}),
        ("POST", "/api-keys", lambda at: {"scopes": ["calendars.readonly"], "locationIds": [at]}),
        ("GET", "/users/?locationId={at}", None),
        ("GET", "/contacts/?locationId={at}", None),
    ],
)
async def test_a_foreign_location_in_body_or_query(ask, demo, database, *, method, path, body):
    """403, and the answer does not tell a foreign location from none."""
    before = await everything(database)

    async def answer(at):
        target = path.format(at=at, user=demo.user_ids[0])
        return await ask(method, target, body(at) if body else None)

    foreign, unknown = await answer(demo.other_location_id), await answer(new_id())
    assert foreign.status == 403
    assert comparable(foreign) == comparable(unknown)
    assert await everything(database) == before


@pytest.mark.parametrize("path", ["/locations/", "/users/", "/contacts/", "/api-keys"])
async def test_lists_hold_only_ones_own(ask, demo, path):
    """Even with a cursor into the other account."""
    foreign = {*foreign_ids(demo).values()}
    for query in ({}, {"cursor": demo.other_location_id}, {"cursor": demo.account_id}):
        body = (await ask("GET", path, query=query)).told
        assert not foreign & {row["id"] for rows in body.values() if rows for row in rows}


async def test_a_deleted_foreign_id_was_never_there(ask, demo, base_url):
    """The other account deletes its contact; to us it is as unknown as before."""
    path = f"/contacts/{demo.other_contact_ids[0]}"
    async with Client(base_url, demo.other_api_key) as other:
        assert (await other("DELETE", path)).status == 200
    for method in ("GET", "DELETE"):
        unknown = await ask(method, f"/contacts/{new_id()}")
        assert comparable(await ask(method, path)) == comparable(unknown)
