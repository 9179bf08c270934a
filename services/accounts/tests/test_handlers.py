"""Every change and its announcement are stored together: the outbox agrees with the tables."""

import asyncio
import json

import pytest

from accounts.domain.api_keys import KeyPermissions
from accounts.domain.contacts import ContactEntity
from accounts.domain.locations import LocationEntity
from accounts.domain.users import UserEntity
from accounts.handlers import api_keys, crud
from accounts.handlers.contacts import upsert_contact
from accounts.store.api_keys import API_KEYS
from accounts.store.contacts import CONTACTS
from accounts.store.locations import LOCATIONS
from accounts.store.users import USERS
from hoop_platform.auth import Caller, key_id
from hoop_platform.errors import Conflict, LocationForbidden, NotFound, Unauthorized
from hoop_platform.ids import new_id


@pytest.fixture
def caller(demo):
    """The holder of the demonstration's key."""
    scopes = frozenset({"calendars.write", "calendars/events.write"})
    return Caller(demo.account_id, key_id(demo.api_key), scopes, frozenset())


@pytest.fixture
async def announced(database, demo):
    """What was announced since the demonstration accounts: `(type, body)`, in order."""
    last = await database.fetchval("SELECT max(id) FROM outbox")

    async def since():
        rows = await database.fetch("SELECT * FROM outbox WHERE id > $1 ORDER BY id", last)
        return [(row["type"], json.loads(row["body"])) for row in rows]

    return since


def ids_and_dates(caller, now):
    return {
        "account_id": caller.account_id,
        "id": new_id(),
        "date_added": now,
        "date_updated": now,
    }


def a_contact(caller, demo, now, **fields):
    who = {"location_id": demo.location_id, "name": "Ada", "email": "ada@example.com"}
    return ContactEntity(**ids_and_dates(caller, now), **who | fields)


async def test_the_events_of_a_contact(database, demo, caller, announced, now):
    """Each event carries the whole state, the next sequence, the changed fields and the caller's key."""
    ada = a_contact(caller, demo, now)
    async with database.transaction() as db:
        await crud.create(db, CONTACTS, ada, by=caller, now=now)
    async with database.transaction() as db:
        await crud.update(db, CONTACTS, ada.id, {"email": ""}, by=caller, now=now)
    async with database.transaction() as db:
        await crud.delete(db, CONTACTS, ada.id, by=caller, now=now)

    events = await announced()
    assert [kind for kind, _ in events] == ["ContactChanged", "ContactChanged", "ContactDeleted"]
    assert [body["state"]["sequence"] for _, body in events] == [1, 2, 3]
    changed = events[1][1]
    assert changed["state"]["personal"] == {
        "name": "Ada",
        "email": "",
        "phone": "",
        "firstName": "Ada",
        "lastName": "",
        "tags": [],
    }
    assert changed["change"]["fields"] == ["email"]
    assert changed["change"]["actor"] == caller.key_id
    assert changed["accountId"] == demo.account_id
    assert events[2][1]["state"] == {"id": ada.id, "sequence": 3, "versions": {}}


async def test_an_upsert_announces_the_whole_name_that_mails_use(
    database, demo, caller, announced, now
):
    """`firstName lastName`, for a new contact and for the one that is changed; an equal one says nothing."""
    sent = {"first_name": "Ada", "last_name": "Byron", "email": "ada@example.com"}
    for patch in ({}, {"last_name": "Lovelace"}, {"last_name": "Lovelace"}):
        async with database.transaction() as db:
            await upsert_contact(
                db, demo.location_id, sent | patch, contact_id=new_id(), by=caller, now=now
            )
    names = [body["state"]["personal"]["name"] for _, body in await announced()]
    assert names == ["Ada Byron", "Ada Lovelace"]


async def test_a_deleted_contact_leaves_nothing_personal(database, demo, caller, announced, now):
    """The id and the sequence are left; a second deletion succeeds and announces nothing."""
    ada = a_contact(caller, demo, now, name="Ada Unmistakable")
    async with database.transaction() as db:
        await crud.create(db, CONTACTS, ada, by=caller, now=now)
    for _ in range(2):
        async with database.transaction() as db:
            await crud.delete(db, CONTACTS, ada.id, by=caller, now=now)

    assert [kind for kind, _ in await announced()] == ["ContactChanged", "ContactDeleted"]
    assert await CONTACTS.get(database, demo.account_id, ada.id) is None
    row = await database.fetchrow("SELECT * FROM deleted")
    assert set(dict(row)) == {"account_id", "id", "kind", "sequence", "date_deleted"}


async def test_a_deleted_contact_is_no_deleted_user(database, demo, caller, now):
    async with database.transaction() as db:
        await crud.delete(db, CONTACTS, demo.contact_ids[0], by=caller, now=now)
        with pytest.raises(NotFound):
            await crud.delete(db, USERS, demo.contact_ids[0], by=caller, now=now)


async def test_an_empty_change_announces_nothing(database, demo, caller, announced, now):
    async with database.transaction() as db:
        same = {"name": "Hoop Demo"}
        location = await crud.update(db, LOCATIONS, demo.location_id, same, by=caller, now=now)
    assert location.version == 1
    assert await announced() == []


