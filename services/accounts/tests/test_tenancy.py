"""On every route, another account's id gets exactly the response of an unknown id."""

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


def comparable(response):
    headers = {name: value for name, value in response.headers.items() if name not in VOLATILE}
    return response.status, response.content, headers


async def all_rows(database):
    """All rows of all tables of accounts."""
    tables = ("account", "location", "app_user", "contact", "contact_search_key", "api_key")
    tables += ("deleted", "outbox")
    return {
        table: [tuple(row) for row in await database.fetch(f"SELECT * FROM {table}")]
        for table in tables
    }


def test_every_route_with_an_id_is_tested():
    assert len(WITH_ID) == 10


@pytest.mark.parametrize(("method", "path"), WITH_ID)
async def test_a_foreign_id_in_the_path(call, demo, database, method, path):
    """Status, body and headers are those of an unknown id; the foreign row is unchanged."""
    before = await all_rows(database)
    body = BODIES.get(path) if method == "PUT" else None
    name = path.partition("{")[2].rstrip("}")
    foreign = await call(method, path.format(**{name: foreign_ids(demo)[name]}), body)
    unknown = await call(method, path.format(**{name: new_id()}), body)
    nonsense = await call(method, path.format(**{name: "%7BnoteId%7D"}), body)
    assert foreign.status == 404
    assert comparable(foreign) == comparable(unknown) == comparable(nonsense)
    assert await all_rows(database) == before


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
        ("POST", "/contacts/upsert", lambda at: {"locationId": at, "name": "Mine"}),
        ("GET", "/users/?locationId={at}", None),
        ("GET", "/contacts/?locationId={at}", None),
    ],
)
async def test_a_foreign_location_in_body_or_query(call, demo, database, *, method, path, body):
    """403, with the same response for a foreign location and an unknown one."""
    before = await all_rows(database)

    async def respond(location_id):
        target = path.format(at=location_id, user=demo.user_ids[0])
        return await call(method, target, body(location_id) if body else None)

    foreign, unknown = await respond(demo.other_location_id), await respond(new_id())
    assert foreign.status == 403
    assert comparable(foreign) == comparable(unknown)
    assert await all_rows(database) == before


@pytest.mark.parametrize("path", ["/locations/", "/users/", "/contacts/", "/api-keys"])
async def test_lists_contain_own_entities_only(call, demo, path):
    """Also with a cursor that is an id of the other account."""
    foreign = {*foreign_ids(demo).values()}
    for query in ({}, {"cursor": demo.other_location_id}, {"cursor": demo.account_id}):
        body = (await call("GET", path, query=query)).content
        assert not foreign & {row["id"] for rows in body.values() if rows for row in rows}


async def test_a_deleted_foreign_id_is_unknown(call, demo, base_url):
    """The other account deletes its contact; its id stays unknown here."""
    path = f"/contacts/{demo.other_contact_ids[0]}"
    async with Client(base_url, demo.other_api_key) as other:
        assert (await other("DELETE", path)).status == 200
    for method in ("GET", "DELETE"):
        unknown = await call(method, f"/contacts/{new_id()}")
        assert comparable(await call(method, path)) == comparable(unknown)
