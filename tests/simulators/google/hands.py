"""What other hands than ours do in the simulated Google, asked for through its control API.

Beside the common control API:
`POST   /_sim/events`       `{"user", "calendar"?, "event"}`: somebody else makes this event
`PATCH  /_sim/events/{id}`  somebody else changes it (`?calendar=` when the id is in several);
                            `DELETE` likewise
`POST   /_sim/calendars`    `{"user", "id"?, "summary"?, "timeZone"?, "accessRole"?}`: one more
                            calendar that the user sees; `DELETE /_sim/calendars/{id}` removes one
`POST   /_sim/revoke`       `{"user"}`: the user takes back his consent
`POST   /_sim/expire-sync-tokens`  `{"calendar"?}`: the tokens given so far demand a full sync
"""

from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from simulators.control import body_of
from simulators.google.api import GoogleApi
from simulators.google.calendars import Calendar, Event
from simulators.google.deeds import Deeds
from simulators.google.discovery import method
from simulators.google.oauth import GoogleOAuth
from simulators.google.shape import Fields, shown, zone_named

SOMEBODY = "somebody.else@example.com"


class NewCalendar(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user: str
    id: str | None = None
    summary: str = "Another calendar"
    timeZone: str = "UTC"  # noqa: N815 - Google's own spelling
    accessRole: str = "owner"  # noqa: N815 - Google's own spelling


class NewEvent(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user: str
    calendar: str = "primary"
    event: dict[str, Any]


class Revocation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user: str


class OtherHands:
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
        wanted = NewEvent(**await body_of(request))
        self._welcome(wanted.user)
        calendar = self._api.calendars.find(wanted.calendar, wanted.user)
        if calendar is None:
            raise web.HTTPNotFound(text="this user sees no such calendar")
        event = self._as_somebody(calendar).insert(_acceptable(wanted.event))
        return web.json_response(event_shown(calendar, event))

    async def change_event(self, request: web.Request) -> web.Response:
        calendar, event = self._found(request)
        changes = _acceptable(await body_of(request))
        changed = self._as_somebody(calendar).patch(event, changes)
        return web.json_response(event_shown(calendar, changed))

    async def delete_event(self, request: web.Request) -> web.Response:
        calendar, event = self._found(request)
        self._as_somebody(calendar).delete(event)
        return web.Response(status=204)

    async def add_calendar(self, request: web.Request) -> web.Response:
        wanted = NewCalendar(**await body_of(request))
        self._welcome(wanted.user)
        calendar = self._api.calendars.add(
            wanted.user,
            calendar_id=wanted.id,
            summary=wanted.summary,
            zone=zone_named(wanted.timeZone).key,
            role=wanted.accessRole,
        )
        return web.json_response(calendar.shown())

    async def delete_calendar(self, request: web.Request) -> web.Response:
        if self._api.calendars.all.pop(request.match_info["id"], None) is None:
            raise web.HTTPNotFound(text="no such calendar")
        return web.Response(status=204)

    async def revoke(self, request: web.Request) -> web.Response:
        wanted = Revocation(**await body_of(request))
        return web.json_response({"revoked": self._oauth.tokens.kill(wanted.user, "revoked")})

    async def expire_sync_tokens(self, request: web.Request) -> web.Response:
        wanted = (await body_of(request)).get("calendar")
        for calendar in self._api.calendars.all.values():
            if wanted in (None, calendar.id):
                calendar.forget_tokens()
        return web.Response(status=204)

    def _welcome(self, user: str) -> None:
        knobs = self._oauth.knobs
        self._api.calendars.welcome(user, zone=knobs.time_zone, holidays=knobs.holiday_calendar)

    def _as_somebody(self, calendar: Calendar) -> Deeds:
        return self._api.deeds(calendar, SOMEBODY)

    def _found(self, request: web.Request) -> tuple[Calendar, Event]:
        """The event of the path. Raises 404, and ValueError when several calendars have it."""
        wanted, event_id = request.query.get("calendar"), request.match_info["id"]
        calendars = [
            calendar
            for calendar in self._api.calendars.all.values()
            if wanted in (None, calendar.id) and self._as_somebody(calendar).has(event_id)
        ]
        if not calendars:
            raise web.HTTPNotFound(text="no such event")
        if len(calendars) > 1:
            raise ValueError("several calendars have this event: add ?calendar=")
        return calendars[0], self._as_somebody(calendars[0]).find(event_id)


def event_shown(calendar: Calendar, event: Event) -> Fields:
    """An event as the control API shows it: Google's own form, and where it lies."""
    where = {"calendarId": calendar.id, "user": calendar.primary_of}
    return {**shown(event.fields, calendar.zone, calendar.zone), **where}


def _acceptable(body: Fields) -> Fields:
    return method("events.insert").check_body(body)
