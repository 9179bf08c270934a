"""Zoom's REST API under `/v2`: the five calls of meetings and `users/me`, for the token's user."""

import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from simulators.clock import SimClock
from simulators.oauth import bearer, page
from simulators.zoom import errors
from simulators.zoom.contract import meeting_problems
from simulators.zoom.knobs import ZoomKnobs
from simulators.zoom.meetings import MeetingStore, ZoomMeeting, ZoomUser, start_url
from simulators.zoom.oauth import ZoomOAuth
from simulators.zoom.rate_limits import RateLimits

SCOPE_OF = {
    "profile": "user:read:user",
    "create": "meeting:write:meeting",
    "get": "meeting:read:meeting",
    "update": "meeting:update:meeting",
    "delete": "meeting:delete:meeting",
    "list": "meeting:read:list_meetings",
}
LIST_TYPES = ("scheduled", "live", "upcoming", "upcoming_meetings", "previous_meetings")
MAX_PAGE = 300


class ZoomApi:
    """The meetings, the rate limits, and the calls of the API."""

    def __init__(self, oauth: ZoomOAuth, clock: SimClock, own_url: Callable[[], str]) -> None:
        self.meetings = MeetingStore()
        self.limits = RateLimits()
        self._oauth = oauth
        self._clock = clock
        self._own_url = own_url

    @property
    def _knobs(self) -> ZoomKnobs:
        return self._oauth.knobs

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v2/users/{user}", self.get_user, allow_head=False),
            web.get("/v2/users/{user}/meetings", self.list_meetings, allow_head=False),
            web.post("/v2/users/{user}/meetings", self.create),
            web.get("/v2/meetings/{id}", self.get, allow_head=False),
            web.patch("/v2/meetings/{id}", self.update),
            web.delete("/v2/meetings/{id}", self.delete),
            web.get("/j/{id}", self.join_page, allow_head=False),
        ]

    async def get_user(self, request: web.Request) -> web.Response:
        return web.json_response(self._authorize(request, "profile").profile())

    async def create(self, request: web.Request) -> web.Response:
        user = self._authorize(request, "create")
        body = await _parse_meeting(request)
        meeting = self.create_for(user, body)
        return web.json_response(self._meeting_body(meeting), status=201)

    def create_for(self, user: ZoomUser, body: dict[str, Any]) -> ZoomMeeting:
        base = self._knobs.join_base_url or f"{self._own_url()}/j"
        return self.meetings.create(user, body, now=self._clock.now(), join_base=base)

    async def get(self, request: web.Request) -> web.Response:
        user = self._authorize(request, "get")
        return web.json_response(self._meeting_body(self._meeting(request, user)))

    async def update(self, request: web.Request) -> web.Response:
        user = self._authorize(request, "update")
        meeting = self._meeting(request, user)
        self.meetings.update(meeting, await _parse_meeting(request))
        return web.Response(status=204)

    async def delete(self, request: web.Request) -> web.Response:
        user = self._authorize(request, "delete")
        self.meetings.delete(self._meeting(request, user))
        return web.Response(status=204)

    async def list_meetings(self, request: web.Request) -> web.Response:
        """A page of the user's meetings; `next_page_token` is empty on the last one."""
        user = self._authorize(request, "list")
        kind, size, after = _parse_page_query(request)
        found = [m for m in self.meetings.of(user) if _is_of_kind(m, kind, self._clock.now())]
        rest = [m for m in found if (m.fields["start_time"], m.id) > after]
        more = len(rest) > size
        return web.json_response(
            {
                "page_size": size,
                "total_records": len(found),
                "next_page_token": _page_token(rest[size - 1]) if more else "",
                "meetings": [m.listed() for m in rest[:size]],
            }
        )

    async def join_page(self, request: web.Request) -> web.Response:
        """The page to which the join link of a simulated meeting leads."""
        meeting = self.meetings.find(request.match_info["id"])
        if meeting is None:
            return page(404, "This meeting link is invalid", "No such meeting exists (3,001).")
        when = f"{meeting.fields['start_time']}, {meeting.fields['duration']} minutes"
        return page(200, str(meeting.fields["topic"]), f"A simulated Zoom meeting: {when}")

    def _authorize(self, request: web.Request, verb: str) -> ZoomUser:
        """The user of the token. Raises Zoom's error for token, scope, user or rate limit."""
        access = self._oauth.tokens.access.get(bearer(request))
        now = self._clock.now()
        if access is None or access.grant.dead is not None:
            raise errors.refusal(401, 124, "Invalid access token.")
        if access.expires_at <= now:
            raise errors.refusal(401, 124, "Access token is expired.")
        if SCOPE_OF[verb] not in access.grant.scopes:
            raise errors.scope_missing(SCOPE_OF[verb])
        user_id = request.match_info.get("user", "me")
        if user_id != "me":  # a user-managed app can read its own user only
            raise errors.user_not_found(user_id)
        user = ZoomUser(access.grant.user)
        self.limits.admit(user, verb, self._knobs, now=now)
        return user

    def _meeting(self, request: web.Request, user: ZoomUser) -> ZoomMeeting:
        meeting = self.meetings.find(request.match_info["id"], user)
        if meeting is None:
            raise errors.meeting_not_found(request.match_info["id"])
        return meeting

    def _meeting_body(self, meeting: ZoomMeeting) -> dict[str, Any]:
        shown = {**meeting.fields, "start_url": start_url(meeting)}
        if self._knobs.without_password:
            del shown["password"]
        return shown


async def _parse_meeting(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise errors.refusal(400, 300, "Request Body should be a valid JSON object.") from error
    if found := list(meeting_problems(body)):
        raise errors.not_valid(found)
    return dict(body)


def _parse_page_query(request: web.Request) -> tuple[str, int, tuple[str, int]]:
    """Kind, page size and the position of the previous page's end. Raises Zoom's 400."""
    kind = request.query.get("type", "scheduled")
    size = request.query.get("page_size", "30")
    if kind not in LIST_TYPES:
        raise errors.refusal(400, 300, "Invalid field: type.")
    if not size.isdecimal() or not 1 <= int(size) <= MAX_PAGE:
        raise errors.refusal(400, 300, f"Invalid field: page_size must be 1 to {MAX_PAGE}.")
    return kind, int(size), _parse_page_token(request.query.get("next_page_token", ""))


def _page_token(meeting: ZoomMeeting) -> str:
    position = [meeting.fields["start_time"], meeting.id]
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _parse_page_token(token: str) -> tuple[str, int]:
    if not token:
        return "", 0
    try:
        start, number = json.loads(base64.urlsafe_b64decode(token))
        return str(start), int(number)
    except (ValueError, TypeError) as error:
        raise errors.refusal(400, 300, "The next page token is invalid or expired.") from error


def _is_of_kind(meeting: ZoomMeeting, kind: str, now: datetime) -> bool:
    """`scheduled` includes past meetings, `upcoming` those not over; no meeting is ever live here."""
    start = datetime.fromisoformat(meeting.fields["start_time"])
    over = start + timedelta(minutes=meeting.fields["duration"]) <= now
    wanted = {"scheduled": True, "live": False, "previous_meetings": over}
    return wanted.get(kind, not over)
