"""One person is one contact of a location, however often clients announce the person."""

import asyncio

import pytest

from accounts.domain.contacts import ContactEntity
from accounts.domain.entity import patched
from hoop_platform.errors import Invalid
from hoop_platform.ids import new_id
from local.testing.client import Client
from local.testing.polling import eventually

ADA = {
    "firstName": "Ada",
    "lastName": "Byron",
    "email": "ada@example.com",
    "phone": "+4930123456",
}


@pytest.fixture
def upsert(call, demo):
    """Upserts a contact of the demonstration's location: whether it was new, and the contact."""

    async def send(**fields):
        body = {"locationId": demo.location_id, **fields}
        response = await call("POST", "/contacts/upsert", body)
        assert response.status == 200, response.body
        return response.body["new"], response.body["contact"]

    return send


async def test_the_first_time_creates_the_second_changes(upsert):
    """A field that is not sent stays; the response says whether the contact is new."""
    new, ada = await upsert(**ADA, tags=["regular"])
    assert (new, ada["name"], ada["tags"]) == (True, "Ada Byron", ["regular"])

    again, same = await upsert(email="ADA@example.com", lastName="Lovelace", tags=["vip", "vip"])

    assert (again, same["id"]) == (False, ada["id"])
    assert (same["name"], same["phone"], same["tags"]) == ("Ada Lovelace", ADA["phone"], ["vip"])
    assert same["version"] == 2


async def test_an_equal_contact_stays_as_it_is(upsert):
    _, ada = await upsert(**ADA)
    _, same = await upsert(**ADA)
    assert same == ada


async def test_the_address_comes_before_the_number(upsert):
    """Who has the address is meant, also if somebody else has the number."""
    _, ada = await upsert(**ADA)
    _, bob = await upsert(name="Bob", email="bob@example.com", phone="+49 30 999999")

    by_number = await upsert(phone="0049-30-999999", timeZone="UTC")
    by_address = await upsert(email="ada@example.com", phone="+49 30 999999")

    assert (by_number[0], by_number[1]["id"]) == (False, bob["id"])
    assert (by_address[0], by_address[1]["id"]) == (False, ada["id"])


async def test_without_an_address_or_number_each_is_new(upsert):
    first, second = [await upsert(name="Walk-in") for _ in range(2)]
    assert (first[0], second[0]) == (True, True)
    assert first[1]["id"] != second[1]["id"]


@pytest.mark.parametrize(
    ("by", "same"),
    [(["phone", "email"], "bob"), (["email"], "ada"), (["phone"], "bob"), ([], None)],
)
async def test_each_location_says_what_counts(call, demo, upsert, by, same):
    """In the order of its setting; empty: nothing does."""
    ids = {
        "ada": (await upsert(**ADA))[1]["id"],
        "bob": (await upsert(name="Bob", email="bob@example.com", phone="+4930999999"))[1]["id"],
    }
    path = f"/locations/{demo.location_id}"
    changed = await call("PUT", path, {"contactDuplicatesBy": by})
    assert changed.body["location"]["contactDuplicatesBy"] == by

    new, found = await upsert(name="Who", email="ada@example.com", phone="+4930999999")

    assert (new, found["id"]) == (same is None, ids.get(same, found["id"]))
    assert new or found["id"] in ids.values()


async def test_another_location_has_contacts_of_its_own(call, upsert):
    _, ada = await upsert(**ADA)
    body = {"name": "Elsewhere", "timeZone": "UTC"}
    elsewhere = (await call("POST", "/locations/", body)).body["location"]["id"]
    there = await call("POST", "/contacts/upsert", {"locationId": elsewhere, **ADA})
    assert there.body["new"]
    assert there.body["contact"]["id"] != ada["id"]


async def test_twenty_at_once_are_one_contact(upsert):
    results = await asyncio.gather(*(upsert(**ADA) for _ in range(20)))
    assert sum(new for new, _ in results) == 1
    assert len({contact["id"] for _, contact in results}) == 1


