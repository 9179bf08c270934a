"""The door: every answer says how much is left, and who asks too often is told when to come again."""

from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest
from shop import Shop, opened

from hoop_events.accounts import Limits
from hoop_platform.limits.allowance import UNLIMITED
from hoop_platform.limits.limiter import Limiter
from local.testing.client import Client

TWO = Limits(per_second=None, per_minute=2, per_day=None)
ALL_SIX = {
    "X-RateLimit-Limit-Daily",
    "X-RateLimit-Daily-Remaining",
    "X-RateLimit-Daily-Reset",
    "X-RateLimit-Interval-Milliseconds",
    "X-RateLimit-Max",
    "X-RateLimit-Remaining",
}
NETWORK = [ip_network("127.0.0.0/8")]


@pytest.fixture
async def limiter(new_database: Any) -> Limiter:
    return Limiter(await new_database("hoop_platform.limits"))


@pytest.fixture
async def shop(limiter: Limiter) -> AsyncIterator[Shop]:
    async with opened(limiter, of_address=TWO, proxies=NETWORK) as found:
        yield found


def client(shop: Shop, key: str) -> Client:
    return Client(f"http://127.0.0.1:{shop.port}", key)


async def test_each_answer_says_what_is_left(shop: Shop) -> None:
    """Answers, refusals and unknown paths alike; the third is refused with the same headers."""
    async with client(shop, shop.key(limits=Limits(per_minute=3))) as ask:
        found = [
            await ask("GET", "/things/all"),
            await ask("POST", "/things", {"name": 7}),
            await ask("GET", "/nowhere"),
            await ask("GET", "/things/all"),
        ]
    assert [one.status for one in found] == [200, 422, 404, 429]
    assert [one.headers["X-RateLimit-Remaining"] for one in found] == ["2", "1", "0", "0"]
    assert {one.headers["X-RateLimit-Max"] for one in found} == {"3"}
    assert all(one.headers.keys() >= ALL_SIX for one in found)
    assert 1 <= int(found[-1].headers["Retry-After"]) <= 60
    assert found[-1].body["code"] == "rate_limited"


async def test_no_limits_are_said_as_a_large_number(shop: Shop) -> None:
    async with client(shop, shop.key()) as ask:
        answer = await ask("GET", "/things/all")
    assert answer.headers["X-RateLimit-Remaining"] == str(UNLIMITED)


async def test_without_a_key_the_address_is_counted(shop: Shop) -> None:
    """Bad keys, public pages and unknown paths together; a good key from there is let in."""
    async with client(shop, "nonsense") as ask:
        statuses = [(await ask("GET", path)).status for path in ("/things", "/page", "/nowhere")]
    assert statuses == [401, 200, 429]
    async with client(shop, shop.key()) as ask:
        assert (await ask("GET", "/things/all")).status == 200


async def test_an_address_is_what_our_proxy_says_it_is(shop: Shop) -> None:
    """The last hop before our own; what the client says of itself before that is not believed."""
    async with client(shop, "nonsense") as ask:

        async def asked(said: str) -> int:
            return (await ask("GET", "/page", headers={"X-Forwarded-For": said})).status

        assert [await asked(f"198.51.100.{n}, 192.0.2.1") for n in range(3)] == [200, 200, 429]
        assert await asked("192.0.2.1, 192.0.2.2") == 200
        assert await asked("192.0.2.2, 127.0.0.9") == 200
        assert await asked("192.0.2.2") == 429


async def test_what_strangers_say_of_themselves_is_not_believed(limiter: Limiter) -> None:
    async with opened(limiter, of_address=TWO) as shop, client(shop, "nonsense") as ask:
        said = [{"X-Forwarded-For": f"192.0.2.{n}"} for n in range(3)]
        assert [(await ask("GET", "/page", headers=h)).status for h in said] == [200, 200, 429]


async def test_when_nothing_can_be_counted() -> None:
    """A key with limits waits; one without is let in; strangers get what they get anyway."""
    async with opened() as blind:
        async with client(blind, blind.key(limits=Limits())) as ask:
            limited = await ask("GET", "/things/all")
        async with client(blind, blind.key()) as ask:
            assert (await ask("GET", "/things/all")).status == 200
        async with client(blind, "nonsense") as ask:
            assert (await ask("GET", "/things/all")).status == 401
    assert (limited.status, limited.body["code"]) == (503, "unavailable")
    assert limited.headers.keys() >= ALL_SIX
