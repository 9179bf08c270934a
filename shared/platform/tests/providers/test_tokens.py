"""Tokens end, and many want new ones at once: one asks, nobody is cut off without cause."""

import asyncio
from dataclasses import replace

import pytest
from pydantic import SecretStr

from hoop_platform import failpoints
from hoop_platform.db.database import Database
from hoop_platform.errors import ConnectFailed
from hoop_platform.ids import new_id
from hoop_platform.providers.authorization import Identity
from hoop_platform.providers.errors import NotConnected, ProviderDown
from hoop_platform.providers.oauth import OAuthProvider
from hoop_platform.providers.provider_accounts import lock_provider_account
from hoop_platform.providers.status import disconnect
from simulators.google import simulator as google


async def test_a_fresh_token_costs_no_call(world):
    """As long as it lasts it is simply read."""
    connection = await world.connect(new_id())
    asked = len(world.sim.log.entries)

    tokens = {await world.token(connection) for _ in range(5)}

    assert len(tokens) == 1
    assert len(world.sim.log.entries) == asked


async def test_forty_ask_at_the_end_and_one_refreshes(world):
    """20 tasks in each of two processes: one call at the provider, one token for all."""
    connection = await world.connect(new_id())
    other = await Database.open(world.database.dsn, name="other process")
    here, there = world.later(hours=2), world.later(hours=2).at(database=other)

    try:
        tokens = await asyncio.gather(*(w.token(connection) for w in [here, there] * 20))
    finally:
        await other.close()

    assert len(set(tokens)) == 1
    assert world.refreshes() == 1


async def test_forty_are_refused_at_once_and_one_refreshes(world):
    """The provider answers 401 to a token that looked fresh: replaced once, not forty times."""
    connection = await world.connect(new_id())
    rejected = await world.token(connection)

    tokens = await asyncio.gather(*(world.token(connection, rejected=rejected) for _ in range(40)))

    assert len(set(tokens)) == 1
    assert tokens[0] != rejected
    assert world.refreshes() == 1


async def test_each_refresh_uses_the_newest_refresh_token(world):
    """Zoom voids a refresh token as soon as it was used; three days in a row go well."""
    connection = await world.connect(new_id())

    tokens = [await world.later(days=day).token(connection) for day in (1, 2, 3)]

    assert len(set(tokens)) == 3
    assert world.refreshes() == 3
    assert await world.shown(connection.id) == ("active", None)


async def test_a_provider_that_keeps_its_refresh_token(world):
    """Google sends none when it refreshes: the old one stays in force."""
    async with google.serve() as sim:
        here = at_google(world, sim, prompt="consent")
        connection = await here.connect(new_id())

        tokens = {await here.later(days=day).token(connection) for day in (1, 2, 3)}

    assert len(tokens) == 3


async def test_a_grant_without_refresh_token_is_not_kept(world):
    """It would be dead within the hour: refused, and the owner is told what to do about it."""
    async with google.serve() as sim:
        here = at_google(world, sim)
        first = await here.connect(new_id())
        async with world.database.transaction() as db:
            await disconnect(
                db, await lock_provider_account(db, world.account_id, first.id), now=world.now
            )
        await here.revoke_grants()

        with pytest.raises(ConnectFailed, match="lasting"):
            await here.connect(new_id())

    assert await world.credentials() == 0


async def test_a_grant_without_refresh_token_goes_on_with_the_one_we_have(world):
    """Google sends one with the first consent only; a second calendar of its owner connects too."""
    async with google.serve() as sim:
        here = at_google(world, sim)
        await here.connect(new_id())

        second = await here.connect(new_id())

        assert await here.later(hours=2).token(second)


async def test_the_answer_is_lost_after_the_rotation(world):
    """Nobody can mend that but the owner: told once, announced, and no more calls."""
    connection = await world.connect(new_id())
    world.sim.patch_knobs({"crash_after_rotate": 1})
    later = world.later(hours=2)
    with pytest.raises(ProviderDown):
        await later.token(connection)
    assert await world.shown(connection.id) == ("active", None)

    await rested(world)
    for _ in range(3):
        with pytest.raises(NotConnected):
            await later.token(connection)

    assert await world.shown(connection.id) == ("pending", "reconnect_needed")
    assert (await world.announced())[-1] == (3, "pending")
    assert world.refreshes() == 2
    assert await world.credentials() == 0


async def test_it_works_again_after_reconnecting(world):
    """The same connection, so that what waited for it goes on."""
    user = new_id()
    connection = await world.connect(user)
    world.sim.oauth.tokens.kill("ada@example.com", "invalid")
    with pytest.raises(NotConnected):
        await world.later(hours=2).token(connection)

    again = await world.connect(user)

    assert again.id == connection.id
    assert await world.token(again)


