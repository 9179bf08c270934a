"""The simulated Google, used by Google's own Python client and compared with its documentation."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import aiohttp
import pytest
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from simulators.client import control, google_tokens
from simulators.google.discovery import DOCUMENT
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


@pytest.fixture
async def refresh_token(http, sim) -> str:
    tokens = await google_tokens(http, sim, "ada@example.com", scope=" ".join(SCOPES))
    return tokens["refresh_token"]


def event(hour: int = 9, **more: Any) -> dict[str, Any]:
    start, end = (f"2027-03-01T{h:02}:00:00Z" for h in (hour, hour + 1))
    return {"summary": "Cut", "start": {"dateTime": start}, "end": {"dateTime": end}, **more}


@contextmanager
def client(sim: GoogleSimulator, refresh_token: str) -> Iterator[Any]:
    """Google's own client with the simulator's URLs; its first call is a token refresh."""
    credentials = Credentials(
        token=None,
        refresh_token=refresh_token,
        token_uri=f"{sim.url}/token",
        client_id=sim.knobs.client_id,
        client_secret=sim.knobs.client_secret,
    )
    service = build(
        "calendar",
        "v3",
        credentials=credentials,
        static_discovery=True,
        client_options={"api_endpoint": f"{sim.url}/calendar/v3/"},
    )
    with service:
        yield service


async def with_client(sim: GoogleSimulator, refresh_token: str, work: Callable[[Any], Any]) -> Any:
    """Run `work` in a thread with Google's client, which is synchronous."""

    def run() -> Any:
        with client(sim, refresh_token) as service:
            return work(service.events())

    return await asyncio.to_thread(run)


def refused(request: Any) -> tuple[int, str]:
    """Status and reason of the error response, as Google's client parses it."""
    with pytest.raises(HttpError) as caught:
        request.execute()
    return caught.value.status_code, caught.value.error_details[0]["reason"]


async def test_the_lifecycle_of_an_event(sim, refresh_token, http):
    """Insert, patch, update, delete and get work with Google's client, token refresh included."""

    def work(events: Any) -> list[Any]:
        created = events.insert(calendarId="primary", body=event(id=MINE), sendUpdates="none")
        patch = events.patch(calendarId="primary", eventId=MINE, body={"summary": "Shave"})
        put = events.update(calendarId="primary", eventId=MINE, body=event(11))
        delete = events.delete(calendarId="primary", eventId=MINE)
        get = events.get(calendarId="primary", eventId=MINE)
        return [request.execute() for request in (created, patch, put, delete, get)]

    created, patched, put, deleted, gone = await with_client(sim, refresh_token, work)
    assert (created["status"], created["sequence"], created["iCalUID"]) == (
        "confirmed",
        0,
        f"{MINE}@google.com",
    )
    assert patched["summary"] == "Shave"
    assert patched["sequence"] == 0, "only a new time increments it"
    assert (put["summary"], put["sequence"], deleted) == ("Cut", 1, "")
    assert gone["status"] == "cancelled"
    state = await control(http, sim, "GET state")
    assert [e["id"] for e in state["cancelled"]] == [MINE]
    assert state["events"] == []


async def test_error_responses_have_the_shape_of_googles(sim, refresh_token):
    """409, 410, 404, 412 and 400 have the documented reasons."""

    def work(events: Any) -> dict[str, tuple[int, str]]:
        events.insert(calendarId="primary", body=event(id=MINE)).execute()
        patch = events.patch(calendarId="primary", eventId=MINE, body={"summary": "Shave"})
        patch.headers["If-Match"] = '"old"'
        found = {
            "again": refused(events.insert(calendarId="primary", body=event(id=MINE))),
            "stale": refused(patch),
            "no calendar": refused(events.list(calendarId="nobody@example.com")),
            "bad id": refused(events.insert(calendarId="primary", body=event(id="has-dashes"))),
            "empty": refused(events.insert(calendarId="primary", body=event() | {"end": {}})),
        }
        events.delete(calendarId="primary", eventId=MINE).execute()
        deleted_again = refused(events.delete(calendarId="primary", eventId=MINE))
        used_up = refused(events.insert(calendarId="primary", body=event(id=MINE)))
        return {**found, "deleted": deleted_again, "used up": used_up}

    assert await with_client(sim, refresh_token, work) == {
        "again": (409, "duplicate"),
        "stale": (412, "conditionNotMet"),
        "no calendar": (404, "notFound"),
        "bad id": (400, "invalid"),
        "empty": (400, "required"),
        "deleted": (410, "deleted"),
        "used up": (409, "duplicate"),
    }


