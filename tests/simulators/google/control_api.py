"""The control API of the simulated Google: what its users do there without our app.

Besides the common control API:
`POST   /_sim/events`       `{"user", "calendar"?, "event"}`: somebody else creates this event
`PATCH  /_sim/events/{id}`  somebody else changes it (`?calendar=` when the id is in several);
                            `DELETE` likewise
`POST   /_sim/calendars`    `{"user", "id"?, "summary"?, "timeZone"?, "accessRole"?}`: one more
                            calendar that the user sees; `DELETE /_sim/calendars/{id}` removes one
`POST   /_sim/revoke`       `{"user"}`: the user withdraws the consent
`POST   /_sim/expire-sync-tokens`  `{"calendar"?}`: sync tokens issued so far require a full sync
"""

from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from simulators.control_api import json_body
from simulators.google.api import GoogleApi
from simulators.google.calendars import CalendarEvent, GoogleCalendar
from simulators.google.discovery import method
from simulators.google.event_fields import Fields, event_body, zone_named
from simulators.google.event_writer import EventWriter
from simulators.google.oauth import GoogleOAuth

SOMEBODY = "somebody.else@example.com"


class NewCalendar(BaseModel):
    """The body of `POST /_sim/calendars`."""

    model_config = ConfigDict(extra="forbid")

    user: str
    id: str | None = None
    summary: str = "Another calendar"
    timeZone: str = "UTC"  # noqa: N815 - Google's own spelling
    accessRole: str = "owner"  # noqa: N815 - Google's own spelling


class NewEvent(BaseModel):
    """The body of `POST /_sim/events`."""

    model_config = ConfigDict(extra="forbid")

    user: str
    calendar: str = "primary"
    event: dict[str, Any]


class ConsentWithdrawal(BaseModel):
    """The body of `POST /_sim/revoke`."""

    model_config = ConfigDict(extra="forbid")

    user: str


class GoogleControlApi:
    """The routes of the control API that only Google has."""

    def __init__(self, api: GoogleApi, oauth: GoogleOAuth) -> None:
        self._api = api
        self._oauth = oauth

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/_sim/events", self.add_event),
            web.patch("/_sim/events/{id}", self.change_event),
            web.delete("/_sim/events/{id}", self.delete_event),
            web.post("/_sim/calendars", self.add_calendar),
            web.delete("/_sim/calendars/{id}", self.delete_calendar),
            web.post("/_sim/revoke", self.revoke),
            web.post("/_sim/expire-sync-tokens", self.expire_sync_tokens),
        ]

    async def add_event(self, request: web.Request) -> web.Response:
        wanted = NewEvent(**await json_body(request))
        self._ensure_user(wanted.user)
        calendar = self._api.calendars.find(wanted.calendar, wanted.user)
        if calendar is None:
            raise web.HTTPNotFound(text="this user sees no such calendar")
        event = self._writer(calendar).insert(_checked(wanted.event))
        return web.json_response(event_with_calendar(calendar, event))

    async def change_event(self, request: web.Request) -> web.Response:
        calendar, event = self._find(request)
        changes = _checked(await json_body(request))
        changed = self._writer(calendar).patch(event, changes)
        return web.json_response(event_with_calendar(calendar, changed))

    async def delete_event(self, request: web.Request) -> web.Response:
        calendar, event = self._find(request)
        self._writer(calendar).delete(event)
        return web.Response(status=204)

    async def add_calendar(self, request: web.Request) -> web.Response:
        wanted = NewCalendar(**await json_body(request))
        self._ensure_user(wanted.user)
        calendar = self._api.calendars.add(
            wanted.user,
            calendar_id=wanted.id,
            summary=wanted.summary,
            zone=zone_named(wanted.timeZone).key,
            role=wanted.accessRole,
        )
        return web.json_response(calendar.as_json())

    async def delete_calendar(self, request: web.Request) -> web.Response:
        if self._api.calendars.all.pop(request.match_info["id"], None) is None:
            raise web.HTTPNotFound(text="no such calendar")
        return web.Response(status=204)

    async def revoke(self, request: web.Request) -> web.Response:
        wanted = ConsentWithdrawal(**await json_body(request))
        return web.json_response({"revoked": self._oauth.tokens.kill(wanted.user, "revoked")})

    async def expire_sync_tokens(self, request: web.Request) -> web.Response:
        wanted = (await json_body(request)).get("calendar")
        for calendar in self._api.calendars.all.values():
            if wanted in (None, calendar.id):
                calendar.expire_sync_tokens()
        return web.Response(status=204)

    def _ensure_user(self, user: str) -> None:
        knobs = self._oauth.knobs
        self._api.calendars.ensure_user(user, zone=knobs.time_zone, holidays=knobs.holiday_calendar)

    def _writer(self, calendar: GoogleCalendar) -> EventWriter:
        return self._api.writer(calendar, SOMEBODY)

    def _find(self, request: web.Request) -> tuple[GoogleCalendar, CalendarEvent]:
        """The calendar and event of the path. Raises 404, and ValueError if several calendars have it."""
        wanted, event_id = request.query.get("calendar"), request.match_info["id"]
        calendars = [
            calendar
            for calendar in self._api.calendars.all.values()
            if wanted in (None, calendar.id) and self._writer(calendar).has(event_id)
        ]
        if not calendars:
            raise web.HTTPNotFound(text="no such event")
        if len(calendars) > 1:
            raise ValueError("several calendars have this event: add ?calendar=")
        return calendars[0], self._writer(calendars[0]).find(event_id)


def event_with_calendar(calendar: GoogleCalendar, event: CalendarEvent) -> Fields:
    """An event as the control API returns it: in Google's form, with its calendar and user."""
    where = {"calendarId": calendar.id, "user": calendar.primary_of}
    return {**event_body(event.fields, calendar.zone, calendar.zone), **where}


def _checked(body: Fields) -> Fields:
    return method("events.insert").check_body(body)
