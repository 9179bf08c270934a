"""A browser leaves for the provider and comes back: what is connected then, and what never is."""

import asyncio
from dataclasses import replace

import pytest

from hoop_platform.errors import ConnectFailed
from hoop_platform.ids import new_id
from hoop_platform.providers.authorization import Callback
from hoop_platform.providers.errors import ProviderDown
from hoop_platform.providers.key_rotation import reseal
from hoop_platform.providers.provider_accounts import list_provider_accounts, lock_provider_account
from hoop_platform.providers.status import disconnect
from hoop_platform.secrets import Cipher, Unsealable, new_key


async def test_a_user_connects_his_account(world):
    """Pending while he is away, active and labelled when he is back; both are announced."""
    user = new_id()
    url = await world.begin(user)
    assert await world.announced() == [(1, "pending")]

    connection = (await world.finish(await world.consent(url))).connection

    assert (connection.status, connection.reason) == ("active", None)
    assert (connection.label, connection.owner_id) == ("ada@example.com", user)
    assert await world.announced() == [(1, "pending"), (2, "active")]


async def test_a_callback_works_once(world):
    """The same callback again is refused, and the connection stays as it is."""
    callback = await world.consent(await world.begin(new_id()))
    connection = (await world.finish(callback)).connection

    with pytest.raises(ConnectFailed):
        await world.finish(callback)

    assert await world.shown(connection.id) == ("active", None)


async def test_one_of_two_racing_uses_wins(world):
    """A double click connects once; the code is redeemed once."""
    callback = await world.consent(await world.begin(new_id()))

    results = await asyncio.gather(
        world.finish(callback), world.finish(callback), return_exceptions=True
    )

    assert sorted(type(result).__name__ for result in results) == [
        "AuthorizationResult",
        "ConnectFailed",
    ]


async def test_a_callback_works_for_ten_minutes(world):
    """Later it is refused; the provider is not called."""
    callback = await world.consent(await world.begin(new_id()))

    with pytest.raises(ConnectFailed):
        await world.later(minutes=10).finish(callback)

    assert [e for e in world.sim.log.entries if e.path == "/oauth/token"] == []


@pytest.mark.parametrize("state", [None, "", "unknown", "x" * 5000])
async def test_a_callback_without_our_state(world, state):
    """Without our state nothing happens, however good the code is."""
    callback = await world.consent(await world.begin(new_id()))

    with pytest.raises(ConnectFailed):
        await world.finish(replace(callback, state=state))

    assert await world.credentials() == 0


async def test_a_callback_at_another_providers_url(world):
    """A state begun with one provider is worth nothing at another's callback (mix-up)."""
    callback = await world.consent(await world.begin(new_id()))
    elsewhere = world.at(provider=replace(world.provider, name="teams"))

    with pytest.raises(ConnectFailed):
        await elsewhere.finish(callback)

    assert await world.credentials() == 0


async def test_a_callback_from_another_issuer(world):
    """RFC 9207: the issuer that answers must be the one that was asked."""
    strict = world.at(provider=replace(world.provider, issuer="https://zoom.us"))
    callback = await strict.consent(await strict.begin(new_id()))

    with pytest.raises(ConnectFailed):
        await strict.finish(replace(callback, issuer="https://evil.example"))

    assert await world.credentials() == 0


async def test_a_stolen_code_does_not_fit_another_state(world):
    """A code of one authorization, brought back with another's state, fails at the provider: PKCE."""
    victim = await world.consent(await world.begin(new_id()))
    attacker = await world.consent(await world.begin(new_id()))

    with pytest.raises(ConnectFailed):
        await world.finish(replace(attacker, code=victim.code))

    assert await world.credentials() == 0


async def test_a_user_says_no(world):
    """The connection ends before it began; nothing is kept."""
    world.sim.patch_knobs({"consent": "deny"})
    user = new_id()
    callback = await world.consent(await world.begin(user))
    assert callback.error == "access_denied"

    with pytest.raises(ConnectFailed):
        await world.finish(callback)

    [connection] = await list_provider_accounts(world.database, world.account_id, live=False)
    assert (connection.status, connection.reason) == ("disconnected", "declined")
    assert await world.credentials() == 0


