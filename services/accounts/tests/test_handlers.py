"""Every change and its announcement are one: the outbox says what the tables say."""

import asyncio
import json

import pytest

from accounts import handlers
from accounts.domain import Contact, Location, Powers, User
from accounts.store import CONTACTS, KEYS, LOCATIONS, USERS
from hoop_platform.auth import Caller, key_id
from hoop_platform.errors import Conflict, LocationForbidden, NotFound, Unauthorized
from hoop_platform.ids import new_id


@pytest.fixture
def caller(demo):
    """The holder of the demonstration's key."""
    scopes = frozenset({"calendars.write", "calendars/events.write"})
    return Caller(demo.account_id, key_id(demo.api_key), scopes, frozenset())


@pytest.fixture
async def told(database, demo):
    """What was announced since the demonstration's accounts: `(type, body)`, in order."""
    last = await database.fetchval("SELECT max(id) FROM outbox")

    async def since():
        rows = await database.fetch("SELECT * FROM outbox WHERE id > $1 ORDER BY id", last)
        return [(row["type"], json.loads(row["body"])) for row in rows]

    return since


def made(caller, now):
    return {
        "account_id": caller.account_id,
        "id": new_id(),
        "date_added": now,
        "date_updated": now,
    }


def a_contact(caller, demo, now, **fields):
    who = {"location_id": demo.location_id, "name": "Ada", "email": "ada@example.com"}
    return Contact(**made(caller, now), **who | fields)


async def test_a_contact_lives_and_goes(database, demo, caller, told, now):
    """Each announcement carries the whole state, counts on, and names who changed what."""
    ada = a_contact(caller, demo, now)
    async with database.transaction() as db:
        await handlers.add(db, CONTACTS, ada, by=caller, now=now)
    async with database.transaction() as db:
        await handlers.change(db, CONTACTS, ada.id, {"email": ""}, by=caller, now=now)
    async with database.transaction() as db:
        await handlers.remove(db, CONTACTS, ada.id, by=caller, now=now)

    events = await told()
    assert [kind for kind, _ in events] == ["ContactChanged", "ContactChanged", "ContactDeleted"]
    assert [body["state"]["sequence"] for _, body in events] == [1, 2, 3]
    changed = events[1][1]
    assert changed["state"]["personal"] == {"name": "Ada", "email": "", "phone": ""}
    assert changed["change"]["fields"] == ["email"]
    assert changed["change"]["actor"] == caller.key_id
    assert changed["accountId"] == demo.account_id
    assert events[2][1]["state"] == {"id": ada.id, "sequence": 3, "versions": {}}


async def test_a_deleted_contact_leaves_nothing_personal(database, demo, caller, told, now):
    """What is left is an id and a count; deleting again is fine and says nothing."""
    ada = a_contact(caller, demo, now, name="Ada Unmistakable")
    async with database.transaction() as db:
        await handlers.add(db, CONTACTS, ada, by=caller, now=now)
    for _ in range(2):
        async with database.transaction() as db:
            await handlers.remove(db, CONTACTS, ada.id, by=caller, now=now)

    assert [kind for kind, _ in await told()] == ["ContactChanged", "ContactDeleted"]
    assert await CONTACTS.find(database, demo.account_id, ada.id) is None
    kept = await database.fetchrow("SELECT * FROM deleted")
    assert set(dict(kept)) == {"account_id", "id", "kind", "sequence", "date_deleted"}


async def test_what_was_deleted_as_one_thing_was_never_another(database, demo, caller, now):
    async with database.transaction() as db:
        await handlers.remove(db, CONTACTS, demo.contact_ids[0], by=caller, now=now)
        with pytest.raises(NotFound):
            await handlers.remove(db, USERS, demo.contact_ids[0], by=caller, now=now)


async def test_an_empty_change_announces_nothing(database, demo, caller, told, now):
    async with database.transaction() as db:
        same = {"name": "Hoop Demo"}
        row = await handlers.change(db, LOCATIONS, demo.location_id, same, by=caller, now=now)
    assert row.version == 1
    assert await told() == []


async def test_a_refused_change_leaves_no_trace(database, demo, caller, told, now):
    """The transaction fails as a whole: no row, no announcement."""
    bad = User(**made(caller, now), name="Uma", email="uma@example.com", location_ids=(new_id(),))
    with pytest.raises(LocationForbidden):
        async with database.transaction() as db:
            await handlers.add(db, USERS, bad, by=caller, now=now)
    assert await told() == []
    assert await USERS.find(database, demo.account_id, bad.id) is None


async def test_a_location_in_use_stays(database, demo, caller, told, now):
    with pytest.raises(Conflict):
        async with database.transaction() as db:
            await handlers.remove(db, LOCATIONS, demo.location_id, by=caller, now=now)
    assert await told() == []