async def test_the_administrator_withdraws_the_app(world):
    """Zoom's 4738 has its own reason: its owner can do nothing but wait."""
    connection = await world.connect(new_id())
    world.sim.oauth.tokens.kill("ada@example.com", "4738")

    with pytest.raises(NotConnected):
        await world.later(hours=2).token(connection)

    assert await world.shown(connection.id) == ("pending", "waiting_for_admin")


async def test_refused_because_another_process_was_faster(world):
    """Its lease ran out while it was slow; the other's success is no reason to disconnect anybody."""
    connection = await world.connect(new_id())
    later = world.later(hours=2)
    await order(world, "slow:0.6", times=1)
    slow = asyncio.ensure_future(later.token(connection))  # noqa: TID251 -- to be overtaken
    await until(lambda: world.refreshes() == 1)
    await lease_ends(world)

    fast = await later.token(connection)

    assert await slow == fast
    assert world.refreshes() == 2
    assert await world.shown(connection.id) == ("active", None)


async def test_refused_while_another_process_is_about_to_save(world):
    """As before, but the other's answer is still on its way when ours is refused."""
    connection = await world.connect(new_id())
    later = world.later(hours=2)
    await order(world, "slow:0.6", times=1)
    await order(world, "hang-after-commit:1.2", times=1)
    slow = asyncio.ensure_future(later.token(connection))  # noqa: TID251 -- to be overtaken
    await until(lambda: world.refreshes() == 1)
    await lease_ends(world)

    fast = await later.token(connection)

    assert await slow == fast
    assert await world.shown(connection.id) == ("active", None)


@pytest.mark.parametrize(
    "fault", ["status:500", "status:503", "status:429", "garbage", "drop", "hang", "truncate"]
)
async def test_a_failing_provider_is_not_a_refusal(world, fault):
    """Whatever goes wrong on the way, the connection stays active, and it works when that is over."""
    quick = world.at(provider=replace(world.provider, timeout=0.5))
    connection = await quick.connect(new_id())
    fault_id = await order(world, fault)

    with pytest.raises(ProviderDown):
        await quick.later(hours=2).token(connection)
    assert await world.shown(connection.id) == ("active", None)

    world.sim.faults.remove(fault_id)
    if fault != "truncate":  # there the provider has rotated, and only the owner can help
        await rested(world)
        assert await quick.later(hours=2).token(connection)


async def test_a_refusal_of_our_client_is_nobodys_disconnect(world):
    """A wrong client secret after a deploy must not end a single connection."""
    connection = await world.connect(new_id())
    wrong = world.later(hours=2).at(
        provider=replace(world.provider, client_secret=SecretStr("wrong"))
    )

    with pytest.raises(ProviderDown):
        await wrong.token(connection)

    assert await world.shown(connection.id) == ("active", None)


async def test_a_page_instead_of_json_says_nothing_definitive(world):
    """Zoom sometimes answers errors as XML or HTML: 400 alone ends nothing."""
    connection = await world.connect(new_id())
    await order(world, "status:400", body="<html>invalid_grant</html>")

    with pytest.raises(ProviderDown):
        await world.later(hours=2).token(connection)

    assert await world.shown(connection.id) == ("active", None)


async def test_after_a_failure_the_herd_waits(world):
    """Twenty tasks at a provider that is down: one call, not twenty, one after the other."""
    connection = await world.connect(new_id())
    await order(world, "status:503")
    later = world.later(hours=2)

    results = await asyncio.gather(
        *(later.token(connection) for _ in range(20)), return_exceptions=True
    )

    assert {type(result) for result in results} == {ProviderDown}
    assert world.refreshes() == 1


async def test_the_provider_says_when_to_come_back(world):
    """`Retry-After` is heeded and handed on."""
    connection = await world.connect(new_id())
    await order(world, "status:429", headers={"Retry-After": "30"})

    with pytest.raises(ProviderDown) as down:
        await world.later(hours=2).token(connection)

    assert down.value.retry_after is not None
    assert down.value.retry_after.total_seconds() == 30
    rest = await world.database.fetchval(
        "SELECT extract(epoch FROM resting_until - clock_timestamp())::float8 FROM credential"
    )
    assert 25 < rest <= 30


async def test_no_transaction_is_open_while_the_provider_thinks(world):
    """With a single connection to the database, others get it meanwhile."""
    connection = await world.connect(new_id())
    narrow = await Database.open(world.database.dsn, name="narrow", pool_size=1)
    await order(world, "slow:0.5")

    try:
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(world.later(hours=2).at(database=narrow).token(connection))
            await until(lambda: world.refreshes() == 1)
            assert await asyncio.wait_for(narrow.fetchval("SELECT 1"), 0.2) == 1
            assert not waiting.done()
    finally:
        await narrow.close()


