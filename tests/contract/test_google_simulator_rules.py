"""The simulated Google's own rules: what it refuses, cuts, hides and pushes, by the documentation."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from simulators import google
from simulators.client import control, google_tokens
from simulators.client import google_call as call
from simulators.google import GoogleSimulator

SCOPES = [
    "https://www.googleapis.com/auth/calendar.events",
    "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
]
MINE = "0192f0c1e8a47b9d8c6f3e2a1b"


@pytest.fixture
async def sim() -> AsyncIterator[GoogleSimulator]:
    async with google.serve() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def event(hour: int = 9, **more: Any) -> dict[str, Any]:
    start, end = (f"2027-03-01T{h:02}:00:00Z" for h in (hour, hour + 1))
    return {"summary": "Cut", "start": {"dateTime": start}, "end": {"dateTime": end}, **more}


async def test_free_busy_merges_and_hides_whose(sim, http):
    """Touching events become one interval, transparent ones none; strangers are errors within."""
    tokens = await google_tokens(
        http, sim, "ada@example.com", scope="https://www.googleapis.com/auth/calendar"
    )
    for body in (event(9), event(10), event(14, transparency="transparent")):
        await control(http, sim, "POST events", {"user": "ada@example.com", "event": body})
    asked = {
        "timeMin": "2027-03-01T00:00:00Z",
        "timeMax": "2027-03-02T00:00:00Z",
        "items": [{"id": "primary"}, {"id": "bob@example.com"}],
    }
    answer = await call(http, sim, tokens["access_token"], "POST freeBusy", asked)
    busy = {"start": "2027-03-01T09:00:00Z", "end": "2027-03-01T11:00:00Z"}
    assert answer["calendars"]["primary"] == {"busy": [busy]}
    assert answer["calendars"]["bob@example.com"]["errors"][0]["reason"] == "notFound"


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
async def test_a_body_is_held_to_the_discovery_document(sim, http, change, reason):
    """Unknown fields, wrong types and impossible times are refused with 400."""
    tokens = await google_tokens(http, sim, scope=" ".join(SCOPES))
    answer = await call(
        http, sim, tokens["access_token"], "POST calendars/primary/events", event() | change
    )
    assert answer == (400, reason)


async def test_an_unknown_query_parameter_is_refused(sim, http):
    """What the document does not name is 400; what it names is checked."""
    tokens = await google_tokens(http, sim, scope=" ".join(SCOPES))
    for query in ("max=1", "maxResults=none", "singleEvents=yes", "timeMin=2027-03-01"):
        answer = await call(
            http, sim, tokens["access_token"], f"GET calendars/primary/events?{query}"
        )
        assert answer == (400, "invalidParameter"), query
    fine = "calendars/primary/events?fields=items(id)&maxResults=1&timeZone=Europe/Berlin"
    assert (await call(http, sim, tokens["access_token"], f"GET {fine}"))[
        "timeZone"
    ] == "Europe/Berlin"


async def test_scopes_open_only_what_they_name(sim, http):
    """With the events scope alone the list of calendars is closed, the events are not."""
    tokens = await google_tokens(http, sim, scope=SCOPES[0])
    closed = await call(http, sim, tokens["access_token"], "GET users/me/calendarList")
    assert closed == (403, "insufficientPermissions")
    assert (await call(http, sim, tokens["access_token"], "GET calendars/primary/events"))[
        "items"
    ] == []


async def test_nobody_sees_another_users_calendar(sim, http):
    """Bob's token finds neither Ada's calendar nor her event, and may only read holidays."""
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


async def test_an_untouched_event_is_not_sent_again(sim, http):
    """`If-None-Match` with the current etag answers 304 without a body."""
    ada = await google_tokens(http, sim, scope=" ".join(SCOPES))
    made = await call(
        http, sim, ada["access_token"], "POST calendars/primary/events", event(id=MINE)
    )
    headers = {"Authorization": f"Bearer {ada['access_token']}", "If-None-Match": made["etag"]}
    url = f"{sim.url}/calendar/v3/calendars/primary/events/{MINE}"
    async with http.get(url, headers=headers) as answer:
        assert (answer.status, await answer.read()) == (304, b"")


@pytest.mark.parametrize(("revive", "expected"), [("ok", "confirmed"), ("forbidden", "forbidden")])
async def test_a_deleted_event_may_come_back_or_not(sim, http, revive, expected):
    """Reports about Google differ, so this is a knob."""
    await control(http, sim, "POST settings", {"revive": revive})
    ada = await google_tokens(http, sim, scope=" ".join(SCOPES))
    await control(http, sim, "POST events", {"user": "ada@example.com", "event": event(id=MINE)})
    await control(http, sim, f"DELETE events/{MINE}")
    back = await call(
        http, sim, ada["access_token"], f"PUT calendars/primary/events/{MINE}", event()
    )
    assert expected == (back["status"] if revive == "ok" else back[1])


async def test_long_properties_are_cut_and_dropped_without_a_word(sim, http):
    """Names over 44 characters vanish, values over 1024 are cut; null removes in a patch."""
    ada = await google_tokens(http, sim, scope=" ".join(SCOPES))
    private = {"k" * 45: "gone", "long": "v" * 2000, "mark": "x"}
    body = event(id=MINE, extendedProperties={"private": private})
    made = await call(http, sim, ada["access_token"], "POST calendars/primary/events", body)
    kept = made["extendedProperties"]["private"]
    assert {k: len(v) for k, v in kept.items()} == {"long": 1024, "mark": 1}
    patch = {"extendedProperties": {"private": {"long": None}}}
    path = f"calendars/primary/events/{MINE}"
    left = await call(http, sim, ada["access_token"], f"PATCH {path}", patch)
    assert left["extendedProperties"]["private"] == {"mark": "x"}
    marked = "calendars/primary/events?privateExtendedProperty=mark%3Dx"
    assert len((await call(http, sim, ada["access_token"], f"GET {marked}"))["items"]) == 1


async def test_a_watcher_is_told_without_a_body(sim, http):
    """`sync` first, then `exists` for each change, all in headers; silence after the stop."""
    ada = await google_tokens(http, sim, scope=" ".join(SCOPES))
    heard: asyncio.Queue[tuple[str, str, bytes]] = asyncio.Queue()
    async with listening(heard) as address:
        body = {"id": "channel-1", "type": "web_hook", "address": address, "token": "t0k"}
        channel = await call(
            http, sim, ada["access_token"], "POST calendars/primary/events/watch", body
        )
        assert await asyncio.wait_for(heard.get(), 5) == ("sync", "t0k", b"")
        new = {"user": "ada@example.com", "event": event(id=MINE)}
        await control(http, sim, "POST events", new)
        assert await asyncio.wait_for(heard.get(), 5) == ("exists", "t0k", b"")
        stop = {"id": "channel-1", "resourceId": channel["resourceId"]}
        url, auth = f"{sim.url}/calendar/v3/channels/stop", f"Bearer {ada['access_token']}"
        async with http.post(url, json=stop, headers={"Authorization": auth}) as answer:
            assert answer.status == 204
        assert await call(http, sim, ada["access_token"], "POST channels/stop", stop) == (
            404,
            "notFound",
        )
    until = datetime.fromtimestamp(int(channel["expiration"]) / 1000, UTC)
    assert timedelta(days=6) < until - datetime.fromisoformat(sim.log.entries[0].at)


class listening:  # noqa: N801 - read as a deed: `async with listening(…)`
    """A receiver of push messages on a port of its own."""

    def __init__(self, heard: asyncio.Queue[tuple[str, str, bytes]]) -> None:
        self._heard = heard
        app = web.Application()
        app.add_routes([web.post("/push", self._hear)])
        self._runner = web.AppRunner(app)

    async def _hear(self, request: web.Request) -> web.Response:
        state, token = (request.headers[f"X-Goog-{h}"] for h in ("Resource-State", "Channel-Token"))
        self._heard.put_nowait((state, token, await request.read()))
        return web.Response()

    async def __aenter__(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/push"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def test_a_watch_never_leaves_this_machine(sim, http):
    """The simulator calls loopback only; Google's own refusal is what others get."""
    ada = await google_tokens(http, sim, scope=" ".join(SCOPES))
    body = {"id": "c", "type": "web_hook", "address": "https://example.com/push"}
    answer = await call(http, sim, ada["access_token"], "POST calendars/primary/events/watch", body)
    assert answer == (401, "push.webhookUrlUnauthorized")


