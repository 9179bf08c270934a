"""Grants that nobody uses are refreshed before they expire, whatever is wrong with others."""

import asyncio

from hoop_platform.ids import new_id
from hoop_platform.providers import idle_grants
from hoop_platform.providers.idle_grants import MOST_OUTAGES, IdleGrants

GOING_ON = asyncio.Event()
"""Never set."""


def grants_of(world) -> IdleGrants:
    return IdleGrants(world.database, world.http, world.cipher, world.provider)


async def connect_idle(world, count: int) -> list[str]:
    """Connect so many users of the provider, the first one first; returns them in this order."""
    users = [f"user{number}@example.com" for number in range(count)]
    for minutes, user in enumerate(users):
        await world.later(minutes=minutes).connect(new_id(), user=user)
    return users


async def refreshed(world) -> set[str]:
    """The users of the provider whose grants were refreshed."""
    rows = await world.database.fetch(
        "SELECT label FROM provider_account AS a JOIN credential AS k ON k.id = a.credential_id"
        " WHERE k.generation > 1"
    )
    return {row["label"] for row in rows}


async def fail_at_each_refresh_of(world, *users: str) -> None:
    """The provider's token endpoint breaks down for these users, and for no others."""
    for user in users:
        match = {"path": "/oauth/token", "user": user}
        spec = {"match": match, "do": "status:500"}
        async with world.http.post(f"{world.sim.url}/_sim/faults", json=spec) as response:
            assert response.status == 200, await response.text()


async def end_rest(world) -> None:
    await world.database.execute("UPDATE credential SET resting_until = NULL")


async def test_idle_grants_are_kept_alive(world):
    """A connection that nobody uses is refreshed once in a while, an often used one is left alone."""
    await world.connect(new_id())
    grants = grants_of(world)

    assert await grants.refresh(GOING_ON, now=world.later(days=5).now) == 0
    assert await grants.refresh(GOING_ON, now=world.later(days=7).now) == 1
    assert await grants.refresh(GOING_ON, now=world.later(days=7).now) == 0
    assert world.refreshes() == 1


async def test_a_grant_that_always_fails_delays_no_other(world):
    """It is tried once in each round, and all others are refreshed in the first one."""
    users = await connect_idle(world, 4)
    await fail_at_each_refresh_of(world, users[0])
    grants, now = grants_of(world), world.later(days=8).now

    assert await grants.refresh(GOING_ON, now=now) == 3
    assert await refreshed(world) == set(users[1:])

    for _ in range(2):
        await end_rest(world)
        assert await grants.refresh(GOING_ON, now=now) == 0
    assert world.refreshes() == len(users) + 2


async def test_a_sealed_token_that_does_not_open_delays_no_other(world):
    """Its key was removed, or it was damaged: no round will ever open it."""
    users = await connect_idle(world, 2)
    await world.database.execute(
        "UPDATE credential SET sealed = set_byte(sealed, 20, (get_byte(sealed, 20) + 1) % 256)"
        " WHERE fresh_until = (SELECT min(fresh_until) FROM credential)"
    )

    assert await grants_of(world).refresh(GOING_ON, now=world.later(days=8).now) == 1

    assert await refreshed(world) == {users[1]}


async def test_a_grant_that_was_ended_delays_no_other(world):
    """Its owner has removed the app at the provider."""
    users = await connect_idle(world, 2)
    world.sim.oauth.tokens.kill(users[0], "invalid")

    assert await grants_of(world).refresh(GOING_ON, now=world.later(days=8).now) == 1


async def test_an_outage_of_the_provider_ends_the_round(world):
    """The next one begins behind the grants that have failed, so that each has its turn."""
    users = await connect_idle(world, MOST_OUTAGES + 2)
    await fail_at_each_refresh_of(world, *users[:MOST_OUTAGES])
    grants, now = grants_of(world), world.later(days=8).now

    assert await grants.refresh(GOING_ON, now=now) == 0
    assert world.refreshes() == MOST_OUTAGES
    await end_rest(world)

    assert await grants.refresh(GOING_ON, now=now) == 2
    assert await refreshed(world) == set(users[MOST_OUTAGES:])


async def test_a_round_ends_when_the_service_stops(world, monkeypatch):
    """Thousands of grants must not keep a process from stopping."""
    await connect_idle(world, 2)
    stop = asyncio.Event()
    access_token = idle_grants.access_token

    async def last(*args, **more):
        stop.set()
        return await access_token(*args, **more)

    monkeypatch.setattr(idle_grants, "access_token", last)
    assert await grants_of(world).refresh(stop, now=world.later(days=8).now) == 1


async def test_two_connections_of_one_grant_are_one_refresh(world):
    """Two of our users share one user of the provider."""
    for _ in range(2):
        await world.connect(new_id())

    assert await grants_of(world).refresh(GOING_ON, now=world.later(days=8).now) == 1

    assert world.refreshes() == 1
