"""The HTTP API on real Kafka and real PostgreSQL, with a real key."""

import pytest

from hoop_platform.auth import key_id
from hoop_platform.ids import is_id, new_id
from local.testing.client import Client
from local.testing.polling import eventually

MAIN = {"name": "Main Street", "timeZone": "Europe/Berlin"}
INVALID_BODIES = [
    ("/locations/", {"name": "X", "timeZone": "Mars/Base"}, "timeZone"),
    ("/locations/", {"name": "X", "timeZone": "localtime"}, "timeZone"),
    ("/locations/", {"name": "a\r\nb", "timeZone": "UTC"}, "name"),
    ("/locations/", {"name": "X"}, "timeZone"),
    ("/locations/", {"name": "X", "timeZone": "UTC", "accountId": "x"}, "accountId"),
    ("/locations/", {"name": 7, "timeZone": "UTC"}, "name"),
    ("/users/", {"name": "X", "email": ""}, "email"),
    ("/users/", {"name": "X", "email": "a@example.com,b@example.com"}, "email"),
    ("/users/", {"name": "X", "email": "a@example.com", "locationIds": ["x"]}, "locationIds.0"),
    ("/contacts/", {"email": "a@example.com\r\nBcc: b@example.com"}, "email"),
    ("/contacts/", {"phone": "12"}, "phone"),
    ("/contacts/", {"timeZone": ""}, "timeZone"),
    ("/contacts/", {"version": 7}, "version"),
    ("/api-keys", {"scopes": []}, "scopes"),
    ("/api-keys", {"scopes": ["calendars.readonly", "root"]}, "scopes.1"),
    ("/api-keys", {"scopes": ["calendars.write"], "limits": {"perDay": 0}}, "limits.perDay"),
    ("/api-keys", {"scopes": ["calendars.write"], "expiresAt": "2030-01-01"}, "expiresAt"),
    (
        "/api-keys",
        {"scopes": ["calendars.write"], "expiresAt": "2030-01-01T00:00:00"},
        "expiresAt",
    ),
]
"""Path, body (of a contact: on top of a valid one), and the invalid field."""


def contact_body(demo, **fields):
    return {"locationId": demo.location_id, "name": "Ada", "email": "ada@example.com"} | fields


async def test_a_location_from_beginning_to_end(call):
    """Created, read, changed, listed, deleted twice: the shapes that the API promises."""
    created = await call("POST", "/locations/", MAIN)
    assert created.status == 201
    location = created.body["location"]
    assert is_id(location["id"])
    assert location | MAIN == location
    assert (location["version"], created.headers["ETag"]) == (1, '"1"')
    known = {"id", "name", "timeZone", "contactDuplicatesBy", "version", "dateAdded", "dateUpdated"}
    assert set(location) == known

    path = f"/locations/{location['id']}"
    assert (await call("GET", path)).body["location"] == location
    moved = await call("PUT", path, {"timeZone": "UTC"})
    assert moved.status == 200
    assert moved.body["location"]["name"] == "Main Street"
    assert moved.body["location"]["version"] == 2
    assert location["id"] in ids((await call("GET", "/locations")).body["locations"])

    for _ in range(2):
        deleted = await call("DELETE", path, {})
        assert (deleted.status, deleted.content) == (200, {"success": True})
    assert (await call("GET", path)).status == 404
    assert (await call("PUT", path, {"name": "X"})).status == 404


async def test_a_user_from_beginning_to_end(call, demo):
    uma = {"name": "Uma", "email": "uma@example.com"}
    created = await call("POST", "/users/", uma)
    assert created.status == 201
    user = created.body["user"]
    assert (user["locationIds"], user["timeZone"]) == ([], None)
    path = f"/users/{user['id']}"
    moved = await call("PUT", path, {"locationIds": [demo.location_id], "timeZone": "UTC"})
    assert moved.body["user"] | uma == moved.body["user"]
    here = await call("GET", "/users/", query={"locationId": demo.location_id})
    assert ids(here.body["users"]) == [*demo.user_ids, user["id"]]
    cleared = await call("PUT", path, {"locationIds": [], "timeZone": None})
    assert cleared.body["user"]["timeZone"] is None
    assert (await call("DELETE", path)).content == {"success": True}