async def test_declining_to_connect_again_changes_nothing(world):
    """Who is connected and declines to connect anew stays connected."""
    user = new_id()
    connection = await world.connect(user)
    world.sim.patch_knobs({"consent": "deny"})

    with pytest.raises(ConnectFailed):
        await world.finish(await world.consent(await world.begin(user)))

    assert await world.shown(connection.id) == ("active", None)
    assert await world.token(connection)


async def test_connecting_again_keeps_the_connection(world):
    """The same id with new tokens; while the browser is away the old ones go on working."""
    user = new_id()
    first = await world.connect(user)
    before = await world.token(first)
    url = await world.begin(user)
    assert await world.token(first) == before

    again = (await world.finish(await world.consent(url))).connection

    assert (again.id, again.status) == (first.id, "active")
    assert await world.token(again) != before


async def test_an_unticked_permission(world):
    """Without the scope to delete there would be orphans: refused, pending, nothing kept."""
    world.sim.patch_knobs({"withheld_scopes": ["meeting:delete:meeting"]})
    url = await world.begin(new_id())

    with pytest.raises(ConnectFailed, match="permissions"):
        await world.finish(await world.consent(url))

    [connection] = await list_provider_accounts(world.database, world.account_id)
    assert (connection.status, connection.reason) == ("pending", "scope_missing")
    assert await world.credentials() == 0


async def test_another_account_than_the_connected_one(world):
    """It is refused, naming the present one; the connection keeps working."""
    user = new_id()
    connection = await world.connect(user, user="ada@example.com")

    with pytest.raises(ConnectFailed, match="connected to ada"):
        await world.connect(user, user="bob@example.com")

    assert await world.token(connection)
    assert await world.credentials() == 1


async def test_a_refused_account_goes_on_working_for_others(world):
    """Signing in with a colleague's account by mistake must not cut the colleague off (4741)."""
    ada, bob = new_id(), new_id()
    await world.connect(ada, user="ada@example.com")
    colleague = await world.connect(bob, user="bob@example.com")

    with pytest.raises(ConnectFailed):
        await world.connect(ada, user="bob@example.com")

    assert await world.later(hours=2).token(colleague)


async def test_disconnected_while_the_browser_was_away(world):
    """Who disconnects meanwhile stays disconnected."""
    url = await world.begin(new_id())
    callback = await world.consent(url)
    [pending] = await list_provider_accounts(world.database, world.account_id)
    async with world.database.transaction() as db:
        await disconnect(
            db, await lock_provider_account(db, world.account_id, pending.id), now=world.now
        )

    with pytest.raises(ConnectFailed):
        await world.finish(callback)

    assert await world.shown(pending.id) == ("disconnected", None)


@pytest.mark.parametrize("fault", ["status:503", "status:429", "garbage", "drop", "truncate"])
async def test_the_token_endpoint_fails(world, fault):
    """That is not the user's no: the connection waits, and nothing is kept."""
    callback = await world.consent(await world.begin(new_id()))
    await order(world, fault, path="/oauth/token")

    with pytest.raises(ProviderDown):
        await world.finish(callback)

    [connection] = await list_provider_accounts(world.database, world.account_id)
    assert connection.status == "pending"
    assert await world.credentials() == 0


async def test_the_user_cannot_be_identified(world):
    """Tokens of an unknown person are of no use: nothing is kept."""
    callback = await world.consent(await world.begin(new_id()))
    await order(world, "drop", path="/v2/users/me")

    with pytest.raises(ProviderDown):
        await world.finish(callback)

    assert await world.credentials() == 0


async def test_two_clicks_make_one_connection(world):
    """However often an owner begins at once, there is one connection, announced once."""
    user = new_id()

    await asyncio.gather(*(world.begin(user) for _ in range(8)))

    assert len(await list_provider_accounts(world.database, world.account_id)) == 1
    assert await world.announced() == [(1, "pending")]


async def test_two_users_share_one_account_at_the_provider(world):
    """The second authorization voids the first one's tokens at Zoom (4741): both go on with the new."""
    ada = await world.connect(new_id(), user="shared@example.com")
    bob = await world.connect(new_id(), user="shared@example.com")

    soon = world.later(hours=2)

    assert await soon.token(ada) == await soon.token(bob)
    assert await world.credentials() == 1
    assert world.refreshes() == 1


