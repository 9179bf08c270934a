"""The simulated Zoom: meetings and limits, as Zoom documents them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from simulators.client import (
    control,
    zoom_call,
    zoom_tokens,
)
from simulators.zoom.simulator import ZoomSimulator, serve

MEETING = {"topic": "Cut", "type": 2, "start_time": "2027-03-01T09:00:00Z", "duration": 30}
CREATE = "POST users/me/meetings"


@pytest.fixture
async def sim() -> AsyncIterator[ZoomSimulator]:
    async with serve() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def ada(http, sim) -> dict[str, Any]:
    return await zoom_tokens(http, sim, "ada@example.com")


async def test_the_lifecycle_of_a_meeting(sim, http, ada):
    """201, 204, 200 and 204, then 404/3001; the join link stays the same, the start link does not."""
    token = ada["access_token"]
    status, created = await zoom_call(http, sim, token, CREATE, MEETING)
    one = f"meetings/{created['id']}"
    assert (status, len(str(created["id"]))) == (201, 11)
    assert await zoom_call(http, sim, token, f"PATCH {one}", {"topic": "Shave"}) == (204, None)
    status, read = await zoom_call(http, sim, token, f"GET {one}")
    assert (status, read["topic"], read["join_url"]) == (200, "Shave", created["join_url"])
    assert read["start_url"] != created["start_url"]
    assert await zoom_call(http, sim, token, f"DELETE {one}") == (204, None)
    gone = {"code": 3001, "message": f"Meeting does not exist: {created['id']}."}
    assert await zoom_call(http, sim, token, f"DELETE {one}") == (404, gone)
    state = await control(http, sim, "GET state")
    assert (state["meetings"], [m["id"] for m in state["deleted"]]) == ([], [created["id"]])
    day = state["calls"]["ada@example.com"].popitem()[1]
    assert day == {"create": 1, "update": 1, "get": 1, "delete": 2}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"topik": "typo"}, "topik"),
        ({"topic": 7}, "topic"),
        ({"topic": "x" * 201}, "topic"),
        ({"agenda": "x" * 2001}, "agenda"),
        ({"duration": "30"}, "duration"),
        ({"duration": 30.5}, "duration"),
        ({"start_time": "2027-03-01T09:00:00+01:00"}, "start_time"),
        ({"start_time": "2027-02-30T09:00:00Z"}, "start_time"),
        ({"timezone": "Middle/Earth"}, "timezone"),
        ({"password": "much too long"}, "password"),
        ({"type": 8}, "type"),
        ({"settings": {"waiting_rom": True}}, "settings.waiting_rom"),
        ({"settings": {"audio": "tin can"}}, "settings.audio"),
    ],
)
async def test_a_meeting_is_checked_against_the_contract(sim, http, ada, change, field):
    """Unknown fields and wrong values are 400/300 and name the field; nothing is created."""
    status, response = await zoom_call(http, sim, ada["access_token"], CREATE, MEETING | change)
    assert (status, response["code"], response["errors"][0]["field"]) == (400, 300, field)
    assert (await control(http, sim, "GET state"))["meetings"] == []


async def test_local_times_are_returned_in_utc(sim, http, ada):
    """A `start_time` without `Z` is a time in the zone `timezone`."""
    local = MEETING | {"start_time": "2027-07-01T09:00:00", "timezone": "Europe/Berlin"}
    _, created = await zoom_call(http, sim, ada["access_token"], CREATE, local)
    assert (created["start_time"], created["timezone"]) == ("2027-07-01T07:00:00Z", "Europe/Berlin")


async def test_another_users_meeting_is_not_found(sim, http, ada):
    """Bob can neither read nor delete Ada's meeting, and no user but `me` can be read."""
    _, created = await zoom_call(http, sim, ada["access_token"], CREATE, MEETING)
    bob = (await zoom_tokens(http, sim, "bob@example.com"))["access_token"]
    for method in ("GET", "DELETE"):
        status, response = await zoom_call(http, sim, bob, f"{method} meetings/{created['id']}")
        assert (status, response["code"]) == (404, 3001)
    status, response = await zoom_call(http, sim, bob, "GET users/ada@example.com")
    assert (status, response["code"]) == (404, 1001)