async def test_a_contact_from_beginning_to_end(call, demo):
    created = await call(
        "POST", "/contacts/", contact_body(demo, phone="+49 30 123456", timeZone="UTC")
    )
    assert created.status == 201
    contact = created.body["contact"]
    path = f"/contacts/{contact['id']}"
    assert (await call("GET", path)).body["contact"] == contact
    assert contact["locationId"] == demo.location_id
    cleared = await call("PUT", path, {"phone": "", "timeZone": None})
    assert cleared.body["contact"]["phone"] == ""
    assert cleared.body["contact"]["email"] == "ada@example.com"
    assert (await call("DELETE", path)).content == {"success": True}


async def test_addresses_and_numbers_are_stored_in_one_form(call, demo):
    """However they are sent; sent again in another form, nothing changes, and the version neither."""
    body = contact_body(demo, email="info@xn--bcher-kva.example", phone="+49 (30) 123-456")
    created = await call("POST", "/contacts/", body)
    contact = created.body["contact"]
    assert (contact["email"], contact["phone"]) == ("info@bücher.example", "+4930123456")
    same = {"email": "info@bücher.example", "phone": "+49 30 123456"}
    updated = await call("PUT", f"/contacts/{contact['id']}", same)
    assert updated.body["contact"] == contact
    user = await call("POST", "/users/", {"name": "Uma", "email": "uma@BÜCHER.example"})
    assert user.body["user"]["email"] == "uma@bücher.example"


@pytest.mark.parametrize("phone", ["030 123456", "+49 30 1", "call me"])
async def test_a_number_that_cannot_be_called_from_abroad(call, demo, phone):
    """The refusal says what a number looks like."""
    refused = await call("POST", "/contacts/", contact_body(demo, phone=phone))
    assert refused.status == 422
    assert "+49 30 123456" in str(refused.body)


async def test_lists_come_in_pages(call, demo):
    """The cursors lead to every entity once, in the order of creation."""
    names = [f"Guest {n}" for n in range(5)]
    for name in names:
        await call("POST", "/contacts/", contact_body(demo, name=name))
    listed, query = [], {"limit": "3"}
    while True:
        page = (await call("GET", "/contacts/", query=query)).body
        listed += page["contacts"]
        if page["nextCursor"] is None:
            break
        assert len(page["contacts"]) == 3
        query = {"limit": "3", "cursor": page["nextCursor"]}
    assert ids(listed)[:2] == list(demo.contact_ids)
    assert [contact["name"] for contact in listed[2:]] == names


async def test_an_empty_change_changes_nothing(call, demo):
    path = f"/locations/{demo.location_id}"
    assert (await call("PUT", path, {})).body["location"]["version"] == 1


async def test_a_change_may_require_a_version(call, demo):
    """`If-Match` with the present version succeeds, with any other it is refused."""
    path, expected = f"/locations/{demo.location_id}", {}
    for version, tag in enumerate(['"1"', "2", "*", '"3"', '"x"'], start=1):
        patch = {"name": f"Name {version}"}
        expected[tag] = (await call("PUT", path, patch, headers={"If-Match": tag})).status
    assert expected == {'"1"': 200, "2": 200, "*": 200, '"3"': 412, '"x"': 412}


async def test_invalid_fields_are_named(call, demo):
    """422, with the path of the invalid field."""
    found = []
    for path, body, _ in INVALID_BODIES:
        response = await call(
            "POST", path, contact_body(demo) | body if path == "/contacts/" else body
        )
        fields = [detail["path"] for detail in response.body["details"]]
        found.append((path, body, (response.status, response.body["code"], *fields)))
    assert found == [(path, body, (422, "invalid", field)) for path, body, field in INVALID_BODIES]


async def test_an_invalid_page_is_refused(call):
    queries = [{"limit": "0"}, {"limit": "501"}, {"limit": "ten"}, {"cursor": "' OR 1=1"}]
    responses = [await call("GET", "/contacts/", query=query) for query in queries]
    assert [response.status for response in responses] == [422] * len(queries)


async def test_a_new_key_works_and_is_shown_once(call, base_url):
    """The response shows the whole key; no list ever shows it again."""
    created = await call("POST", "/api-keys", {"name": "CI", "scopes": ["calendars.readonly"]})
    assert created.status == 201
    key = created.body["apiKey"]
    secret = key["key"].rpartition("_")[2]
    assert len(bytes.fromhex(secret)) == 32
    listed = await call("GET", "/api-keys")
    [view] = [each for each in listed.body["apiKeys"] if each["id"] == key["id"]]
    assert view == {name: value for name, value in key.items() if name != "key"}
    assert secret not in str(listed.body)
    assert "digest" not in view

    async with Client(base_url, key["key"]) as other:
        assert await eventually(lambda: responds(other, 200))
        refused = await other("POST", "/locations/", MAIN)
    assert (refused.status, refused.body["code"]) == (403, "scope_missing")