@pytest.mark.parametrize("status", [403, 429, 503])
async def test_googles_client_retries_throttled_calls(sim, refresh_token, http, status):
    """`num_retries` has an effect only if the error's body is like Google's."""
    fault = {"match": {"method": "POST", "path": "/events$"}, "do": f"status:{status}", "times": 1}
    await control(http, sim, "POST faults", fault)

    def work(events: Any) -> Any:
        return events.insert(calendarId="primary", body=event(id=MINE)).execute(num_retries=2)

    created = await with_client(sim, refresh_token, work)
    log = await control(http, sim, "GET log?method=POST&principal=ada@example.com")
    assert created["id"] == MINE
    assert [e["status"] for e in log if e["path"].endswith("/events")] == [status, 200]


async def test_an_exceeded_quota_is_not_retried(sim, refresh_token, http):
    """`quotaExceeded`: the calendar is read-only, and Google's client does not retry."""
    await control(http, sim, "POST settings", {"quota_exceeded": True})

    def work(events: Any) -> Any:
        with pytest.raises(HttpError, match="Calendar usage limits exceeded"):
            events.insert(calendarId="primary", body=event()).execute(num_retries=2)
        return events.list(calendarId="primary").execute()

    assert (await with_client(sim, refresh_token, work))["items"] == []


async def test_patches_cost_three_units(sim, refresh_token, http):
    """With four units a minute, an insert and one patch succeed, the next call does not."""
    await control(http, sim, "POST settings", {"user_per_minute": 4})

    def work(events: Any) -> tuple[int, str]:
        events.insert(calendarId="primary", body=event(id=MINE)).execute()
        events.patch(calendarId="primary", eventId=MINE, body={"summary": "a"}).execute()
        return refused(events.get(calendarId="primary", eventId=MINE))

    assert await with_client(sim, refresh_token, work) == (403, "userRateLimitExceeded")


async def test_a_withdrawn_consent_is_invalid_grant(sim, refresh_token, http):
    """google-auth raises `RefreshError` with Google's text."""
    await control(http, sim, "POST revoke", {"user": "ada@example.com"})
    with pytest.raises(RefreshError, match="Token has been expired or revoked") as caught:
        await with_client(sim, refresh_token, lambda events: events.list(calendarId="x").execute())
    assert caught.value.args[1]["error"] == "invalid_grant"


def pages(events: Any, **query: Any) -> tuple[list[dict[str, Any]], str]:
    """All items of all pages, and the sync token of the last page."""
    items: list[dict[str, Any]] = []
    request = events.list(calendarId="primary", **query)
    while request is not None:
        response = request.execute()
        items += response["items"]
        assert ("nextPageToken" in response) != ("nextSyncToken" in response)
        request = events.list_next(request, response)
    return items, response["nextSyncToken"]


async def test_sync_lists_each_change_once(sim, refresh_token, http):
    """A full list in pages of one, then only the changed events, deleted ones without fields."""
    for number in range(3):
        body = {"user": "ada@example.com", "event": event(id=f"event{number}")}
        await control(http, sim, "POST events", body)
    await control(http, sim, "POST settings", {"page_size": 1})

    def first(events: Any) -> Any:
        return pages(events)

    items, token = await with_client(sim, refresh_token, first)
    assert [item["id"] for item in items] == ["event0", "event1", "event2"]
    await control(http, sim, "DELETE events/event0")
    await control(http, sim, "PATCH events/event2", {"summary": "Moved"})
    changed, token = await with_client(sim, refresh_token, lambda e: pages(e, syncToken=token))
    assert [(i["id"], i["status"]) for i in changed] == [
        ("event0", "cancelled"),
        ("event2", "confirmed"),
    ]
    assert "start" not in changed[0]
    nothing, _ = await with_client(sim, refresh_token, lambda e: pages(e, syncToken=token))
    assert nothing == []