async def test_lists_have_pages_and_short_agendas(sim, http, ada):
    """`next_page_token` leads through all meetings by start; agendas are cut to 250 characters."""
    token = ada["access_token"]
    for day in (3, 1, 2):
        body = MEETING | {"start_time": f"2027-03-0{day}T09:00:00Z", "agenda": "x" * 300}
        await zoom_call(http, sim, token, CREATE, body)
    starts, agendas, more = [], set(), ""
    while True:
        query = f"GET users/me/meetings?type=scheduled&page_size=2&next_page_token={more}"
        _, page = await zoom_call(http, sim, token, query)
        starts += [m["start_time"][:10] for m in page["meetings"]]
        agendas |= {len(m["agenda"]) for m in page["meetings"]}
        more = page["next_page_token"]
        if not more:
            break
    assert (starts, agendas) == (["2027-03-01", "2027-03-02", "2027-03-03"], {250})
    status, _ = await zoom_call(http, sim, token, "GET users/me/meetings?page_size=301")
    assert status == 400


@pytest.mark.parametrize(("delete_counts", "left"), [(False, 1), (True, 0)])
async def test_the_daily_limit(sim, http, ada, delete_counts, left):
    """Per user, for create and update (and delete, by a knob), until midnight UTC."""
    await control(http, sim, "POST settings", {"daily_limit": 3, "delete_counts": delete_counts})
    token = ada["access_token"]
    _, created = await zoom_call(http, sim, token, CREATE, MEETING)
    one = f"meetings/{created['id']}"
    await zoom_call(http, sim, token, f"PATCH {one}", {"topic": "Shave"})
    await zoom_call(http, sim, token, f"DELETE {one}")
    admitted = [(await zoom_call(http, sim, token, CREATE, MEETING))[0] == 201 for _ in range(2)]
    assert admitted.count(True) == left
    await control(http, sim, "POST settings", {"clock_offset_seconds": 86400})
    fresh = await zoom_tokens(http, sim, "ada@example.com")
    assert (await zoom_call(http, sim, fresh["access_token"], CREATE, MEETING))[0] == 201


@pytest.mark.parametrize("bare", [False, True])
async def test_the_daily_limit_responds_with_or_without_headers(sim, http, ada, bare):
    """`Retry-After` is an instant, not seconds; as observed in the field it may be missing."""
    await control(http, sim, "POST settings", {"daily_limit": 0, "bare_429": bare})
    headers = {"Authorization": f"Bearer {ada['access_token']}"}
    url = f"{sim.url}/v2/users/me/meetings"
    async with http.post(url, json=MEETING, headers=headers) as response:
        message = (await response.json())["message"]
        retry_after, kind = (response.headers.get(h) for h in ("Retry-After", "X-RateLimit-Type"))
    assert "exceeded the daily rate limit (0) of Meeting Create/Update" in message
    if bare:
        assert (retry_after, kind) == (None, None)
    else:
        assert (retry_after[10:], kind) == ("T00:00:00Z", "Daily-limit")


async def test_the_limit_per_second(sim, http, ada):
    """Two users of one Zoom account share it."""
    await control(http, sim, "POST settings", {"light_per_second": 2})
    bob = await zoom_tokens(http, sim, "bob@example.com")
    tokens = [ada["access_token"], bob["access_token"]] * 2
    responses = await asyncio.gather(*(zoom_call(http, sim, t, "GET users/me") for t in tokens))
    assert sorted(status for status, _ in responses) == [200, 200, 429, 429]


async def test_a_password_may_be_missing(sim, http, ada):
    """As observed: the responses of some accounts have none."""
    await control(http, sim, "POST settings", {"without_password": True})
    _, created = await zoom_call(http, sim, ada["access_token"], CREATE, MEETING)
    assert "password" not in created


async def test_the_host_creates_and_deletes_a_meeting_in_zoom(sim, http, ada):
    """The API returns a meeting that was created through the control API, until it is deleted there."""
    created = await control(http, sim, "POST meetings", {"user": "ada@example.com", **MEETING})
    _, found = await zoom_call(http, sim, ada["access_token"], f"GET meetings/{created['id']}")
    assert found["topic"] == "Cut"
    await control(http, sim, f"DELETE meetings/{created['id']}")
    status, _ = await zoom_call(http, sim, ada["access_token"], f"GET meetings/{created['id']}")
    assert status == 404


async def test_a_join_link_shows_a_page(sim, http, ada):
    """Each meeting has its own link, which leads to a page with the topic."""
    created = [
        (await zoom_call(http, sim, ada["access_token"], CREATE, MEETING))[1] for _ in range(2)
    ]
    assert created[0]["join_url"] != created[1]["join_url"]
    async with http.get(created[0]["join_url"]) as response:
        assert (response.status, "Cut" in await response.text()) == (200, True)