async def test_a_revoked_key_is_refused(call, base_url):
    created = (await call("POST", "/api-keys", {"scopes": ["calendars.write"]})).body["apiKey"]
    async with Client(base_url, created["key"]) as other:
        await eventually(lambda: responds(other, 200))
        for _ in range(2):
            deleted = await call("DELETE", f"/api-keys/{created['id']}")
            assert (deleted.status, deleted.content) == (200, {"success": True})
        assert await eventually(lambda: responds(other, 401), within=2)
    [listed] = [
        k for k in (await call("GET", "/api-keys")).body["apiKeys"] if k["id"] == created["id"]
    ]
    assert listed["active"] is False


async def test_a_key_gives_no_scope_that_it_does_not_have(call, base_url):
    created = await call("POST", "/api-keys", {"scopes": ["calendars.write"]})
    async with Client(base_url, created.body["apiKey"]["key"]) as other:
        await eventually(lambda: responds(other, 200))
        body = {"scopes": ["calendars.readonly", "calendars/events.readonly"]}
        refused = await other("POST", "/api-keys", body)
    assert (refused.status, refused.body["code"]) == (403, "scope_missing")
    assert "calendars/events.readonly" in refused.body["message"]


async def test_the_vendors_scope_names_are_scopes(call):
    """Each is a part of one of our scopes; a key with the whole scope may give the part."""
    scopes = ["calendars/groups.readonly", "calendars/resources.write", "calendars/groups.readonly"]
    created = await call("POST", "/api-keys", {"scopes": scopes})
    assert created.body["apiKey"]["scopes"] == scopes[:2]


async def test_a_limited_key_creates_limited_keys(base_url, demo):
    """Limits that are not requested are inherited; higher ones are refused."""
    async with Client(base_url, demo.limited_api_key) as limited:
        created = await limited("POST", "/api-keys", {"scopes": ["calendars.readonly"]})
        more = {"scopes": ["calendars.readonly"], "limits": {"perSecond": 11}}
        refused = await limited("POST", "/api-keys", more)
    limits = {"perSecond": 10, "perMinute": 100, "perDay": 10000}
    assert created.body["apiKey"]["limits"] == limits
    assert [detail["path"] for detail in refused.body["details"]] == ["limits.perSecond"]


async def test_a_confined_key_sees_its_location_only(call, base_url, demo):
    location = (await call("POST", "/locations/", MAIN)).body["location"]["id"]
    body = {"scopes": ["calendars.write"], "locationIds": [location]}
    created = (await call("POST", "/api-keys", body)).body["apiKey"]
    async with Client(base_url, created["key"]) as confined:
        await eventually(lambda: responds(confined, 200))
        assert ids((await confined("GET", "/locations/")).body["locations"]) == [location]
        assert (await confined("GET", "/contacts/")).body["contacts"] == []
        assert (await confined("GET", f"/contacts/{demo.contact_ids[0]}")).status == 404
        assert (await confined("POST", "/contacts/", contact_body(demo))).status == 403
        assert (
            await confined("POST", "/contacts/", contact_body(demo, locationId=location))
        ).status == 201
        key = (await confined("POST", "/api-keys", {"scopes": ["calendars.readonly"]})).body
        assert key["apiKey"]["locationIds"] == [location]
        assert ids((await confined("GET", "/api-keys")).body["apiKeys"]) == [
            created["id"],
            key["apiKey"]["id"],
        ]


async def test_a_location_in_use_is_not_deleted(call, demo):
    response = await call("DELETE", f"/locations/{demo.location_id}")
    assert (response.status, response.body["code"]) == (409, "conflict")


async def test_without_a_valid_key_everything_is_refused(base_url, demo):
    forged = demo.api_key[:-1] + ("0" if demo.api_key[-1] != "0" else "1")
    unknown = f"hoop_{new_id()}_{'0' * 64}"
    for key in (None, "", forged, unknown, key_id(demo.api_key)):
        async with Client(base_url, key) as client:
            response = await client("GET", "/contacts/")
            assert (response.status, response.body["code"]) == (401, "unauthorized")


def ids(rows):
    return [row["id"] for row in rows]


async def responds(client, status):
    return (await client("GET", "/locations/")).status == status
