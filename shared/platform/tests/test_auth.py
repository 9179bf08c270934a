"""Who may call: tokens, true and forged; keys that were revoked, ran out, or were made a moment ago."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noted import going, record

from hoop_events.accounts import (
    Account,
    AccountChanged,
    ApiKey,
    ApiKeyChanged,
    Location,
    LocationChanged,
    LocationDeleted,
)
from hoop_events.base import Gone
from hoop_platform import auth
from hoop_platform.auth import NARROWER, Caller, authenticate, authorize, digest, key_id
from hoop_platform.errors import (
    AccountReadOnly,
    LocationForbidden,
    Refused,
    ScopeMissing,
    Unauthorized,
)
from hoop_platform.ids import new_id
from hoop_platform.kafka.global_table import GlobalTables
from hoop_platform.kafka.topics import ensure_topics
from local.testing.events import publish

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
ACCOUNT, KEY = "06gvug7bv1o11690vitevlniug", "06gvug7bv1pjj8fv2a9op9i57c"  # the same in each worker
SECRET = "s" * 43
TOKEN = f"hoop_{KEY}_{SECRET}"


def tables(**other: Any) -> GlobalTables:
    """What a service knows that knows one key."""
    said: dict[str, Any] = {"digest": digest(TOKEN), "scopes": ("calendars.write",), **other}
    key = ApiKey(id=KEY, sequence=1, **said)
    found = GlobalTables("127.0.0.1:1")
    found.keys.apply(record(ApiKeyChanged(account_id=ACCOUNT, state=key), 0))
    return found


async def who(header: str | None, **key: Any) -> Caller:
    return await authenticate(header, tables(**key), now=NOON)


async def test_the_key_s_holder_is_let_in() -> None:
    caller = await who(f"Bearer {TOKEN}", location_ids=("0" * 26,))
    assert caller == Caller(ACCOUNT, KEY, frozenset({"calendars.write"}), frozenset({"0" * 26}))
    assert (await who(f"bEARER {TOKEN}")).account_id == ACCOUNT


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer  {TOKEN}",
        f"Bearer {TOKEN} ",
        f"Bearer {TOKEN}\n",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
        f"Bearer {TOKEN} {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN}\u0000",
        f"Bearer {TOKEN[:-1]}\udcff",
        f"Bearer {TOKEN[:-1]}\u00ff",
        f"Bearer hoop__{SECRET}",
        f"Bearer hoop_{KEY}_",
        f"Bearer hoop_{KEY}_{SECRET}_",
        f"Bearer hoop_06gvug7bv1gq1gs9h6a62k8p7s_{SECRET}",
        f"Bearer hoop_{KEY[:-1]}_{SECRET}",
        "Bearer hoop_../../dev/null_x",
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        "Bearer " + "x" * 10_000_000,
    ],
    ids=lambda header: repr(header)[:40],
)
async def test_whoever_does_not_hold_it_is_not(header: str | None) -> None:
    """Every one of them alike, and quickly."""
    begun = asyncio.get_running_loop().time()
    with pytest.raises(Unauthorized) as refused:
        await who(header)
    assert refused.value.headers == {"WWW-Authenticate": "Bearer"}
    assert str(refused.value) == Unauthorized.text
    assert asyncio.get_running_loop().time() - begun < 0.5


@given(st.text(max_size=80))
async def test_any_header_is_refused_or_ours(header: str) -> None:
    with pytest.raises(Unauthorized):
        await who(header)


@pytest.mark.parametrize(
    ("key", "let_in"),
    [
        ({"active": False}, False),
        ({"expires_at": NOON}, False),
        ({"expires_at": NOON - timedelta(seconds=1)}, False),
        ({"expires_at": NOON + timedelta(milliseconds=1)}, True),
        ({"digest": ""}, False),
        ({"digest": TOKEN}, False),
        ({"digest": digest(TOKEN).upper()}, False),
    ],
    ids=str,
)
async def test_keys_end(key: dict[str, Any], let_in: bool) -> None:
    try:
        await who(f"Bearer {TOKEN}", **key)
    except Unauthorized:
        assert not let_in
    else:
        assert let_in


async def test_the_stored_digest_is_not_the_key() -> None:
    with pytest.raises(Unauthorized):
        await who(f"Bearer hoop_{KEY}_{digest(TOKEN)}")


def test_the_public_part_of_a_key() -> None:
    assert key_id(TOKEN) == KEY
    assert [key_id(text) for text in ("", "hoop", f"hoop_{KEY}", f"loop_{KEY}_x")] == [None] * 4


def test_writing_includes_reading_and_nothing_else() -> None:
    caller = Caller(ACCOUNT, KEY, frozenset({"calendars.write"}), frozenset())
    assert caller.has_scope("calendars.readonly")
    assert caller.has_scope("calendars.write")
    assert not caller.has_scope("calendars/events.readonly")
    reader = Caller(ACCOUNT, KEY, frozenset({"calendars.readonly"}), frozenset())
    assert not reader.has_scope("calendars.write")


@pytest.mark.parametrize(("part", "whole"), sorted(NARROWER.items()))
async def test_a_scope_of_the_vendor_is_part_of_ours(part: str, whole: str) -> None:
    """Whoever has the whole has the part, and never the other way round."""
    narrow, wide = (
        await who(f"Bearer {TOKEN}", scopes=(part,)),
        await who(f"Bearer {TOKEN}", scopes=(whole,)),
    )
    assert (narrow.has_scope(part), narrow.has_scope(whole)) == (True, False)
    assert (wide.has_scope(part), wide.has_scope(whole)) == (True, True)


def test_one_of_several_scopes_is_enough() -> None:
    caller = Caller(ACCOUNT, KEY, frozenset({"calendars/groups.write"}), frozenset())
    groups = ("calendars.readonly", "calendars/groups.readonly")
    authorize(caller, groups, tables(), writes=False)
    with pytest.raises(ScopeMissing):
        authorize(caller, groups[:1], tables(), writes=False)


def test_a_missing_scope_is_named() -> None:
    nobody = Caller(ACCOUNT, KEY, frozenset(), frozenset())
    with pytest.raises(ScopeMissing, match=r"calendars\.write"):
        authorize(nobody, ("calendars.write",), tables(), writes=True)


def test_a_read_only_account_reads() -> None:
    known = tables()
    account = Account(id=ACCOUNT, sequence=1, name="Ada", status="read_only")
    known.accounts.apply(record(AccountChanged(account_id=ACCOUNT, state=account), 0))
    caller = Caller(ACCOUNT, KEY, frozenset({"calendars.write"}), frozenset())
    authorize(caller, ("calendars.readonly",), known, writes=False)
    with pytest.raises(AccountReadOnly):
        authorize(caller, ("calendars.write",), known, writes=True)


def _with_a_location(owner: str, location: str) -> GlobalTables:
    known = tables()
    state = Location(id=location, sequence=1, name="Here", time_zone="Europe/Paris")
    known.locations.apply(record(LocationChanged(account_id=owner, state=state), 0))
    return known


async def test_a_location_of_the_account_tells_its_zone() -> None:
    location = new_id()
    known = _with_a_location(ACCOUNT, location)
    for allowed in (frozenset[str](), frozenset({location})):
        caller = Caller(ACCOUNT, KEY, frozenset(), allowed)
        assert await auth.location_zone(caller, location, known) == "Europe/Paris"


async def test_any_other_location_is_as_forbidden_as_one_that_never_was() -> None:
    ours, foreign, deleted = new_id(), new_id(), new_id()
    known = _with_a_location(ACCOUNT, ours)
    state = Location(id=foreign, sequence=1, name="There", time_zone="UTC")
    known.locations.apply(record(LocationChanged(account_id=new_id(), state=state), 0))
    gone = LocationDeleted(account_id=ACCOUNT, state=Gone(id=deleted, sequence=2))
    known.locations.apply(record(gone, 0))
    caller = Caller(ACCOUNT, KEY, frozenset(), frozenset())
    restricted = Caller(ACCOUNT, KEY, frozenset(), frozenset({new_id()}))
    refusals: list[Refused] = []
    for who, where in [
        (caller, foreign),
        (caller, new_id()),
        (caller, deleted),
        (restricted, ours),
    ]:
        with pytest.raises(LocationForbidden) as refused:
            await auth.location_zone(who, where, known)
        refusals.append(refused.value)
    assert len({str(refusal) for refusal in refusals}) == 1


async def test_a_key_and_a_location_created_a_moment_ago_are_waited_for(
    kafka_bootstrap: str,
) -> None:
    """They were announced before the request came: the service catches up before it says no."""
    await ensure_topics(kafka_bootstrap)
    known, account, key, location = GlobalTables(kafka_bootstrap), new_id(), new_id(), new_id()
    token = f"hoop_{key}_{SECRET}"
    async with going(known):
        await asyncio.wait_for(known.ready.wait(), 20)
        new = ApiKey(id=key, sequence=1, digest=digest(token), scopes=())
        await publish(kafka_bootstrap, ApiKeyChanged(account_id=account, state=new))
        caller = await authenticate(f"Bearer {token}", known, now=NOON)
        here = Location(id=location, sequence=1, name="Here", time_zone="Asia/Tokyo")
        await publish(kafka_bootstrap, LocationChanged(account_id=account, state=here))
        assert await auth.location_zone(caller, location, known) == "Asia/Tokyo"
