"""The service over HTTP, as clients meet it: real Kafka, real PostgreSQL, a real key."""

from hoop_platform.auth import key_id
from hoop_platform.ids import is_id, new_id
from local.testing.client import Client
from local.testing.polling import eventually

MAIN = {"name": "Main Street", "timeZone": "Europe/Berlin"}
BREACHES = [
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
"""Path, body (a contact's on top of a good one), and the field that is wrong."""


def guest(demo, **fields):
    return {"locationId": demo.location_id, "name": "Ada", "email": "ada@example.com"} | fields


async def test_a_location_from_beginning_to_end(ask):
    """Made, read, changed, listed, deleted, deleted again: the shapes that the API promises."""
    made = await ask("POST", "/locations/", MAIN)
    assert made.status == 201
    place = made.body["location"]
    assert is_id(place["id"])
    assert place | MAIN == place
    assert (place["version"], made.headers["ETag"]) == (1, '"1"')
    assert set(place) == {"id", "name", "timeZone", "version", "dateAdded", "dateUpdated"}

    path = f"/locations/{place['id']}"
    assert (await ask("GET", path)).body["location"] == place
    moved = await ask("PUT", path, {"timeZone": "UTC"})
    assert moved.status == 200
    assert moved.body["location"]["name"] == "Main Street"
    assert moved.body["location"]["version"] == 2
    assert place["id"] in ids((await ask("GET", "/locations")).body["locations"])

    for _ in range(2):
        gone = await ask("DELETE", path, {})
        assert (gone.status, gone.told) == (200, {"success": True})
    assert (await ask("GET", path)).status == 404
    assert (await ask("PUT", path, {"name": "X"})).status == 404


async def test_a_user_from_beginning_to_end(ask, demo):
    uma = {"name": "Uma", "email": "uma@example.com"}
    made = await ask("POST", "/users/", uma)
    assert made.status == 201
    user = made.body["user"]
    assert (user["locationIds"], user["timeZone"]) == ([], None)
    path = f"/users/{user['id']}"
    moved = await ask("PUT", path, {"locationIds": [demo.location_id], "timeZone": "UTC"})
    assert moved.body["user"] | uma == moved.body["user"]
    here = await ask("GET", "/users/", query={"locationId": demo.location_id})
    assert ids(here.body["users"]) == [*demo.user_ids, user["id"]]
    cleared = await ask("PUT", path, {"locationIds": [], "timeZone": None})
    assert cleared.body["user"]["timeZone"] is None
    assert (await ask("DELETE", path)).told == {"success": True}


async def test_a_contact_from_beginning_to_end(ask, demo):
    made = await ask("POST", "/contacts/", guest(demo, phone="+49 30 123456", timeZone="UTC"))
    assert made.status == 201
    contact = made.body["contact"]
    path = f"/contacts/{contact['id']}"
    assert (await ask("GET", path)).body["contact"] == contact
    assert contact["locationId"] == demo.location_id
    cleared = await ask("PUT", path, {"phone": "", "timeZone": None})
    assert cleared.body["contact"]["phone"] == ""
    assert cleared.body["contact"]["email"] == "ada@example.com"
    assert (await ask("DELETE", path)).told == {"success": True}


async def test_lists_come_in_pages(ask, demo):
    """Following the cursor meets every row once, in the order of their making."""
    names = [f"Guest {n}" for n in range(5)]
    for name in names:
        await ask("POST", "/contacts/", guest(demo, name=name))
    met, query = [], {"limit": "3"}
    while True:
        page = (await ask("GET", "/contacts/", query=query)).body
        met += page["contacts"]
        if page["nextCursor"] is None:
            break
        assert len(page["contacts"]) == 3
        query = {"limit": "3", "cursor": page["nextCursor"]}
    assert ids(met)[:2] == list(demo.contact_ids)
    assert [contact["name"] for contact in met[2:]] == names


async def test_an_empty_change_is_none(ask, demo):
    path = f"/locations/{demo.location_id}"
    assert (await ask("PUT", path, {})).body["location"]["version"] == 1


async def test_a_change_may_be_tied_to_a_version(ask, demo):
    """With the version that it was decided on it goes through, with any other it is refused."""
    path, expected = f"/locations/{demo.location_id}", {}
    for version, tag in enumerate(['"1"', "2", "*", '"3"', '"x"'], start=1):
        patch = {"name": f"Name {version}"}
        expected[tag] = (await ask("PUT", path, patch, headers={"If-Match": tag})).status
    assert expected == {'"1"': 200, "2": 200, "*": 200, '"3"': 412, '"x"': 412}


async def test_what_breaks_a_rule_is_named(ask, demo):
    """422, with the path of the field."""
    told = []
    for path, body, _ in BREACHES:
        answer = await ask("POST", path, guest(demo) | body if path == "/contacts/" else body)
        fields = [detail["path"] for detail in answer.body["details"]]
        told.append((path, body, (answer.status, answer.body["code"], *fields)))
    assert told == [(path, body, (422, "invalid", field)) for path, body, field in BREACHES]


async def test_a_page_that_cannot_be_is_refused(ask):
    asked = [{"limit": "0"}, {"limit": "501"}, {"limit": "ten"}, {"cursor": "' OR 1=1"}]
    answers = [await ask("GET", "/contacts/", query=query) for query in asked]
    assert [answer.status for answer in answers] == [422] * len(asked)


async def test_a_new_key_works_and_is_shown_once(ask, base_url):
    """The answer has the whole key; no list ever shows it again."""
    made = await ask("POST", "/api-keys", {"name": "CI", "scopes": ["calendars.readonly"]})
    assert made.status == 201
    key = made.body["apiKey"]
    secret = key["key"].rpartition("_")[2]
    assert len(bytes.fromhex(secret)) == 32
    listed = await ask("GET", "/api-keys")
    [shown] = [each for each in listed.body["apiKeys"] if each["id"] == key["id"]]
    assert shown == {name: value for name, value in key.items() if name != "key"}
    assert secret not in str(listed.body)
    assert "digest" not in shown

    async with Client(base_url, key["key"]) as other:
        assert await eventually(lambda: answers(other, 200))
        refused = await other("POST", "/locations/", MAIN)
    assert (refused.status, refused.body["code"]) == (403, "scope_missing")


async def test_a_revoked_key_is_worthless(ask, base_url):
    made = (await ask("POST", "/api-keys", {"scopes": ["calendars.write"]})).body["apiKey"]
    async with Client(base_url, made["key"]) as other:
        await eventually(lambda: answers(other, 200))
        for _ in range(2):
            gone = await ask("DELETE", f"/api-keys/{made['id']}")
            assert (gone.status, gone.told) == (200, {"success": True})
        assert await eventually(lambda: answers(other, 401), within=2)
    [left] = [k for k in (await ask("GET", "/api-keys")).body["apiKeys"] if k["id"] == made["id"]]
    assert left["active"] is False


async def test_a_key_gives_no_scope_that_it_has_not(ask, base_url):
    made = await ask("POST", "/api-keys", {"scopes": ["calendars.write"]})
    async with Client(base_url, made.body["apiKey"]["key"]) as other:
        await eventually(lambda: answers(other, 200))
        asked = {"scopes": ["calendars.readonly", "calendars/events.readonly"]}
        refused = await other("POST", "/api-keys", asked)
    assert (refused.status, refused.body["code"]) == (403, "scope_missing")
    assert "calendars/events.readonly" in refused.body["message"]


async def test_the_vendors_scope_names_are_scopes(ask):
    """A part of a scope of ours; who has the whole may give the part."""
    scopes = ["calendars/groups.readonly", "calendars/resources.write", "calendars/groups.readonly"]
    made = await ask("POST", "/api-keys", {"scopes": scopes})
    assert made.body["apiKey"]["scopes"] == scopes[:2]


async def test_a_limited_key_stays_limited_in_its_offspring(base_url, demo):
    """What is not asked is inherited; more is refused."""
    async with Client(base_url, demo.limited_api_key) as limited:
        made = await limited("POST", "/api-keys", {"scopes": ["calendars.readonly"]})
        more = {"scopes": ["calendars.readonly"], "limits": {"perSecond": 11}}
        refused = await limited("POST", "/api-keys", more)
    limits = {"perSecond": 10, "perMinute": 100, "perDay": 10000}
    assert made.body["apiKey"]["limits"] == limits
    assert [detail["path"] for detail in refused.body["details"]] == ["limits.perSecond"]


async def test_a_confined_key_sees_its_location_only(ask, base_url, demo):
    place = (await ask("POST", "/locations/", MAIN)).body["location"]["id"]
    asked = {"scopes": ["calendars.write"], "locationIds": [place]}
    made = (await ask("POST", "/api-keys", asked)).body["apiKey"]
    async with Client(base_url, made["key"]) as confined:
        await eventually(lambda: answers(confined, 200))
        assert ids((await confined("GET", "/locations/")).body["locations"]) == [place]
        assert (await confined("GET", "/contacts/")).body["contacts"] == []
        assert (await confined("GET", f"/contacts/{demo.contact_ids[0]}")).status == 404
        assert (await confined("POST", "/contacts/", guest(demo))).status == 403
        assert (await confined("POST", "/contacts/", guest(demo, locationId=place))).status == 201
        key = (await confined("POST", "/api-keys", {"scopes": ["calendars.readonly"]})).body
        assert key["apiKey"]["locationIds"] == [place]
        assert ids((await confined("GET", "/api-keys")).body["apiKeys"]) == [
            made["id"],
            key["apiKey"]["id"],
        ]


async def test_a_location_with_people_stays(ask, demo):
    answer = await ask("DELETE", f"/locations/{demo.location_id}")
    assert (answer.status, answer.body["code"]) == (409, "conflict")


async def test_without_a_key_nobody_sees_anything(base_url, demo):
    forged = demo.api_key[:-1] + ("0" if demo.api_key[-1] != "0" else "1")
    unknown = f"hoop_{new_id()}_{'0' * 64}"
    for key in (None, "", forged, unknown, key_id(demo.api_key)):
        async with Client(base_url, key) as anybody:
            answer = await anybody("GET", "/contacts/")
            assert (answer.status, answer.body["code"]) == (401, "unauthorized")


def ids(rows):
    return [row["id"] for row in rows]


async def answers(client, status):
    return (await client("GET", "/locations/")).status == status