async def test_disconnected_while_the_provider_thinks(world):
    """The new tokens are kept to be revoked, and the caller is told."""
    connection = await world.connect(new_id())
    await order(world, "slow:0.4")
    asking = asyncio.ensure_future(world.later(hours=2).token(connection))  # noqa: TID251 -- overtaken
    await until(lambda: world.refreshes() == 1)

    async with world.database.transaction() as db:
        await disconnect(
            db, await lock_provider_account(db, world.account_id, connection.id), now=world.now
        )

    with pytest.raises(NotConnected):
        await asking
    await world.revoke_grants()
    assert await world.credentials() == 0
    [grant] = world.sim.oauth.tokens.grants
    assert grant.dead == "revoked"


async def test_connected_again_while_the_provider_thinks(world):
    """The refreshed tokens come too late: they must not replace those of the new authorization."""
    user = new_id()
    connection = await world.connect(user)
    await order(world, "hang-after-commit:0.5", times=1)
    asking = asyncio.ensure_future(world.later(hours=2).token(connection))  # noqa: TID251 -- overtaken
    await until(lambda: world.refreshes() == 1)

    await world.later(hours=2).connect(user)

    newest = await world.token(connection)
    assert await asking == newest
    assert await world.later(hours=4).token(connection) != newest


async def test_a_cancelled_caller_does_not_lose_the_rotated_token(world):
    """A process told to stop saves what the provider has already changed, then stops."""
    connection = await world.connect(new_id())
    later = world.later(hours=2)
    await order(world, "hang-after-commit:0.4", times=1)
    asking = asyncio.ensure_future(later.token(connection))  # noqa: TID251 -- to be cancelled
    await until(lambda: world.refreshes() == 1)

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert await later.token(connection)
    assert world.refreshes() == 1


async def test_dead_between_the_answer_and_the_commit(world):
    """The one gap that cannot be closed: the owner has to connect again, and is told so."""
    connection = await world.connect(new_id())
    later = world.later(hours=2)
    failpoints.arm("token_rotated=raise")
    with pytest.raises(RuntimeError):
        await later.token(connection)

    await lease_ends(world)
    with pytest.raises(NotConnected):
        await later.token(connection)

    assert await world.shown(connection.id) == ("pending", "reconnect_needed")


async def test_dead_after_the_commit(world):
    """Nothing is lost; the next one finds the new token."""
    connection = await world.connect(new_id())
    failpoints.arm("token_saved=raise")
    with pytest.raises(RuntimeError):
        await world.later(hours=2).token(connection)

    assert await world.later(hours=2).token(connection)
    assert world.refreshes() == 1


async def test_a_process_that_died_while_asking_holds_nobody_up_for_ever(world):
    """Others wait for it, not long; when its lease has run out they refresh."""
    quick = world.later(hours=2).at(provider=replace(world.provider, timeout=0.2))
    connection = await world.connect(new_id())
    await world.database.execute(
        "UPDATE credential SET lease = $1, leased_until = clock_timestamp() + interval '1 h'",
        new_id(),
    )
    with pytest.raises(ProviderDown):
        await quick.token(connection)

    await lease_ends(world)

    assert await quick.token(connection)


async def test_no_token_without_an_active_connection(world):
    """Unknown, foreign and pending ones alike."""
    connection = await world.connect(new_id())
    await world.begin(new_id())
    pending = await world.database.fetchval(
        "SELECT id FROM provider_account WHERE status = 'pending'"
    )

    for stranger in (
        world.token(replace(connection, id=new_id())),
        world.token(replace(connection, id=pending)),
        world.at(account_id=new_id()).token(connection),
    ):
        with pytest.raises(NotConnected):
            await stranger


def at_google(world, sim, **authorize_params):
    """The same world with Google in Zoom's place; a primary calendar bears its owner's address."""

    async def identify(http, token):
        url = f"{sim.url}/calendar/v3/calendars/primary/events"
        async with http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
            assert answer.status == 200, await answer.text()
            owner = (await answer.json())["summary"]
        return Identity(owner, owner)

    provider = OAuthProvider(
        name="google",
        authorize_url=f"{sim.url}/o/oauth2/v2/auth",
        token_url=f"{sim.url}/token",
        client_id="hoop-google",
        client_secret=SecretStr("hoop-google-secret"),
        client_auth="body",
        scopes=("https://www.googleapis.com/auth/calendar.events",),
        authorize_params={"access_type": "offline", **authorize_params},
    )
    return world.at(provider=provider, identify=identify)


async def order(world, fault, **more):
    """Let requests at the token endpoint go wrong; answers the fault's id."""
    spec = {"match": {"path": "/oauth/token"}, "do": fault, **more}
    async with world.http.post(f"{world.sim.url}/_sim/faults", json=spec) as answer:
        assert answer.status == 200, await answer.text()
        return (await answer.json())["id"]


async def rested(world):
    """Let the pause after a failure be over."""
    await world.database.execute("UPDATE credential SET resting_until = clock_timestamp()")


async def lease_ends(world):
    """Let the time run out for whoever is refreshing."""
    await world.database.execute("UPDATE credential SET leased_until = clock_timestamp()")


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)
