"""The rules of the simulated Google, by the documentation: validation, visibility, watch channels."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from simulators.client import control, google_tokens
from simulators.client import google_call as call
from simulators.google.simulator import GoogleSimulator, serve

SCOPES = [
    "https://www.googleapis.com/auth/calendar.events",
    "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
]
MINE = "0192f0c1e8a47b9d8c6f3e2a1b"


@pytest.fixture
async def sim() -> AsyncIterator[GoogleSimulator]:
    async with serve() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def event(hour: int = 9, **more: Any) -> dict[str, Any]:
    start, end = (f"2027-03-01T{h:02}:00:00Z" for h in (hour, hour + 1))
    return {"summary": "Cut", "start": {"dateTime": start}, "end": {"dateTime": end}, **more}


async def test_free_busy_merges_and_hides_events(sim, http):
    """Touching events become one interval, transparent ones none; unknown calendars are errors."""
    tokens = await google_tokens(
        http, sim, "ada@example.com", scope="https://www.googleapis.com/auth/calendar"
    )
    for body in (event(9), event(10), event(14, transparency="transparent")):
        await control(http, sim, "POST events", {"user": "ada@example.com", "event": body})
    body = {
        "timeMin": "2027-03-01T00:00:00Z",
        "timeMax": "2027-03-02T00:00:00Z",
        "items": [{"id": "primary"}, {"id": "bob@example.com"}],
    }
    response = await call(http, sim, tokens["access_token"], "POST freeBusy", body)
    busy = {"start": "2027-03-01T09:00:00Z", "end": "2027-03-01T11:00:00Z"}
    assert response["calendars"]["primary"] == {"busy": [busy]}
    assert response["calendars"]["bob@example.com"]["errors"][0]["reason"] == "notFound"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sumary": "typo"}, "badRequest"),
        ({"summary": 7}, "badRequest"),
        ({"attendees": [{"mail": "x@example.com"}]}, "badRequest"),
        ({"start": {"dateTime": "2027-03-01T09:00:00"}}, "required"),
        ({"start": {"dateTime": "not a time"}}, "badRequest"),
        ({"start": {"dateTime": "2027-03-01T10:30:00Z"}}, "timeRangeEmpty"),
        ({"start": {"date": "2027-03-01"}}, "invalid"),
        ({"status": "perhaps"}, "invalid"),
        ({"recurrence": ["RRULE:FREQ=DAILY"]}, "required"),
        ({"reminders": {"overrides": [{"method": "popup", "minutes": 1}] * 6}}, "tooManyReminders"),
    ],
)
async def test_a_body_is_checked_against_the_discovery_document(sim, http, change, reason):
    """Unknown fields, wrong types and impossible times are refused with 400."""
    tokens = await google_tokens(http, sim, scope=" ".join(SCOPES))
    response = await call(
        http, sim, tokens["access_token"], "POST calendars/primary/events", event() | change
    )
    assert response == (400, reason)


async def test_an_unknown_query_parameter_is_refused(sim, http):
    """400 for a parameter that the discovery document does not name, and for an invalid value."""
    tokens = await google_tokens(http, sim, scope=" ".join(SCOPES))
    for query in ("max=1", "maxResults=none", "singleEvents=yes", "timeMin=2027-03-01"):
        response = await call(
            http, sim, tokens["access_token"], f"GET calendars/primary/events?{query}"
        )
        assert response == (400, "invalidParameter"), query
    fine = "calendars/primary/events?fields=items(id)&maxResults=1&timeZone=Europe/Berlin"
    assert (await call(http, sim, tokens["access_token"], f"GET {fine}"))[
        "timeZone"
    ] == "Europe/Berlin"


async def test_scopes_are_checked(sim, http):
    """With the events scope alone, the list of calendars is refused, events are not."""
    tokens = await google_tokens(http, sim, scope=SCOPES[0])
    calendars = await call(http, sim, tokens["access_token"], "GET users/me/calendarList")
    assert calendars == (403, "insufficientPermissions")
    assert (await call(http, sim, tokens["access_token"], "GET calendars/primary/events"))[
        "items"
    ] == []


async def test_nobody_sees_another_users_calendar(sim, http):
    """404 with Bob's token for Ada's calendar and event; the holiday calendar is read-only."""
    bob = await google_tokens(http, sim, "bob@example.com", scope=" ".join(SCOPES))
    await control(http, sim, "POST events", {"user": "ada@example.com", "event": event(id=MINE)})
    hers = "calendars/ada@example.com/events"
    assert await call(http, sim, bob["access_token"], f"GET {hers}/{MINE}") == (404, "notFound")
    assert await call(http, sim, bob["access_token"], f"GET calendars/primary/events/{MINE}") == (
        404,
        "notFound",
    )
    holidays = "calendars/en.usa%23holiday@group.v.calendar.google.com/events"
    assert await call(http, sim, bob["access_token"], f"POST {holidays}", event()) == (
        403,
        "requiredAccessLevel",
    )


async def test_an_unchanged_event_is_not_sent_again(sim, http):
    """304 without a body for `If-None-Match` with the current etag."""
    ada = await google_tokens(http, sim, scope=" ".join(SCOPES))
    created = await call(
        http, sim, ada["access_token"], "POST calendars/primary/events", event(id=MINE)
    )
    headers = {"Authorization": f"Bearer {ada['access_token']}", "If-None-Match": created["etag"]}
    url = f"{sim.url}/calendar/v3/calendars/primary/events/{MINE}"
    async with http.get(url, headers=headers) as response:
        assert (response.status, await response.read()) == (304, b"")


@pytest.mark.parametrize(("revive", "expected"), [("ok", "confirmed"), ("forbidden", "forbidden")])
async def test_a_deleted_event_may_be_restored_or_not(sim, http, revive, expected):
    """Reports about Google differ, hence the knob `revive`."""
    await control(http, sim, "POST settings", {"revive": revive})
    ada = await google_tokens(http, sim, scope=" ".join(SCOPES))
    await control(http, sim, "POST events", {"user": "ada@example.com", "event": event(id=MINE)})
    await control(http, sim, f"DELETE events/{MINE}")
    back = await call(
        http, sim, ada["access_token"], f"PUT calendars/primary/events/{MINE}", event()
    )
    assert expected == (back["status"] if revive == "ok" else back[1])


async def test_long_properties_are_cut_or_dropped_silently(sim, http):
    """Names over 44 characters are dropped, values over 1024 cut; null removes one in a patch."""
    ada = await google_tokens(http, sim, scope=" ".join(SCOPES))
    private = {"k" * 45: "gone", "long": "v" * 2000, "mark": "x"}
    body = event(id=MINE, extendedProperties={"private": private})
    created = await call(http, sim, ada["access_token"], "POST calendars/primary/events", body)
    kept = created["extendedProperties"]["private"]
    assert {k: len(v) for k, v in kept.items()} == {"long": 1024, "mark": 1}
    patch = {"extendedProperties": {"private": {"long": None}}}
    path = f"calendars/primary/events/{MINE}"
    left = await call(http, sim, ada["access_token"], f"PATCH {path}", patch)
    assert left["extendedProperties"]["private"] == {"mark": "x"}
    marked = "calendars/primary/events?privateExtendedProperty=mark%3Dx"
    assert len((await call(http, sim, ada["access_token"], f"GET {marked}"))["items"]) == 1


async def test_a_channel_is_notified_without_a_body(sim, http):
    """`sync` first, then `exists` for each change, all in headers; the channel can be stopped once."""
    ada = await google_tokens(http, sim, scope=" ".join(SCOPES))
    messages: asyncio.Queue[tuple[str, str, bytes]] = asyncio.Queue()
    async with receiver(messages) as address:
        body = {"id": "channel-1", "type": "web_hook", "address": address, "token": "t0k"}
        channel = await call(
            http, sim, ada["access_token"], "POST calendars/primary/events/watch", body
        )
        assert await asyncio.wait_for(messages.get(), 5) == ("sync", "t0k", b"")
        new = {"user": "ada@example.com", "event": event(id=MINE)}
        await control(http, sim, "POST events", new)
        assert await asyncio.wait_for(messages.get(), 5) == ("exists", "t0k", b"")
        stop = {"id": "channel-1", "resourceId": channel["resourceId"]}
        url, auth = f"{sim.url}/calendar/v3/channels/stop", f"Bearer {ada['access_token']}"
        async with http.post(url, json=stop, headers={"Authorization": auth}) as response:
            assert response.status == 204
        assert await call(http, sim, ada["access_token"], "POST channels/stop", stop) == (
            404,
            "notFound",
        )
    until = datetime.fromtimestamp(int(channel["expiration"]) / 1000, UTC)
    assert timedelta(days=6) < until - datetime.fromisoformat(sim.log.entries[0].at)


@asynccontextmanager
async def receiver(messages: asyncio.Queue[tuple[str, str, bytes]]) -> AsyncIterator[str]:
    """A server that puts channel messages (state, token, body) into the queue; yields its address."""

    async def receive(request: web.Request) -> web.Response:
        state, token = (request.headers[f"X-Goog-{h}"] for h in ("Resource-State", "Channel-Token"))
        messages.put_nowait((state, token, await request.read()))
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/push", receive)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/push"
    finally:
        await runner.cleanup()


async def test_a_channel_must_have_a_loopback_address(sim, http):
    """Any other address is refused as Google refuses an unverified one."""
    ada = await google_tokens(http, sim, scope=" ".join(SCOPES))
    body = {"id": "c", "type": "web_hook", "address": "https://example.com/push"}
    response = await call(
        http, sim, ada["access_token"], "POST calendars/primary/events/watch", body
    )
    assert response == (401, "push.webhookUrlUnauthorized")


async def test_state_and_log_are_plain_json(sim, http):
    """`state` lists live events with their calendars, `log` each request with its user."""
    ada = await google_tokens(http, sim, "ada@example.com", scope=" ".join(SCOPES))
    await call(http, sim, ada["access_token"], "POST calendars/primary/events", event(id=MINE))
    state = await control(http, sim, "GET state")
    assert [(e["id"], e["calendarId"]) for e in state["events"]] == [(MINE, "ada@example.com")]
    log = await control(http, sim, "GET log?method=POST")
    assert log[-1]["principal"] == "ada@example.com"
    assert log[-1]["body"]["id"] == MINE
    assert ada["access_token"] not in json.dumps(log)


async def test_only_requested_invitations_are_sent(sim, http):
    """Guests are invited with `sendUpdates=all` only: `state` lists the invitations."""
    ada = (await google_tokens(http, sim, scope=" ".join(SCOPES)))["access_token"]
    body = event(attendees=[{"email": "guest@example.com"}])
    for how in ("none", "all"):
        await call(http, sim, ada, f"POST calendars/primary/events?sendUpdates={how}", body)
    (mail,) = (await control(http, sim, "GET state"))["invitations"]
    assert mail["to"] == ["guest@example.com"]


async def test_a_calendar_can_be_added_and_deleted(sim, http):
    """A new calendar is listed and accepts events; after its deletion it is 404."""
    ada = (await google_tokens(http, sim, scope=" ".join(SCOPES)))["access_token"]
    created = await control(http, sim, "POST calendars", {"user": "ada@example.com", "id": "work"})
    assert created["roles"] == {"ada@example.com": "owner"}
    listed = await call(http, sim, ada, "GET users/me/calendarList?minAccessRole=writer")
    assert [(c["id"], c.get("primary")) for c in listed["items"]] == [
        ("ada@example.com", True),
        ("work", None),
    ]
    assert (await call(http, sim, ada, "POST calendars/work/events", event()))["status"]
    await control(http, sim, "DELETE calendars/work")
    assert await call(http, sim, ada, "GET calendars/work/events") == (404, "notFound")
