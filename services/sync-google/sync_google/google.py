"""Speaks to Google Calendar (v3) and maps what can go wrong there to our own troubles.

Sources: Google's discovery document `calendar.v3.json`, its guides on errors, on extended
properties and on synchronising; what they leave open is as people have seen it in the field.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import ClientError, ClientSession, ClientTimeout
from pydantic import BaseModel, Field, ValidationError

from shared.clock import Clock
from shared.connections import Identity, OAuthProvider, ProviderDown
from sync_google.config import Settings
from sync_google.domain import (
    AccessLost,
    Changed,
    Draft,
    Interval,
    Item,
    Missing,
    NoAnswer,
    QuotaSpent,
    Rejected,
    SyncExpired,
    Taken,
    TokenRejected,
    TooMany,
    Trouble,
    Window,
    whole_days,
)

T = TypeVar("T", bound=BaseModel)

TIMEOUT = 10.0
"""Seconds for one call; the lease of a wish is more than three times as long."""
LARGEST_ANSWER = 16 * 1024 * 1024
PAGE_SIZE = 2500
LONGEST_PAUSE = timedelta(hours=25)

SCOPES = (
    "https://www.googleapis.com/auth/calendar.events",
    "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
)
APPOINTMENT, GENERATION, CONNECTION = "hoopAppointment", "hoopGeneration", "hoopConnection"

FIELDS = (
    "timeZone,nextPageToken,nextSyncToken,items(id,status,etag,summary,description,location,"
    "transparency,eventType,start,end,recurringEventId,attendees(self,responseStatus),"
    "extendedProperties/private)"
)

THROTTLED = ("rateLimitExceeded", "userRateLimitExceeded")
SCOPE_LOST = ("insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT")
CALENDAR_MISSING = "calendar_missing"
CALENDAR_LOST = ("forbidden", "requiredAccessLevel", "calendarListReadOnly")


class _Calendar(BaseModel):
    id: str = Field(min_length=1, max_length=1000)
    summary: str = ""


class _Page(BaseModel):
    items: list[dict[str, Any]] = []
    timeZone: str = "UTC"  # noqa: N815 -- Google's own spelling
    nextPageToken: str | None = None  # noqa: N815 -- as above
    nextSyncToken: str | None = None  # noqa: N815 -- as above


@dataclass(frozen=True)
class Event:
    """One event of ours as Google has it."""

    etag: str
    cancelled: bool
    marks: Mapping[str, str]
    fields: Mapping[str, Any]

    def says(self, draft: Draft) -> bool:
        """Whether it shows just this."""
        return says(self.fields, draft)


@dataclass(frozen=True)
class Page:
    """A page of a list. The last one has `sync_token`, the others `next_page`."""

    items: list[dict[str, Any]]
    time_zone: str
    next_page: str | None
    sync_token: str | None


def oauth(settings: Settings) -> OAuthProvider:
    """Google's authorization server: credentials in the body, a refresh token only with consent."""
    return OAuthProvider(
        name="google",
        authorize_url=settings.google_oauth_url,
        token_url=settings.google_token_url,
        revoke_url=settings.google_revoke_url,
        client_id=settings.google_client_id,
        client_secret=settings.google_client_secret,
        scopes=SCOPES,
        client_auth="body",
        authorize_params={"access_type": "offline", "prompt": "consent"},
        timeout=TIMEOUT,
    )


