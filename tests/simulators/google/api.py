"""The calendar API's methods: each takes a call that passed the gate and answers as Google does."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from aiohttp import web

from simulators.clock import SimClock, stamp
from simulators.google import errors
from simulators.google.calendars import RANKS, Calendar, Calendars, Event
from simulators.google.deeds import Deeds
from simulators.google.discovery import method
from simulators.google.free_busy import free_busy
from simulators.google.gate import Call, Quota, passed
from simulators.google.knobs import GoogleKnobs
from simulators.google.listing import Listing, zone_of
from simulators.google.oauth import GoogleOAuth
from simulators.google.push import Pushes
from simulators.google.shape import Fields, shown

Handler = Callable[[Call], Awaitable[web.Response]]


class GoogleApi:
    def __init__(self, oauth: GoogleOAuth, clock: SimClock, own_url: Callable[[], str]) -> None:
        self.calendars = Calendars()
        self.quota = Quota()
        self.pushes = Pushes()
        self.invitations: list[Fields] = []  # mails that `sendUpdates` would have caused
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

    def deeds(self, calendar: Calendar, user: str) -> Deeds:
        return Deeds(calendar, user, self._clock.now(), self._knobs.revive, self.changed)

    def changed(self, calendar: Calendar) -> None:
        times = {"none": 0, "normal": 1, "twice": 2}[self._knobs.push]
        self.pushes.changed(calendar, times=times, now=self._clock.now())

    async def calendar_list(self, call: Call) -> web.Response:
        least = RANKS.index(call.query.get("minAccessRole", "freeBusyReader"))
        entries = [
            _entry(calendar, call.user)
            for calendar in call.calendars.of(call.user)
            if RANKS.index(calendar.roles[call.user]) >= least
        ]
        return web.json_response(
            {"kind": "calendar#calendarList", "etag": '"1"', "nextSyncToken": "1", "items": entries}
        )

    async def calendar_list_entry(self, call: Call) -> web.Response:
        return web.json_response(_entry(call.calendar("freeBusyReader"), call.user))

    async def calendar(self, call: Call) -> web.Response:
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

    async def insert(self, call: Call) -> web.Response:
        calendar = call.calendar("writer")
        return self._written(call, calendar, self.deeds(calendar, call.user).insert(call.body))

    async def get(self, call: Call) -> web.Response:
        calendar = call.calendar("reader")
        event = self.deeds(calendar, call.user).find(call.path("eventId"))
        if call.request.headers.get("If-None-Match") == event.fields["etag"]:
            return web.Response(status=304, headers={"ETag": event.fields["etag"]})
        return _shown(call, calendar, event)

    async def patch(self, call: Call) -> web.Response:
        calendar, event = self._unchanged(call)
        written = self.deeds(calendar, call.user).patch(event, call.body)
        return self._written(call, calendar, written)

    async def update(self, call: Call) -> web.Response:
        calendar, event = self._unchanged(call)
        written = self.deeds(calendar, call.user).update(event, call.body)
        return self._written(call, calendar, written)

    async def delete(self, call: Call) -> web.Response:
        calendar, event = self._unchanged(call)
        self.deeds(calendar, call.user).delete(event)
        self._invite(call, event)
        return web.Response(status=204)

    async def list_events(self, call: Call) -> web.Response:
        calendar = call.calendar("reader")
        knobs = self._knobs
        listing = Listing(
            calendar, call.query, call.now, knobs.page_size, knobs.sync_token_max_changes
        )
        return web.json_response(
            {
                "kind": "calendar#events",
                "etag": f'"p{calendar.revision}"',
                "summary": calendar.summary,
                "updated": stamp(call.now),
                "timeZone": zone_of(calendar, call.query).key,
                "accessRole": calendar.roles[call.user],
                "defaultReminders": [],
                **listing.answer(),
            }
        )

    async def watch(self, call: Call) -> web.Response:
        calendar = call.calendar("reader")
        uri = f"{self._own_url()}/calendar/v3/calendars/{calendar.id}/events?alt=json"
        channel = self.pushes.open(call.body, calendar, call.user, uri=uri, now=call.now)
        return web.json_response(channel.shown())

    async def stop(self, call: Call) -> web.Response:
        self.pushes.stop(call.body.get("id", ""), call.body.get("resourceId", ""), call.user)
        return web.Response(status=204)

    async def free_busy(self, call: Call) -> web.Response:
        longest = timedelta(days=self._knobs.free_busy_max_days)
        return web.json_response(free_busy(call, longest=longest))

    def _route(self, name: str, handler: Handler) -> web.RouteDef:
        documented = method(name)

        async def answer(request: web.Request) -> web.Response:
            call = await passed(
                request,
                documented,
                oauth=self._oauth,
                calendars=self.calendars,
                quota=self.quota,
                now=self._clock.now(),
            )
            return await handler(call)

        return web.route(documented.verb, documented.path, answer)

    def _unchanged(self, call: Call) -> tuple[Calendar, Event]:
        """The event to be written, if `If-Match` does not forbid it."""
        calendar = call.calendar("writer")
        event = self.deeds(calendar, call.user).find(call.path("eventId"))
        if call.request.headers.get("If-Match", "*") not in ("*", event.fields["etag"]):
            raise errors.stale()
        return calendar, event

    def _written(self, call: Call, calendar: Calendar, event: Event) -> web.Response:
        self._invite(call, event)
        return _shown(call, calendar, event)

    def _invite(self, call: Call, event: Event) -> None:
        """Note the mails that Google would send to the guests."""
        send = call.query.get("sendUpdates") == "all" or call.query.get("sendNotifications")
        if send and event.fields.get("attendees"):
            guests = [a["email"] for a in event.fields["attendees"]]
            self.invitations.append(
                {"event": event.id, "method": call.request.method, "to": guests}
            )


def _shown(call: Call, calendar: Calendar, event: Event) -> web.Response:
    body = shown(event.fields, zone_of(calendar, call.query), calendar.zone)
    return web.json_response(body, headers={"ETag": event.fields["etag"]})


def _entry(calendar: Calendar, user: str) -> dict[str, Any]:
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
