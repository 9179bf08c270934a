"""Contacts are found by what somebody types: parts of a name, an address, a number."""

import json

import pytest

from accounts.domain.contact_search import fold, search_keys, terms_of
from accounts.store.contacts import CONTACTS
from hoop_platform.ids import new_id
from local.testing.client import Client
from local.testing.polling import eventually

ZOE = {"name": "Zoë van der Łuk", "email": "Zoe.Luk@Example.com", "phone": "+49 (30) 90-1820"}
FOUND = [
    "zoë",
    "ZOE",
    "van luk",
    "luk ZO",
    "zoe.luk@example.com",
    "zoe.l",
    "luk example.com",
    "+49309018",
    "0049 30 90",
    "+49 (30) 901820",
    "Zoe +49309",
]
NOT_FOUND = [
    "nobody-at-all",
    "oë",
    "zoe anton",
    "zoe.luk@example.org",
    "901820",
    "--",
    "z%e",
    "_oe",
]


@pytest.fixture
async def zoe(call, demo):
    """Her id; there are other contacts."""
    body = {"locationId": demo.location_id, **ZOE}
    return (await call("POST", "/contacts/", body)).body["contact"]["id"]


async def found(call, **query):
    response = await call("GET", "/contacts/", query=query)
    assert response.status == 200, response.body
    return [contact["id"] for contact in response.body["contacts"]]


async def test_who_is_meant_is_found_and_nobody_else(call, zoe):
    """Each word begins a word of the contact, whatever its case and accents."""
    assert {text: await found(call, query=text) for text in FOUND} == {
        text: [zoe] for text in FOUND
    }
    missed = {text: await found(call, query=text) for text in NOT_FOUND}
    assert missed == {text: [] for text in NOT_FOUND}


async def test_an_address_and_a_number_are_whole(call, demo, zoe):
    """`email` and `phone` are equal but for case and separators; all filters hold at once."""
    assert await found(call, email="ZOE.LUK@example.com") == [zoe]
    assert await found(call, phone="0049-30-901820") == [zoe]
    assert await found(call, email="zoe.luk@example.co") == []
    assert await found(call, phone="+4930") == []
    assert await found(call, query="zoe", phone="+4930901820", locationId=demo.location_id) == [zoe]
    assert await found(call, query="carla", phone="+4930901820") == []


async def test_without_a_text_all_are_listed(call, demo, zoe):
    assert await found(call, query="") == [*demo.contact_ids, zoe]


async def test_a_search_comes_in_pages(call, demo):
    body = {"locationId": demo.location_id}
    ids = [
        (await call("POST", "/contacts/", {**body, "name": f"Guest {n}"})).body["contact"]["id"]
        for n in range(5)
    ]
    first = (await call("GET", "/contacts/", query={"query": "gue", "limit": "3"})).body
    second = await found(call, query="gue", limit="3", cursor=first["nextCursor"])
    assert [contact["id"] for contact in first["contacts"]] + second == ids


async def test_a_contact_is_found_as_it_is_now(call, zoe):
    """Under its new name and not under the old one; not at all once it is deleted."""
    path = f"/contacts/{zoe}"
    await call("PUT", path, {"name": "Berta", "phone": ""})
    assert await found(call, query="zoe van") == []
    assert await found(call, phone=ZOE["phone"]) == []
    assert await found(call, query="berta") == [zoe]
    assert await found(call, email=ZOE["email"]) == [zoe]
    await call("DELETE", path)
    assert await found(call, query="berta") == []


async def test_strangers_are_not_found(call, demo, base_url, zoe):
    """Contacts of other accounts, and of locations that the key may not see."""
    async with Client(base_url, demo.other_api_key) as other:
        assert await found(other, query="zoe") == []
        assert await found(other, query="paul") == list(demo.other_contact_ids)
    elsewhere = {"name": "Elsewhere", "timeZone": "UTC"}
    location = (await call("POST", "/locations/", elsewhere)).body["location"]["id"]
    body = {"scopes": ["calendars.readonly"], "locationIds": [location]}
    key = (await call("POST", "/api-keys", body)).body["apiKey"]["key"]
    async with Client(base_url, key) as confined:
        await eventually(lambda: is_known(confined))
        assert await found(confined, query="zoe") == []


async def is_known(client):
    return (await client("GET", "/locations/")).status == 200


LISTS = ("/contacts/", "/users/", "/locations/", "/api-keys")


@pytest.mark.parametrize("path", LISTS)
async def test_a_parameter_that_a_list_does_not_have_is_refused(call, path):
    """422 names it and the allowed ones: ignored, it would look like a filter that found everybody."""
    response = await call("GET", path, query={"colour": "green", "limit": "1"})
    [detail] = response.body["details"]
    assert (response.status, detail["path"], detail["code"]) == (422, "colour", "unknown_parameter")
    assert {"limit", "cursor"} <= set(detail["allowed"])
    assert "limit, cursor" in detail["message"]


async def test_a_search_text_has_a_length(call):
    response = await call("GET", "/contacts/", query={"query": "x" * 201})
    assert (response.status, response.body["details"][0]["path"]) == (422, "query")


async def test_a_search_costs_the_same_beside_a_thousand_strangers(database, demo, zoe_of):
    """Other accounts' contacts of the same names are not read."""
    await zoe_of(demo.account_id, demo.location_id)
    before = await buffers(database, demo.account_id)
    for _ in range(1000):
        await zoe_of(demo.other_account_id, demo.other_location_id)
    assert await buffers(database, demo.account_id) <= before + 10


@pytest.fixture
def zoe_of(database, now):
    """Stores a Zoë, as a contact of this account's location."""

    async def store(account_id, location_id):
        contact = CONTACTS.entity_type(
            account_id=account_id,
            id=new_id(),
            location_id=location_id,
            name=ZOE["name"],
            email=ZOE["email"],
            date_added=now,
            date_updated=now,
        )
        async with database.transaction() as db:
            await CONTACTS.upsert(db, contact)

    return store


async def buffers(database, account_id):
    """The pages that a search for `zoe` reads."""
    [term] = terms_of("zoe")
    plan = await database.fetchval(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT json) {CONTACTS.search_sql}",
        account_id,
        None,
        [],
        None,
        51,
        [term.low],
        [term.high],
    )
    [found] = json.loads(plan) if isinstance(plan, str) else plan
    return found["Plan"]["Shared Hit Blocks"] + found["Plan"]["Shared Read Blocks"]


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("ÉCOLE", "ecole"),
        ("Straße", "strasse"),
        ("Søren Æbel", "soren aebel"),
        ("İstanbul", "istanbul"),
    ],
)
def test_case_and_accents_do_not_matter(text, folded):
    assert fold(text) == folded


def test_no_key_outgrows_an_index_entry():
    """A name of 200 characters, each of which is folded into many."""
    keys = search_keys("\ufdfa" * 200, "a" * 64 + "@" + "b" * 180 + ".de", "")
    assert max(len(key.encode()) for key in keys) < 1000