async def test_a_refused_change_stores_and_announces_nothing(
    database, demo, caller, announced, now
):
    """The transaction fails as a whole: no row, no announcement."""
    user = UserEntity(
        **ids_and_dates(caller, now), name="Uma", email="uma@example.com", location_ids=(new_id(),)
    )
    with pytest.raises(LocationForbidden):
        async with database.transaction() as db:
            await crud.create(db, USERS, user, by=caller, now=now)
    assert await announced() == []
    assert await USERS.get(database, demo.account_id, user.id) is None


async def test_a_location_in_use_stays(database, demo, caller, announced, now):
    with pytest.raises(Conflict):
        async with database.transaction() as db:
            await crud.delete(db, LOCATIONS, demo.location_id, by=caller, now=now)
    assert await announced() == []


async def test_a_new_contact_races_with_the_deletion_of_its_location(database, demo, caller, now):
    """Either the location stays or the contact is refused, never both and never neither."""
    for _ in range(10):
        location = LocationEntity(**ids_and_dates(caller, now), name="Pop-up", time_zone="UTC")
        async with database.transaction() as db:
            await crud.create(db, LOCATIONS, location, by=caller, now=now)
        contact = a_contact(caller, demo, now, location_id=location.id)

        async def add_contact(contact=contact):
            async with database.transaction() as db:
                await crud.create(db, CONTACTS, contact, by=caller, now=now)

        async def delete_location(location=location):
            async with database.transaction() as db:
                await crud.delete(db, LOCATIONS, location.id, by=caller, now=now)

        outcomes = await asyncio.gather(add_contact(), delete_location(), return_exceptions=True)
        assert [type(o) for o in outcomes] in (
            [type(None), Conflict],
            [LocationForbidden, type(None)],
        )


async def test_changes_of_one_entity_are_announced_in_order(database, demo, caller, announced, now):
    """Of twenty concurrent changes, the sequences have no gap and follow the order of the outbox."""

    async def rename(n):
        async with database.transaction() as db:
            patch = {"name": f"Location {n}"}
            await crud.update(db, LOCATIONS, demo.location_id, patch, by=caller, now=now)

    await asyncio.gather(*(rename(n) for n in range(20)))
    assert [body["state"]["sequence"] for _, body in await announced()] == list(range(2, 22))


async def test_a_key_is_announced_by_its_digest_only(database, demo, caller, announced, now):
    secret = "5" * 64
    async with database.transaction() as db:
        await create_key(db, caller, now, secret=secret)
    (kind, body), *more = await announced()
    assert (kind, more) == ("ApiKeyChanged", [])
    assert body["state"]["limits"] == {"perSecond": None, "perMinute": None, "perDay": None}
    assert len(body["state"]["digest"]) == 64
    assert secret not in json.dumps(body)


async def test_a_revoked_key_creates_no_other(database, demo, caller, now):
    """Services may still accept the key for a moment; creating a key reads the table, under a lock."""
    async with database.transaction() as db:
        await api_keys.revoke_api_key(db, caller.key_id, by=caller, now=now)
        with pytest.raises(Unauthorized):
            await create_key(db, caller, now)


async def test_revoking_announces_once(database, demo, caller, announced, now):
    for _ in range(2):
        async with database.transaction() as db:
            await api_keys.revoke_api_key(db, key_id(demo.limited_api_key), by=caller, now=now)
    [(kind, body)] = await announced()
    assert kind == "ApiKeyChanged"
    assert body["state"]["active"] is False
    assert body["state"]["sequence"] == 2


async def test_a_confined_key_sees_nothing_else(database, demo, caller, now):
    """To a key of one location, entities of other locations or of the whole account are unknown."""
    other = LocationEntity(**ids_and_dates(caller, now), name="Elsewhere", time_zone="UTC")
    async with database.transaction() as db:
        await crud.create(db, LOCATIONS, other, by=caller, now=now)
    confined = Caller(caller.account_id, caller.key_id, caller.scopes, frozenset({other.id}))
    for repository, entity_id in [
        (LOCATIONS, demo.location_id),
        (USERS, demo.user_ids[0]),
        (CONTACTS, demo.contact_ids[0]),
        (API_KEYS, key_id(demo.api_key)),
    ]:
        async with database.transaction() as db:
            with pytest.raises(NotFound):
                await crud.update(db, repository, entity_id, {"name": "X"}, by=confined, now=now)
            with pytest.raises(NotFound):
                await crud.delete(db, repository, entity_id, by=confined, now=now)
            page = {"after": None, "within": confined.location_ids, "limit": 9}
            seen = await repository.list(db, demo.account_id, **page)
            assert [entity.id for entity in seen] == [other.id] * (repository is LOCATIONS)


async def test_a_confined_key_creates_nothing_elsewhere(database, demo, caller, now):
    confined = Caller(caller.account_id, caller.key_id, caller.scopes, frozenset({new_id()}))
    contact = a_contact(caller, demo, now)
    location = LocationEntity(**ids_and_dates(caller, now), name="New", time_zone="UTC")
    for repository, entity in [(CONTACTS, contact), (LOCATIONS, location)]:
        with pytest.raises(LocationForbidden):
            async with database.transaction() as db:
                await crud.create(db, repository, entity, by=confined, now=now)


async def create_key(db, caller, now, *, secret="0" * 64):
    requested = KeyPermissions(scopes=("calendars.readonly",))
    return await api_keys.create_api_key(
        db, requested, name="", key_id=new_id(), secret=secret, by=caller, now=now
    )