class Google:
    """The calendar API, called with an access token each time."""

    def __init__(self, http: ClientSession, settings: Settings) -> None:
        self._http = http
        self._base = settings.google_api_url

    async def identify(self, token: str) -> Identity:
        """Whose token this is: the real id of the primary calendar, which is the user's address."""
        try:
            said = await self._ask("GET", "/users/me/calendarList/primary", token)
            primary = _parsed(_Calendar, said)
        except Trouble as trouble:
            raise ProviderDown(f"google does not say who this is: {trouble}") from trouble
        return Identity(external_id=primary.id, label=primary.id)

    async def insert(
        self, token: str, calendar: str, event_id: str, draft: Draft, marks: Mapping[str, str]
    ) -> Event:
        """Make it. Raises `Taken` when the id exists or ever did."""
        body = {"id": event_id, **_body(draft, marks)}
        try:
            return await self._write("POST", _events(calendar), token, body)
        except Missing as missing:
            raise AccessLost(str(missing), CALENDAR_MISSING) from None

    async def replace(
        self,
        token: str,
        calendar: str,
        event_id: str,
        draft: Draft,
        marks: Mapping[str, str],
        *,
        etag: str,
    ) -> Event:
        """Write the whole event anew, if it is still as we knew it; else `Changed` or `Missing`."""
        path = f"{_events(calendar)}/{quote(event_id)}"
        return await self._write("PUT", path, token, _body(draft, marks), etag=etag)

    async def remove(self, token: str, calendar: str, event_id: str, *, etag: str) -> None:
        """Delete it, if it is still as we knew it; else `Changed` or `Missing`."""
        path = f"{_events(calendar)}/{quote(event_id)}"
        await self._ask("DELETE", path, token, query={"sendUpdates": "none"}, etag=etag)

    async def find(self, token: str, calendar: str, event_id: str) -> Event:
        """The event, deleted ones included as long as Google knows them; else `Missing`."""
        return _event(await self._ask("GET", f"{_events(calendar)}/{quote(event_id)}", token))

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

        The filters of both must be the same, and a window cannot be asked for with a sync token.
        """
        query = {"singleEvents": "true", "maxResults": str(PAGE_SIZE), "fields": FIELDS}
        if sync_token is not None:
            query["syncToken"] = sync_token
        else:
            query |= {"timeMin": _instant(window.start), "timeMax": _instant(window.end)}
        if page_token is not None:
            query["pageToken"] = page_token
        try:
            said = await self._ask("GET", _events(calendar), token, query=query)
        except Rejected:
            if sync_token is None:
                raise
            raise SyncExpired("the sync token is refused") from None
        except Missing as missing:
            if str(missing).startswith("410"):
                raise SyncExpired(str(missing)) from None
            raise AccessLost(str(missing), CALENDAR_MISSING) from None
        page = _parsed(_Page, said)
        return Page(page.items, page.timeZone, page.nextPageToken, page.nextSyncToken)

    async def _write(
        self, verb: str, path: str, token: str, body: dict[str, Any], *, etag: str | None = None
    ) -> Event:
        query = {"sendUpdates": "none"}
        return _event(await self._ask(verb, path, token, query=query, body=body, etag=etag))

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
                said = await answer.content.read(LARGEST_ANSWER)
                while len(said) < LARGEST_ANSWER and (
                    more := await answer.content.read(LARGEST_ANSWER - len(said))
                ):
                    said += more
                status, retry_after = answer.status, answer.headers.get("Retry-After")
        except (ClientError, TimeoutError, OSError) as error:
            raise NoAnswer(f"google did not answer: {type(error).__name__}") from error
        if status == 204:
            return None
        data = _json(said)
        if status == 200:
            if not isinstance(data, dict):
                raise NoAnswer("google sent something else than JSON")
            return data
        raise _trouble(status, data, _pause(retry_after))


def says(fields: Mapping[str, Any], draft: Draft) -> bool:
    """Whether an event as Google shows it is what the draft wants."""
    texts = ("summary", "description", "location")
    return (
        all(str(fields.get(name) or "") == getattr(draft, name) for name in texts)
        and _at(fields.get("start")) == draft.start
        and _at(fields.get("end")) == draft.end
        and fields.get("transparency", "opaque") == "opaque"
        and "recurrence" not in fields
    )


def item(said: Mapping[str, Any], zone: ZoneInfo) -> Item | None:
    """An event of a list, or None when it cannot be read."""
    if not isinstance(said.get("id"), str):
        return None
    cancelled = said.get("status") == "cancelled"
    try:
        during = None if cancelled else _during(said, zone)
    except (ValueError, KeyError, TypeError, OverflowError, ZoneInfoNotFoundError):
        return None
    private = (said.get("extendedProperties") or {}).get("private") or {}
    ours = str(said["id"]).startswith(str(private.get(APPOINTMENT) or "-"))
    return Item(
        id=said["id"],
        etag=said.get("etag"),
        cancelled=cancelled,
        blocks=not cancelled and _blocks(said),
        during=during,
        series=said.get("recurringEventId"),
        marked_by=private.get(CONNECTION) if ours else None,
        fields=said,
    )


def _blocks(said: Mapping[str, Any]) -> bool:
    """Tentative events, absences and focus time block; free, declined ones and places do not."""
    if said.get("transparency") == "transparent" or said.get("eventType") == "workingLocation":
        return False
    guests = said.get("attendees") or []
    return not any(g.get("self") and g.get("responseStatus") == "declined" for g in guests)


def _during(said: Mapping[str, Any], zone: ZoneInfo) -> Interval:
    start, end = said["start"], said["end"]
    if "date" in start:
        first, after = (datetime.fromisoformat(edge["date"]).date() for edge in (start, end))
        return whole_days(first, after, zone)
    return _moment(start, zone), _moment(end, zone)


def _moment(edge: Mapping[str, Any], zone: ZoneInfo) -> datetime:
    at = datetime.fromisoformat(edge["dateTime"])
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(edge["timeZone"]) if "timeZone" in edge else zone)
    return at.astimezone(UTC)


def _at(edge: Any) -> datetime | None:
    try:
        return _moment(edge, ZoneInfo("UTC"))
    except (ValueError, KeyError, TypeError, OverflowError, ZoneInfoNotFoundError):
        return None


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


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event(said: Any) -> Event:
    """An event of ours. One without an etag could not be written safely: no answer at all."""
    if not isinstance(said, dict) or not isinstance(said.get("etag"), str):
        raise NoAnswer("google sent an event without an etag")
    private = (said.get("extendedProperties") or {}).get("private") or {}
    return Event(said["etag"], said.get("status") == "cancelled", private, said)


def _parsed(model: type[T], said: Any) -> T:
    try:
        return model.model_validate(said)
    except ValidationError:
        raise NoAnswer("google sent an answer of another shape") from None


def _json(said: bytes) -> Any:
    try:
        return json.loads(said)
    except ValueError:
        return None


def _pause(text: str | None) -> timedelta | None:
    """`Retry-After`, in seconds or as a date; never longer than a day."""
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) < 9:
        return min(timedelta(seconds=int(text)), LONGEST_PAUSE)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    wait = until.astimezone(UTC) - Clock().now()
    return min(max(wait, timedelta()), LONGEST_PAUSE)


def _reason(said: Any) -> str:
    """Google's slug in its error envelope."""
    try:
        return str(said["error"]["errors"][0]["reason"])[:100]
    except (KeyError, IndexError, TypeError):
        return ""


def _trouble(status: int, said: Any, wait: timedelta | None) -> Trouble:
    reason = _reason(said)
    text = f"{status} {reason}".strip()
    if status == 403 and reason:
        return _forbidden(reason, text, wait)
    known: dict[int, type[Trouble]] = {
        400: Rejected,
        401: TokenRejected,
        404: Missing,
        409: Taken,
        410: Missing,
        412: Changed,
    }
    if status == 429:
        return TooMany(text, wait)
    if reason and status in known:
        return known[status](text)
    return NoAnswer(f"google answered {text}")


def _forbidden(reason: str, text: str, wait: timedelta | None) -> Trouble:
    if reason in THROTTLED:
        return TooMany(text, wait)
    if reason == "quotaExceeded":
        return QuotaSpent(text)
    if reason in SCOPE_LOST:
        return AccessLost(text, "scope_missing")
    if reason in CALENDAR_LOST:
        return AccessLost(text, "calendar_forbidden")
    if reason.endswith("LimitExceeded") or reason == "accessNotConfigured":
        return TooMany(text, wait or timedelta(minutes=15))  # our own project's: time may help
    return Rejected(text)
