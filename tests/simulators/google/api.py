"""The methods of the Calendar API: each takes a checked call and responds as Google does."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from aiohttp import web

from simulators.clock import SimClock, format_instant
from simulators.google import errors
from simulators.google.calendars import RANKS, CalendarEvent, CalendarStore, GoogleCalendar
from simulators.google.discovery import method
from simulators.google.event_fields import Fields, event_body
from simulators.google.event_list import EventListRequest, zone_of
from simulators.google.event_writer import EventWriter
from simulators.google.free_busy import free_busy
from simulators.google.knobs import GoogleKnobs
from simulators.google.oauth import GoogleOAuth
from simulators.google.request_checks import ApiCall, RequestQuota, checked_call
from simulators.google.watch_channels import WatchChannels

Handler = Callable[[ApiCall], Awaitable[web.Response]]


class GoogleApi:
    """The calendars, events and channels, and the methods of the API."""

    def __init__(self, oauth: GoogleOAuth, clock: SimClock, own_url: Callable[[], str]) -> None:
        self.calendars = CalendarStore()
        self.quota = RequestQuota()
        self.channels = WatchChannels()
        self.invitations: list[Fields] = []  # mails that Google would have sent for `sendUpdates`
        self._oauth = oauth
        self._clock = clock
        self._own_url = own_url

    @property
    def _knobs(self) -> GoogleKnobs:
        return self._oauth.knobs

    def routes(self) -> list[web.RouteDef]:
        methods: dict[str, Handler] = {
            "calendarList.list": self.calendar_list,
            "calendarList.get": self.calendar_list_entry,
            "calendars.get": self.calendar,
            "events.insert": self.insert,
            "events.get": self.get,
            "events.patch": self.patch,
            "events.update": self.update,
            "events.delete": self.delete,
            "events.list": self.list_events,
            "events.watch": self.watch,
            "channels.stop": self.stop,
            "freebusy.query": self.free_busy,
        }
        return [self._route(name, handler) for name, handler in methods.items()]

    def writer(self, calendar: GoogleCalendar, user: str) -> EventWriter:
        """What writes events into this calendar for this user."""
        return EventWriter(calendar, user, self._clock.now(), self._knobs.revive, self.changed)

    def changed(self, calendar: GoogleCalendar) -> None:
        """Notify the channels that watch this calendar."""
        times = {"none": 0, "normal": 1, "twice": 2}[self._knobs.push]
        self.channels.changed(calendar, times=times, now=self._clock.now())

    async def calendar_list(self, call: ApiCall) -> web.Response:
        least = RANKS.index(call.query.get("minAccessRole", "freeBusyReader"))
        entries = [
            _entry(calendar, call.user)
            for calendar in call.calendars.of(call.user)
            if RANKS.index(calendar.roles[call.user]) >= least
        ]
        return web.json_response(
            {"kind": "calendar#calendarList", "etag": '"1"', "nextSyncToken": "1", "items": entries}
        )

    async def calendar_list_entry(self, call: ApiCall) -> web.Response:
        return web.json_response(_entry(call.calendar("freeBusyReader"), call.user))

    async def calendar(self, call: ApiCall) -> web.Response:
        found = call.calendar("reader")
        return web.json_response(
            {
                "kind": "calendar#calendar",
                "etag": f'"{found.revision}"',
                "id": found.id,
                "summary": found.summary,
                "timeZone": found.zone.key,
            }
        )

    async def insert(self, call: ApiCall) -> web.Response:
        calendar = call.calendar("writer")
        return self._respond_written(
            call, calendar, self.writer(calendar, call.user).insert(call.body)
        )

    async def get(self, call: ApiCall) -> web.Response:
        calendar = call.calendar("reader")
        event = self.writer(calendar, call.user).find(call.path("eventId"))
        if call.request.headers.get("If-None-Match") == event.fields["etag"]:
            return web.Response(status=304, headers={"ETag": event.fields["etag"]})
        return _event_response(call, calendar, event)

    async def patch(self, call: ApiCall) -> web.Response:
        calendar, event = self._event_to_write(call)
        written = self.writer(calendar, call.user).patch(event, call.body)
        return self._respond_written(call, calendar, written)

    async def update(self, call: ApiCall) -> web.Response:
        calendar, event = self._event_to_write(call)
        written = self.writer(calendar, call.user).update(event, call.body)
        return self._respond_written(call, calendar, written)

    async def delete(self, call: ApiCall) -> web.Response:
        calendar, event = self._event_to_write(call)
        self.writer(calendar, call.user).delete(event)
        self._record_invitation(call, event)
        return web.Response(status=204)

    async def list_events(self, call: ApiCall) -> web.Response:
        calendar = call.calendar("reader")
        knobs = self._knobs
        listing = EventListRequest(
            calendar, call.query, call.now, knobs.page_size, knobs.sync_token_max_changes
        )
        return web.json_response(
            {
                "kind": "calendar#events",
                "etag": f'"p{calendar.revision}"',
                "summary": calendar.summary,
                "updated": format_instant(call.now),
                "timeZone": zone_of(calendar, call.query).key,
                "accessRole": calendar.roles[call.user],
                "defaultReminders": [],
                **listing.page(),
            }
        )

    async def watch(self, call: ApiCall) -> web.Response:
        calendar = call.calendar("reader")
        uri = f"{self._own_url()}/calendar/v3/calendars/{calendar.id}/events?alt=json"
        channel = self.channels.open(call.body, calendar, call.user, uri=uri, now=call.now)
        return web.json_response(channel.as_json())

    async def stop(self, call: ApiCall) -> web.Response:
        self.channels.stop(call.body.get("id", ""), call.body.get("resourceId", ""), call.user)
        return web.Response(status=204)

    async def free_busy(self, call: ApiCall) -> web.Response:
        longest = timedelta(days=self._knobs.free_busy_max_days)
        return web.json_response(free_busy(call, longest=longest))

    def _route(self, name: str, handler: Handler) -> web.RouteDef:
        documented = method(name)

        async def handle(request: web.Request) -> web.Response:
            call = await checked_call(
                request,
                documented,
                oauth=self._oauth,
                calendars=self.calendars,
                quota=self.quota,
                now=self._clock.now(),
            )
            return await handler(call)

        return web.route(documented.verb, documented.path, handle)

    def _event_to_write(self, call: ApiCall) -> tuple[GoogleCalendar, CalendarEvent]:
        """The calendar and event of the path, if `If-Match` allows the write."""
        calendar = call.calendar("writer")
        event = self.writer(calendar, call.user).find(call.path("eventId"))
        if call.request.headers.get("If-Match", "*") not in ("*", event.fields["etag"]):
            raise errors.precondition_failed()
        return calendar, event

    def _respond_written(
        self, call: ApiCall, calendar: GoogleCalendar, event: CalendarEvent
    ) -> web.Response:
        self._record_invitation(call, event)
        return _event_response(call, calendar, event)

    def _record_invitation(self, call: ApiCall, event: CalendarEvent) -> None:
        """Record the mails that Google would send to the guests."""
        send = call.query.get("sendUpdates") == "all" or call.query.get("sendNotifications")
        if send and event.fields.get("attendees"):
            guests = [a["email"] for a in event.fields["attendees"]]
            self.invitations.append(
                {"event": event.id, "method": call.request.method, "to": guests}
            )


def _event_response(call: ApiCall, calendar: GoogleCalendar, event: CalendarEvent) -> web.Response:
    body = event_body(event.fields, zone_of(calendar, call.query), calendar.zone)
    return web.json_response(body, headers={"ETag": event.fields["etag"]})


def _entry(calendar: GoogleCalendar, user: str) -> dict[str, Any]:
    primary = {"primary": True} if calendar.primary_of == user else {}
    return {
        "kind": "calendar#calendarListEntry",
        "etag": f'"{calendar.revision}"',
        "id": calendar.id,
        "summary": calendar.summary,
        "timeZone": calendar.zone.key,
        "colorId": "14",
        "backgroundColor": "#9fe1e7",
        "foregroundColor": "#000000",
        "selected": True,
        "accessRole": calendar.roles[user],
        "defaultReminders": [],
        **primary,
    }
