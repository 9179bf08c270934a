"""The calls of Google's calendar API that we make, each with an access token.

Source: the discovery document `calendar.v3.json` and the guides on synchronising and on
extended properties.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout

from hoop_platform.clock import Clock
from hoop_platform.providers.authorization import Identity
from hoop_platform.providers.errors import ProviderDown
from sync_google.config import Settings
from sync_google.domain import (
    AccessLost,
    Draft,
    Missing,
    NoAnswer,
    Rejected,
    SyncExpired,
    Trouble,
    Window,
)
from sync_google.google.oauth import TIMEOUT
from sync_google.google.reading import CalendarEntry, Event, EventList, data_of, event, parsed
from sync_google.google.refusals import pause, trouble

LARGEST_ANSWER = 16 * 1024 * 1024
PAGE_SIZE = 2500
CALENDAR_MISSING = "calendar_missing"
QUIETLY = {"sendUpdates": "none"}

FIELDS = (
    "timeZone,nextPageToken,nextSyncToken,items(id,status,etag,summary,description,location,"
    "transparency,eventType,start,end,recurrence,recurringEventId,"
    "attendees(self,responseStatus),extendedProperties/private)"
)


@dataclass(frozen=True)
class Page:
    """A page of a list. The last one has `sync_token`, the others `next_page`."""

    items: list[dict[str, Any]]
    time_zone: str
    next_page: str | None
    sync_token: str | None


class Google:
    """The calendar API."""

    def __init__(self, http: ClientSession, settings: Settings) -> None:
        self._http = http
        self._base = settings.google_api_url

    async def identify(self, token: str) -> Identity:
        """Whose token this is: the real id of the primary calendar, which is the user's address."""
        try:
            said = await self._ask("GET", "/users/me/calendarList/primary", token)
            primary = parsed(CalendarEntry, said)
        except Trouble as why:
            raise ProviderDown(f"google does not say who this is: {why}") from why
        return Identity(external_id=primary.id, label=primary.id)

    async def insert(
        self, token: str, calendar: str, event_id: str, draft: Draft, marks: Mapping[str, str]
    ) -> Event:
        """Make it. Raises `Taken` when the id exists or ever did."""
        body = {"id": event_id, **_body(draft, marks)}
        try:
            said = await self._ask("POST", _events(calendar), token, query=QUIETLY, body=body)
        except Missing as missing:
            raise AccessLost(str(missing), reason=CALENDAR_MISSING) from None
        return event(said, event_id)

    async def change(
        self,
        token: str,
        calendar: str,
        event_id: str,
        draft: Draft,
        marks: Mapping[str, str],
        *,
        etag: str,
    ) -> Event:
        """Write our part of the event, if it is still as we knew it; else `Changed` or `Missing`.

        A patch: colour, reminders and guests are its owner's, and stay.
        """
        body = {**_body(draft, marks), "recurrence": None}
        body["start"]["date"] = body["end"]["date"] = None  # somebody may have made it all-day
        path = _one(calendar, event_id)
        try:
            said = await self._ask("PATCH", path, token, query=QUIETLY, body=body, etag=etag)
        except AccessLost as lost:
            raise _of_one_event(lost) from None
        return event(said, event_id)

    async def remove(self, token: str, calendar: str, event_id: str, *, etag: str) -> None:
        """Delete it, if it is still as we knew it; else `Changed` or `Missing`."""
        path = _one(calendar, event_id)
        try:
            await self._ask("DELETE", path, token, query=QUIETLY, etag=etag)
        except AccessLost as lost:
            raise _of_one_event(lost) from None

    async def find(self, token: str, calendar: str, event_id: str) -> Event:
        """The event, deleted ones included as long as Google knows them; else `Missing`."""
        return event(await self._ask("GET", _one(calendar, event_id), token), event_id)

    async def page(
        self,
        token: str,
        calendar: str,
        *,
        window: Window,
        sync_token: str | None,
        page_token: str | None,
    ) -> Page:
        """A page of what is in the window, or of what changed since. Raises `SyncExpired`.

        The filters of both are the same, for a sync token is good for those it came with; a
        window cannot be asked for with a sync token.
        """
        query = {"singleEvents": "true", "maxResults": str(PAGE_SIZE), "fields": FIELDS}
        if sync_token is None:
            query |= {"timeMin": _instant(window.start), "timeMax": _instant(window.end)}
        else:
            query["syncToken"] = sync_token
        if page_token is not None:
            query["pageToken"] = page_token
        try:
            said = await self._ask("GET", _events(calendar), token, query=query)
        except (Missing, Rejected) as why:
            raise _of_list(why, synced=sync_token is not None) from None
        page = parsed(EventList, said)
        return Page(page.items, page.timeZone, page.nextPageToken, page.nextSyncToken)

    async def _ask(
        self,
        verb: str,
        path: str,
        token: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        etag: str | None = None,
    ) -> Any:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        if etag is not None:
            headers["If-Match"] = etag
        try:
            async with self._http.request(
                verb,
                self._base + path,
                params=query,
                json=body,
                headers=headers,
                timeout=ClientTimeout(total=TIMEOUT),
                allow_redirects=False,
            ) as answer:
                return _answer(answer, await _read(answer))
        except (ClientError, TimeoutError, OSError) as error:
            raise NoAnswer(f"google did not answer: {type(error).__name__}") from error


def _answer(answer: ClientResponse, said: bytes) -> Any:
    if answer.status == 204:
        return None
    data = data_of(said)
    if answer.status != 200:
        wait = pause(answer.headers.get("Retry-After"), now=Clock().now())
        raise trouble(answer.status, data, wait)
    if not isinstance(data, dict):
        raise NoAnswer("google sent something else than JSON")
    return data


async def _read(answer: ClientResponse) -> bytes:
    """The whole body, as long as it is as short as an honest one."""
    said = bytearray()
    async for chunk in answer.content.iter_chunked(256 * 1024):
        said += chunk
        if len(said) > LARGEST_ANSWER:
            raise NoAnswer("google's answer does not end")
    return bytes(said)


def _of_one_event(lost: AccessLost) -> Trouble:
    """`forbidden` of one event (somebody else organises it now) says nothing of the calendar."""
    return Rejected(str(lost)) if str(lost).endswith(" forbidden") else lost


def _of_list(why: Trouble, *, synced: bool) -> Trouble:
    """A sync token that is refused, for its age or its shape, is worth nothing any more."""
    if str(why).startswith("410") or (synced and isinstance(why, Rejected)):
        return SyncExpired(str(why))
    return AccessLost(str(why), reason=CALENDAR_MISSING) if isinstance(why, Missing) else why


def _body(draft: Draft, marks: Mapping[str, str]) -> dict[str, Any]:
    return {
        "summary": draft.summary,
        "description": draft.description,
        "location": draft.location,
        "start": {"dateTime": _instant(draft.start), "timeZone": draft.time_zone},
        "end": {"dateTime": _instant(draft.end), "timeZone": draft.time_zone},
        "status": "confirmed",
        "transparency": "opaque",
        "extendedProperties": {"private": dict(marks)},
    }


def _events(calendar: str) -> str:
    return f"/calendars/{quote(calendar, safe='')}/events"


def _one(calendar: str, event_id: str) -> str:
    return f"{_events(calendar)}/{quote(event_id, safe='')}"


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
