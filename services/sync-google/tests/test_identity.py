"""Whose Google calendar was connected: Google's ID token says it, or the Calendar API is asked."""

import pytest

from hoop_platform.errors import ConnectFailed
from hoop_platform.providers.errors import ProviderDown

CERTS, PRIMARY = "/oauth2/v3/certs", "/calendar/v3/users/me/calendarList/primary"


async def asked(world, path: str) -> int:
    """How often Google was asked for this path."""
    return sum(entry["path"] == path for entry in await world.google("GET log"))


async def connect(world, **knobs) -> tuple[str | None, str | None]:
    """Connect a calendar while Google behaves like this; returns the connection's external id and label."""
    world.sim.patch_knobs(knobs)
    found = await world.connection(await world.connect(await world.calendar()))
    assert found.status == "active"
    return found.external_id, found.label


async def test_the_id_token_names_the_calendar(world) -> None:
    """The Calendar API is not asked; the keys are fetched once for two connections."""
    for _ in range(2):
        assert await connect(world) == ("ada@example.com", "ada@example.com")

    assert (await asked(world, PRIMARY), await asked(world, CERTS)) == (0, 1)


@pytest.mark.parametrize(
    "knobs",
    [
        {"workspace": False},
        {"id_token_claims": {"email_verified": False}},
        {"id_token_claims": {"email": None}},
        {"withheld_scopes": ["openid"]},
        {"withheld_scopes": ["email"]},
    ],
)
async def test_an_id_token_that_does_not_suffice(world, knobs) -> None:
    """Google does not manage the address, or there is no token: the calendar's id is asked for."""
    assert await connect(world, **knobs) == ("ada@example.com", "ada@example.com")

    assert await asked(world, PRIMARY) == 1


async def test_an_address_in_other_letters(world) -> None:
    """The ids of calendars are in lower case."""
    claims = {"email": "Ada@Example.com"}

    assert await connect(world, id_token_claims=claims) == ("ada@example.com", "ada@example.com")


async def test_a_calendar_of_another_id_is_connected_again(world) -> None:
    """Its id is not the account's address: the calendar that was connected is asked for, and stays."""
    calendar = await world.calendar()
    world.sim.patch_knobs({"id_token_claims": {"hd": None}})
    first = await world.connect(calendar)
    world.sim.patch_knobs({"id_token_claims": {"email": "ada.new@example.com"}})

    assert await world.connect(calendar) == first

    assert (await world.connection(first)).external_id == "ada@example.com"
    assert await asked(world, PRIMARY) == 2


@pytest.mark.parametrize(
    ("claim", "value"),
    [("nonce", "another"), ("aud", "another"), ("iss", "https://evil.example"), ("exp", 1)],
)
async def test_an_id_token_that_is_wrong(world, claim, value) -> None:
    """It is refused, and nothing is kept: the Calendar API is no way around it."""
    with pytest.raises(ConnectFailed):
        await connect(world, id_token_claims={claim: value})

    assert await asked(world, PRIMARY) == 0
    assert await world.runtime.db.fetchval("SELECT count(*) FROM credential") == 0


async def test_google_replaces_its_keys(world) -> None:
    """A token by a key that we have not seen: it is fetched, and the calendar is connected."""
    await connect(world)
    world.sim.oauth.signing_keys.rotate()
    world.pass_time(minutes=2)

    assert await connect(world) == ("ada@example.com", "ada@example.com")

    assert await asked(world, CERTS) == 2


async def test_google_does_not_publish_its_keys(world) -> None:
    """An outage, not a refusal; afterwards a new attempt succeeds."""
    await world.fault("status:503", path=CERTS, times=1)
    with pytest.raises(ProviderDown):
        await connect(world)
    assert await world.runtime.db.fetchval("SELECT count(*) FROM credential") == 0

    assert await connect(world) == ("ada@example.com", "ada@example.com")
