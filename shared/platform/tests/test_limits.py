"""Rate limits: exact with any number of replicas, whatever the clock does, and closed when blind."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from hoop_events.accounts import Limits
from hoop_platform.db.database import Database
from hoop_platform.errors import Unavailable
from hoop_platform.ids import new_id
from hoop_platform.limits.allowance import UNLIMITED, Allowance, RateLimitStatus
from hoop_platform.limits.limiter import Limiter

NOW = datetime(2027, 3, 1, 22, 30, tzinfo=UTC)
NONE = Limits(per_second=None, per_minute=None, per_day=None)


def limits(second: int | None = None, minute: int | None = None, day: int | None = None) -> Limits:
    return Limits(per_second=second, per_minute=minute, per_day=day)


def key(allowed: Limits, account: str | None = None) -> Allowance:
    return Allowance(new_id(), account or new_id(), allowed)


@pytest.fixture
async def database(new_database):
    return await new_database("hoop_platform.limits")


async def ask(limiter: Limiter, who: Allowance, times: int) -> list[RateLimitStatus]:
    return [await limiter.spend(who, now=NOW) for _ in range(times)]


async def age(database: Database, by: str) -> None:
    """As if so much time had passed since everything that was asked."""
    await database.execute(
        "UPDATE recent_requests SET recent = ARRAY(SELECT t - $1::text::interval FROM unnest(recent) AS t)",
        by,
    )


async def test_the_eleventh_in_a_second_waits(database):
    """Ten are let in, the next is told to come back within a second; a second later it may."""
    limiter, who = Limiter(database), key(limits(second=10, minute=100))
    assert all(one.allowed for one in await ask(limiter, who, 10))

    (eleventh,) = await ask(limiter, who, 1)
    assert not eleventh.allowed
    assert timedelta() < eleventh.wait <= timedelta(seconds=1)
    assert eleventh.headers()["Retry-After"] == "1"

    await age(database, "1 second")
    assert (await ask(limiter, who, 1))[0].allowed


async def test_who_is_refused_is_not_counted(database):
    """Asking again and again does not make the waiting longer."""
    limiter, who = Limiter(database), key(limits(minute=2, day=5))
    await ask(limiter, who, 20)
    await age(database, "1 minute")
    assert [one.allowed for one in await ask(limiter, who, 3)] == [True, True, False]


async def test_windows_move(database):
    """Five at the end of one minute and five at the beginning of the next are ten in a minute."""
    limiter, who = Limiter(database), key(limits(minute=5))
    await ask(limiter, who, 3)
    await age(database, "59 seconds")
    assert [one.allowed for one in await ask(limiter, who, 3)] == [True, True, False]
    await age(database, "1 second")
    assert [one.allowed for one in await ask(limiter, who, 4)] == [True, True, True, False]


async def test_the_day_is_shared_by_the_keys_of_an_account(database):
    """Two keys of one account together; another account has its own; tomorrow is another day."""
    limiter, account = Limiter(database), new_id()
    one, other = key(limits(day=4), account), key(limits(day=4), account)
    assert all(s.allowed for s in [*await ask(limiter, one, 2), *await ask(limiter, other, 2)])

    (refused,) = await ask(limiter, one, 1)
    assert not refused.allowed
    assert timedelta() < refused.wait <= timedelta(days=1)
    assert (await ask(limiter, key(limits(day=4)), 1))[0].allowed

    await database.execute("UPDATE daily_requests SET day = day - 1")
    assert (await ask(limiter, other, 1))[0].allowed


async def test_two_replicas_and_32_keys_count_together(database):
    """A thousand at once through two pools: exactly the day's limit is let in."""
    replica = await Database.open(database.dsn, name="replica")
    account = new_id()
    keys = [key(limits(minute=40, day=500), account) for _ in range(32)]
    try:
        asked = [
            limiter.spend(who, now=NOW)
            for who in keys
            for limiter in (Limiter(database), Limiter(replica))
            for _ in range(16)
        ]
        found = await asyncio.gather(*asked)
    finally:
        await replica.close()
    assert sum(one.allowed for one in found) == 500


async def test_a_clock_that_goes_back_lets_nobody_in_and_locks_nobody_out(database):
    """What was asked in a future that has not come counts as now, for a minute, not for an hour."""
    limiter, who = Limiter(database), key(limits(minute=3))
    await ask(limiter, who, 3)
    await age(database, "-1 hour")
    (refused,) = await ask(limiter, who, 1)
    assert not refused.allowed
    assert refused.wait <= timedelta(minutes=1)


@pytest.mark.parametrize("nothing", [limits(second=0), limits(minute=0), limits(day=0)])
async def test_a_limit_of_nothing(database, nothing):
    assert not (await ask(Limiter(database), key(nothing), 1))[0].allowed


async def test_no_database_lets_nobody_in(database):
    """Except those who have no limits, which asks nobody."""
    limiter = Limiter(database)
    await database.close()
    assert (await limiter.spend(key(NONE), now=NOW)).allowed
    with pytest.raises(Unavailable):
        await limiter.spend(key(limits(second=10)), now=NOW)


async def test_purging_forgets_only_what_no_limit_looks_at(database):
    limiter, old, new = Limiter(database), key(limits(minute=1)), key(limits(minute=1))
    await ask(limiter, old, 1)
    await age(database, "2 hours")
    await database.execute("UPDATE daily_requests SET day = day - 1")
    await ask(limiter, new, 1)

    await limiter.purge()

    assert await database.fetchval("SELECT array_agg(who) FROM recent_requests") == [new.who]
    assert await database.fetchval("SELECT array_agg(account) FROM daily_requests") == [new.account]
    assert not (await ask(limiter, new, 1))[0].allowed


def test_the_headers_show_the_tighter_window():
    """Seven of the second's ten are left, five of the minute's hundred: the minute is said."""
    standing = RateLimitStatus(limits(10, 100, 10_000), NOW, in_second=3, in_minute=95, on_day=96)
    assert standing.headers() == {
        "X-RateLimit-Limit-Daily": "10000",
        "X-RateLimit-Daily-Remaining": "9904",
        "X-RateLimit-Daily-Reset": "5400",
        "X-RateLimit-Interval-Milliseconds": "60000",
        "X-RateLimit-Max": "100",
        "X-RateLimit-Remaining": "5",
    }


def test_no_limit_is_a_very_large_one():
    said = RateLimitStatus(NONE, NOW).headers()
    assert said["X-RateLimit-Max"] == said["X-RateLimit-Daily-Remaining"] == str(UNLIMITED)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
    ],
)
def test_an_address_is_that_of_a_subscriber(one, other, same):
    """An IPv6 subscriber has 2^64 addresses and is counted once."""
    first, second = (Allowance.of_address(each, limits(10)).who for each in (one, other))
    assert (first == second) is same
