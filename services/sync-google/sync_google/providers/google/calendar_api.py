"""The calls of Google's Calendar API that we make, each with an access token.

Source: the discovery document `calendar.v3.json` and the guides on synchronising and on
extended properties.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from aiohttp import ClientSession

from hoop_platform.clock import Clock
from hoop_platform.providers.bounded_http import ServerResponse, send
from hoop_platform.providers.errors import (
    ObjectNotFound,
    OutcomeUnknown,
    PermissionLost,
    ProviderError,
    RequestRejected,
    SyncTokenExpired,
)
from sync_google.config import Settings
from sync_google.domain.busy import Window
from sync_google.domain.plan import EventDraft
from sync_google.providers.google.error_responses import error_from_response
from sync_google.providers.google.parsing import (
    CalendarEntry,
    EventList,
    GoogleEvent,
    parse_event,
    parse_json,
    parse_model,
)

TIMEOUT = 10.0
"""Seconds for one call; the lease of a desired state is more than three times as long."""
MAX_RESPONSE_BYTES = 16 * 1024 * 1024
PAGE_SIZE = 2500
CALENDAR_MISSING = "calendar_missing"
WITHOUT_MAILS = {"sendUpdates": "none"}

FIELDS = (
    "timeZone,nextPageToken,nextSyncToken,items(id,status,etag,summary,description,location,"
    "transparency,eventType,start,end,recurrence,recurringEventId,"
    "attendees(self,responseStatus),extendedProperties/private)"
)


@dataclass(frozen=True)
class EventPage:
    """One page of a list of events. The last page has `sync_token`, all others `next_page`."""

    items: list[dict[str, Any]]
    time_zone: str
    next_page: str | None
    sync_token: str | None


class CalendarApi:
    """Google's Calendar API. Every call raises a `ProviderError` if it does not succeed."""

    def __init__(self, http: ClientSession, settings: Settings) -> None:
        self._http = http
        self._base_url = settings.google_api_url

    async def get_primary_calendar_id(self, token: str) -> str:
        """The real id of the primary calendar of the token's user: the user's mail address."""
        response = await self._request("GET", "/users/me/calendarList/primary", token)
        return parse_model(CalendarEntry, response).id

    async def insert_event(
        self, token: str, calendar: str, event_id: str, draft: EventDraft, marks: Mapping[str, str]
    ) -> GoogleEvent:
        """Create an event. Raises `IdTaken` if an event of this id exists or ever existed."""
        body = {"id": event_id, **_event_body(draft, marks)}
        try:
            response = await self._request(
                "POST", _events_path(calendar), token, query=WITHOUT_MAILS, body=body
            )
        except ObjectNotFound as error:
            raise PermissionLost(str(error), reason=CALENDAR_MISSING) from None
        return parse_event(response, event_id)

    async def patch_event(
        self,
        token: str,
        calendar: str,
        event_id: str,
        draft: EventDraft,
        marks: Mapping[str, str],
        *,
        etag: str,
    ) -> GoogleEvent:
        """Write our fields of an event. Raises `VersionConflict` unless it still has this `etag`.

        Colour, reminders and guests are not ours: a patch leaves them as they are.
        """
        body = {**_event_body(draft, marks), "recurrence": None}
        body["start"]["date"] = body["end"]["date"] = None  # somebody may have set a whole day
        path = _event_path(calendar, event_id)
        try:
            response = await self._request(
                "PATCH", path, token, query=WITHOUT_MAILS, body=body, etag=etag
            )
        except PermissionLost as error:
            raise _error_of_one_event(error) from None
        return parse_event(response, event_id)

    async def delete_event(self, token: str, calendar: str, event_id: str, *, etag: str) -> None:
        """Delete an event. Raises `VersionConflict` unless the event still has this `etag`."""
        path = _event_path(calendar, event_id)
        try:
            await self._request("DELETE", path, token, query=WITHOUT_MAILS, etag=etag)
        except PermissionLost as error:
            raise _error_of_one_event(error) from None

    async def get_event(self, token: str, calendar: str, event_id: str) -> GoogleEvent:
        """One event, also a deleted one as long as Google keeps it; else raises `ObjectNotFound`."""
        response = await self._request("GET", _event_path(calendar, event_id), token)
        return parse_event(response, event_id)

    async def list_events(
        self,
        token: str,
        calendar: str,
        *,
        window: Window,
        sync_token: str | None,
        page_token: str | None,
    ) -> EventPage:
        """One page of the events in `window`, or of the changes since `sync_token`.

        The other filters are the same for both, since a sync token is valid only with those it was
        issued for; Google refuses a window together with a sync token. Raises `SyncTokenExpired`.
        """
        query = {"singleEvents": "true", "maxResults": str(PAGE_SIZE), "fields": FIELDS}
        if sync_token is None:
            query |= {
                "timeMin": _format_instant(window.start),
                "timeMax": _format_instant(window.end),
            }
        else:
            query["syncToken"] = sync_token
        if page_token is not None:
            query["pageToken"] = page_token
        try:
            response = await self._request("GET", _events_path(calendar), token, query=query)
        except (ObjectNotFound, RequestRejected) as error:
            raise _error_of_list(error, with_sync_token=sync_token is not None) from None
        page = parse_model(EventList, response)
        return EventPage(page.items, page.timeZone, page.nextPageToken, page.nextSyncToken)

    async def _request(
        self,
        method: str,
        path: str,
        token: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        etag: str | None = None,
    ) -> object:
        """The JSON object in the response, None for 204."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        if etag is not None:
            headers["If-Match"] = etag
        response = await send(
            self._http,
            "google",
            method,
            self._base_url + path,
            timeout=TIMEOUT,
            largest=MAX_RESPONSE_BYTES,
            params=query,
            json=body,
            headers=headers,
        )
        return _parse_response(response)


def _parse_response(response: ServerResponse) -> object:
    if response.status_code == 204:
        return None
    data = parse_json(response.body)
    if response.status_code != 200:
        wait = response.retry_after(Clock().now())
        raise error_from_response(response.status_code, data, wait)
    if not isinstance(data, dict):
        raise OutcomeUnknown("google sent something else than a JSON object")
    return data


def _error_of_one_event(error: PermissionLost) -> ProviderError:
    """`forbidden` for one event (it has another organizer now) does not concern the whole calendar."""
    return RequestRejected(str(error)) if str(error).endswith(" forbidden") else error


def _error_of_list(error: ProviderError, *, with_sync_token: bool) -> ProviderError:
    """A sync token that is refused, for its age or its form, has expired."""
    if str(error).startswith("410") or (with_sync_token and isinstance(error, RequestRejected)):
        return SyncTokenExpired(str(error))
    if isinstance(error, ObjectNotFound):
        return PermissionLost(str(error), reason=CALENDAR_MISSING)
    return error


def _event_body(draft: EventDraft, marks: Mapping[str, str]) -> dict[str, Any]:
    return {
        "summary": draft.summary,
        "description": draft.description,
        "location": draft.location,
        "start": {"dateTime": _format_instant(draft.start), "timeZone": draft.time_zone},
        "end": {"dateTime": _format_instant(draft.end), "timeZone": draft.time_zone},
        "status": "confirmed",
        "transparency": "opaque",
        "extendedProperties": {"private": dict(marks)},
    }


def _events_path(calendar: str) -> str:
    return f"/calendars/{quote(calendar, safe='')}/events"


def _event_path(calendar: str, event_id: str) -> str:
    return f"{_events_path(calendar)}/{quote(event_id, safe='')}"


def _format_instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