async def test_who_may_not_see_the_location_may_not_upsert_there(call, demo, base_url):
    """403 for another account's location, an unknown one, and one that the key is not for."""
    bodies = [{"locationId": at, **ADA} for at in (demo.other_location_id, new_id())]
    assert [(await call("POST", "/contacts/upsert", body)).status for body in bodies] == [403, 403]
    elsewhere = {"name": "Elsewhere", "timeZone": "UTC"}
    location = (await call("POST", "/locations/", elsewhere)).body["location"]["id"]
    key = {"scopes": ["calendars.write"], "locationIds": [location]}
    key = (await call("POST", "/api-keys", key)).body["apiKey"]["key"]
    async with Client(base_url, key) as confined:
        body = {"locationId": demo.location_id, **ADA}
        assert await eventually(lambda: refused(confined, body))


async def refused(client, body):
    return (await client("POST", "/contacts/upsert", body)).status == 403


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "name"),
        ({"name": "Ada", "email": "ada"}, "email"),
        ({"name": "Ada", "firstName": "Eve"}, "name"),
        ({"name": "Ada", "tags": ["x" * 51]}, "tags"),
        ({"name": "Ada", "tags": ["x"] * 51}, "tags"),
        ({"name": "Ada", "colour": "green"}, "colour"),
    ],
)
async def test_what_is_no_contact_is_refused(call, demo, fields, path):
    """On both routes that create one: 422, and the field is named."""
    body = {"locationId": demo.location_id, **fields}
    for route in ("/contacts/upsert", "/contacts/"):
        response = await call("POST", route, body)
        named = [detail["path"] for detail in response.body["details"]]
        assert (response.status, named) == (422, [path]), route


@pytest.mark.parametrize(
    ("before", "patch", "expected"),
    [
        (None, {"name": "Ada"}, ("Ada", "Ada", "")),
        (None, {"name": "Juan de la Vega"}, ("Juan de la Vega", "Juan", "de la Vega")),
        (None, {"first_name": "Ada", "last_name": "Byron"}, ("Ada Byron", "Ada", "Byron")),
        (None, {"last_name": "Byron"}, ("Byron", "", "Byron")),
        ("Ada Byron", {"last_name": "Lovelace"}, ("Ada Lovelace", "Ada", "Lovelace")),
        ("Ada Byron", {"name": "Eve Polastri"}, ("Eve Polastri", "Eve", "Polastri")),
        ("Ada Byron", {"name": "Eve", "first_name": "Eve", "last_name": ""}, ("Eve", "Eve", "")),
        ("Ada Byron", {"name": "Eve", "first_name": "Ada"}, ("Eve", "Eve", "")),
        ("Ada Byron", {"email": "ada@example.com"}, ("Ada Byron", "Ada", "Byron")),
    ],
)
def test_whole_name_and_parts_agree(now, before, patch, expected):
    """What is changed decides; a client may send back what it has read, with one of them changed."""
    who = {"account_id": new_id(), "id": new_id(), "location_id": new_id()}
    dates = {"date_added": now, "date_updated": now}
    if before is None:
        after = ContactEntity(**who, **dates, **patch).completed(None)
    else:
        contact = ContactEntity(**who, **dates, name=before).completed(None)
        after, _ = patched(contact, patch, if_version=None, now=now)
    assert (after.name, after.first_name, after.last_name) == expected


def test_a_request_that_contradicts_itself_is_refused(now):
    """The whole name and the parts are both new, and differ."""
    who = {"account_id": new_id(), "id": new_id(), "location_id": new_id()}
    contact = ContactEntity(**who, date_added=now, date_updated=now, name="Ada").completed(None)
    with pytest.raises(Invalid) as refusal:
        patched(contact, {"name": "Eve", "first_name": "Bob"}, if_version=None, now=now)
    assert [detail.path for detail in refusal.value.details] == ["name"]