async def test_state_and_log_are_plain_json(sim, http):
    """What scripts read: live events with their calendar, and each request with its user."""
    ada = await google_tokens(http, sim, "ada@example.com", scope=" ".join(SCOPES))
    await call(http, sim, ada["access_token"], "POST calendars/primary/events", event(id=MINE))
    state = await control(http, sim, "GET state")
    assert [(e["id"], e["calendarId"]) for e in state["events"]] == [(MINE, "ada@example.com")]
    log = await control(http, sim, "GET log?method=POST")
    assert log[-1]["principal"] == "ada@example.com"
    assert log[-1]["body"]["id"] == MINE
    assert ada["access_token"] not in json.dumps(log)


async def test_only_asked_for_mails_would_go_out(sim, http):
    """Guests hear of an event when `sendUpdates=all`, never otherwise: the state lists the mails."""
    ada = (await google_tokens(http, sim, scope=" ".join(SCOPES)))["access_token"]
    body = event(attendees=[{"email": "guest@example.com"}])
    for how in ("none", "all"):
        await call(http, sim, ada, f"POST calendars/primary/events?sendUpdates={how}", body)
    (mail,) = (await control(http, sim, "GET state"))["invitations"]
    assert mail["to"] == ["guest@example.com"]


async def test_a_calendar_can_go_away(sim, http):
    """Another calendar appears in the list and takes events; deleted, it is 404."""
    ada = (await google_tokens(http, sim, scope=" ".join(SCOPES)))["access_token"]
    made = await control(http, sim, "POST calendars", {"user": "ada@example.com", "id": "work"})
    assert made["roles"] == {"ada@example.com": "owner"}
    listed = await call(http, sim, ada, "GET users/me/calendarList?minAccessRole=writer")
    assert [(c["id"], c.get("primary")) for c in listed["items"]] == [
        ("ada@example.com", True),
        ("work", None),
    ]
    assert (await call(http, sim, ada, "POST calendars/work/events", event()))["status"]
    await control(http, sim, "DELETE calendars/work")
    assert await call(http, sim, ada, "GET calendars/work/events") == (404, "notFound")