async def test_a_contact_cannot_come_to_a_location_that_goes(database, demo, caller, now):
    """They race: either the location stays, or the contact is refused; never one without the other."""
    for _ in range(10):
        place = Location(**made(caller, now), name="Pop-up", time_zone="UTC")
        async with database.transaction() as db:
            await handlers.add(db, LOCATIONS, place, by=caller, now=now)
        guest = a_contact(caller, demo, now, location_id=place.id)

        async def come(guest=guest):
            async with database.transaction() as db:
                await handlers.add(db, CONTACTS, guest, by=caller, now=now)

        async def go(place=place):
            async with database.transaction() as db:
                await handlers.remove(db, LOCATIONS, place.id, by=caller, now=now)

        outcomes = await asyncio.gather(come(), go(), return_exceptions=True)
        assert [type(o) for o in outcomes] in (
            [type(None), Conflict],
            [LocationForbidden, type(None)],
        )


async def test_changes_of_one_row_are_announced_in_order(database, demo, caller, told, now):
    """Twenty at once: the sequences are without gap and in the order of the outbox."""

    async def rename(n):
        async with database.transaction() as db:
            patch = {"name": f"Place {n}"}
            await handlers.change(db, LOCATIONS, demo.location_id, patch, by=caller, now=now)

    await asyncio.gather(*(rename(n) for n in range(20)))
    assert [body["state"]["sequence"] for _, body in await told()] == list(range(2, 22))


async def test_a_key_is_announced_by_its_digest_only(database, demo, caller, told, now):
    secret = "5" * 64
    async with database.transaction() as db:
        await mint(db, caller, now, secret=secret)
    (kind, body), *more = await told()
    assert (kind, more) == ("ApiKeyChanged", [])
    assert body["state"]["limits"] == {"perSecond": None, "perMinute": None, "perDay": None}
    assert len(body["state"]["digest"]) == 64
    assert secret not in json.dumps(body)


async def test_a_key_that_was_just_revoked_makes_no_other(database, demo, caller, now):
    """The services may still take it for good; this one asks its own table, under a lock."""
    async with database.transaction() as db:
        await handlers.revoke(db, caller.key_id, by=caller, now=now)
        with pytest.raises(Unauthorized):
            await mint(db, caller, now)


async def test_revoking_announces_once(database, demo, caller, told, now):
    for _ in range(2):
        async with database.transaction() as db:
            await handlers.revoke(db, key_id(demo.limited_api_key), by=caller, now=now)
    [(kind, body)] = await told()
    assert kind == "ApiKeyChanged"
    assert body["state"]["active"] is False
    assert body["state"]["sequence"] == 2


async def test_a_confined_key_reaches_nothing_else(database, demo, caller, now):
    """Confined to one location: what lies elsewhere, or everywhere, is unknown to it."""
    other = Location(**made(caller, now), name="Elsewhere", time_zone="UTC")
    async with database.transaction() as db:
        await handlers.add(db, LOCATIONS, other, by=caller, now=now)
    confined = Caller(caller.account_id, caller.key_id, caller.scopes, frozenset({other.id}))
    for shelf, row_id in [
        (LOCATIONS, demo.location_id),
        (USERS, demo.user_ids[0]),
        (CONTACTS, demo.contact_ids[0]),
        (KEYS, key_id(demo.api_key)),
    ]:
        async with database.transaction() as db:
            with pytest.raises(NotFound):
                await handlers.change(db, shelf, row_id, {"name": "X"}, by=confined, now=now)
            with pytest.raises(NotFound):
                await handlers.remove(db, shelf, row_id, by=confined, now=now)
            page = {"after": None, "reach": confined.location_ids, "limit": 9}
            seen = await shelf.list(db, demo.account_id, **page)
            assert [row.id for row in seen] == [other.id] * (shelf is LOCATIONS)


async def test_a_confined_key_puts_nothing_elsewhere(database, demo, caller, now):
    confined = Caller(caller.account_id, caller.key_id, caller.scopes, frozenset({new_id()}))
    guest = a_contact(caller, demo, now)
    place = Location(**made(caller, now), name="New", time_zone="UTC")
    for shelf, row in [(CONTACTS, guest), (LOCATIONS, place)]:
        with pytest.raises(LocationForbidden):
            async with database.transaction() as db:
                await handlers.add(db, shelf, row, by=confined, now=now)


async def mint(db, caller, now, *, secret="0" * 64):
    asked = Powers(scopes=("calendars.readonly",))
    return await handlers.mint(
        db, asked, name="", key_id=new_id(), secret=secret, by=caller, now=now
    )