async def test_the_last_to_disconnect_drops_the_tokens(world):
    """One of two who share an account may leave without cutting off the other; then the grant is revoked."""
    ada = await world.connect(new_id(), user="shared@example.com")
    bob = await world.connect(new_id(), user="shared@example.com")

    async with world.database.transaction() as db:
        await disconnect(
            db, await lock_provider_account(db, world.account_id, ada.id), now=world.now
        )
    await world.revoke_grants()
    assert await world.token(bob)
    async with world.database.transaction() as db:
        await disconnect(
            db, await lock_provider_account(db, world.account_id, bob.id), now=world.now
        )
    await world.revoke_grants()

    assert await world.credentials() == 0
    assert [entry.path for entry in world.sim.log.entries].count("/oauth/revoke") == 1


async def test_disconnecting_asks_nothing_of_the_provider(world):
    """The grant is revoked after the commit, by a worker; a second time it says nothing new."""
    connection = await world.connect(new_id())
    asked = len(world.sim.log.entries)

    for _ in range(2):
        async with world.database.transaction() as db:
            await disconnect(
                db, await lock_provider_account(db, world.account_id, connection.id), now=world.now
            )

    assert len(world.sim.log.entries) == asked
    assert await world.announced() == [(1, "pending"), (2, "active"), (3, "disconnected")]


async def test_connecting_after_disconnecting_is_a_new_connection(world):
    """Old references must not come to life again: they hang on the old id."""
    user = new_id()
    old = await world.connect(user)
    async with world.database.transaction() as db:
        await disconnect(
            db, await lock_provider_account(db, world.account_id, old.id), now=world.now
        )

    new = await world.connect(user, user="bob@example.com")

    assert new.id != old.id
    assert await world.shown(old.id) == ("disconnected", None)


async def test_nothing_can_be_read_at_rest(world):
    """No table holds a token, a code, a verifier or a state as text; nor do the events."""
    url = await world.begin(new_id())
    waiting = await dump(world)
    callback = await world.consent(url)
    connection = (await world.finish(callback)).connection
    connected = await dump(world)

    [grant] = world.sim.oauth.tokens.grants
    secrets = [callback.state, callback.code, grant.refresh_token, await world.token(connection)]
    for secret in secrets:
        assert secret not in waiting
        assert secret not in connected


async def test_tokens_do_not_open_in_another_tenants_row(world):
    """Whoever can write to the table still cannot use one tenant's tokens as another's."""
    ada = await world.connect(new_id())
    other = world.at(account_id=new_id())
    eve = await other.connect(new_id())
    await world.database.execute(
        """
        UPDATE credential SET sealed = (SELECT sealed FROM credential WHERE account_id = $1)
         WHERE account_id = $2
        """,
        world.account_id,
        other.account_id,
    )

    assert await world.token(ada)
    with pytest.raises(Unsealable):
        await other.token(eve)


async def test_the_key_is_replaced_while_connections_are_used(world):
    """New key in front, sealed again, old key gone: no token is lost on the way."""
    old, new = new_key(), new_key()
    before = world.at(cipher=Cipher.from_key(old))
    connection = await before.connect(new_id())
    both = world.at(cipher=Cipher.from_key(f"{new},{old}"))
    assert await both.token(connection) == await before.token(connection)

    assert await reseal(world.database, both.cipher) == 1

    after = world.at(cipher=Cipher.from_key(new))
    assert await both.token(connection) == await after.token(connection)
    assert await after.later(hours=2).token(connection)


async def test_a_foreign_connection_is_an_unknown_one(world):
    """Neither listed, nor found, nor given a token for."""
    connection = await world.connect(new_id())
    other = new_id()

    async with world.database.transaction() as db:
        assert await lock_provider_account(db, other, connection.id) is None
    assert await list_provider_accounts(world.database, other) == []


def test_what_is_secret_is_not_printed():
    """A log line with a callback in it gives nothing away."""
    assert "c0de" not in repr(Callback(state="c0de", code="c0de"))


async def order(world, fault, *, path):
    async with world.http.post(
        f"{world.sim.url}/_sim/faults", json={"match": {"path": path}, "do": fault}
    ) as answer:
        assert answer.status == 200, await answer.text()


async def dump(world):
    """Everything the database holds, as text."""
    tables = ("provider_account", "credential", "oauth_state", "outbox")
    rows = [row for table in tables for row in await world.database.fetch(f"SELECT * FROM {table}")]
    values = [value for row in rows for value in row.values()]
    return "\n".join(
        value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in values
    )