async def test_sync_refuses_what_google_refuses(sim, refresh_token, http):
    """A sync token with a window, with another query than at first, or expired."""

    def work(events: Any) -> list[tuple[int, str]]:
        _, token = pages(events)
        listed = {"calendarId": "primary", "syncToken": token}
        return [
            refused(events.list(**listed, timeMin="2027-01-01T00:00:00Z")),
            refused(events.list(**listed, showDeleted=False)),
            refused(events.list(**listed, singleEvents=True)),
            refused(events.list(calendarId="primary", syncToken="nonsense")),
        ]

    assert await with_client(sim, refresh_token, work) == [(400, "invalid")] * 4
    _, token = await with_client(sim, refresh_token, pages)
    await control(http, sim, "POST expire-sync-tokens")
    expired = await with_client(
        sim, refresh_token, lambda e: refused(e.list(calendarId="primary", syncToken=token))
    )
    assert expired == (410, "fullSyncRequired")


async def test_a_sync_token_may_expire_by_changes(sim, refresh_token, http):
    """With `sync_token_max_changes` 1, one change is listed, the second requires a full sync."""
    await control(http, sim, "POST settings", {"sync_token_max_changes": 1})
    _, token = await with_client(sim, refresh_token, pages)
    for expected in (1, (410, "fullSyncRequired")):
        await control(http, sim, "POST events", {"user": "ada@example.com", "event": event()})
        query = {"calendarId": "primary", "syncToken": token}

        def work(events: Any, query=query, expected=expected) -> Any:
            request = events.list(**query)
            return len(request.execute()["items"]) if expected == 1 else refused(request)

        assert await with_client(sim, refresh_token, work) == expected


async def test_a_window_is_compared_with_ends_and_starts(sim, refresh_token, http):
    """`timeMin` excludes events that end then, `timeMax` events that start then."""
    for hour in (8, 9, 10):
        body = {"user": "ada@example.com", "event": event(hour, id=f"hour{hour}")}
        await control(http, sim, "POST events", body)
    window = {"timeMin": "2027-03-01T09:00:00Z", "timeMax": "2027-03-01T10:00:00Z"}
    items, _ = await with_client(sim, refresh_token, lambda e: pages(e, **window))
    assert [item["id"] for item in items] == ["hour9"]


async def test_a_series_is_listed_whole_or_by_instances(sim, refresh_token, http):
    """Nine o'clock in Berlin stays nine o'clock across the change of clocks; one instance differs."""
    berlin = {"timeZone": "Europe/Berlin"}
    series = {
        "id": "ser1es",
        "start": {"dateTime": "2027-03-22T09:00:00", **berlin},
        "end": {"dateTime": "2027-03-22T10:00:00", **berlin},
        "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=3"],
    }
    await control(http, sim, "POST events", {"user": "ada@example.com", "event": series})
    await control(http, sim, "PATCH events/ser1es_20270405T070000Z", {"summary": "Other"})
    single, _ = await with_client(sim, refresh_token, lambda e: pages(e, singleEvents=True))
    assert [(i["id"], i["start"]["dateTime"]) for i in single] == [
        ("ser1es_20270322T080000Z", "2027-03-22T08:00:00Z"),
        ("ser1es_20270329T070000Z", "2027-03-29T07:00:00Z"),
        ("ser1es_20270405T070000Z", "2027-04-05T07:00:00Z"),
    ]
    assert all(i["recurringEventId"] == "ser1es" for i in single)
    whole, _ = await with_client(sim, refresh_token, pages)
    assert [i["id"] for i in whole] == ["ser1es", "ser1es_20270405T070000Z"]
    assert whole[0]["start"] == {"dateTime": "2027-03-22T08:00:00Z", "timeZone": "Europe/Berlin"}


def test_the_document_is_that_of_google_s_client():
    """A copy, so that a system can be run without the client; this test says when there is a newer one."""
    copy = files("simulators.google") / DOCUMENT
    original = files("googleapiclient") / "discovery_cache/documents" / DOCUMENT

    assert copy.read_text() == original.read_text()
