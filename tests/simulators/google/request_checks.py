"""The checks of every request to the Calendar API: token, quota, scope, query and body."""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from simulators.google import errors
from simulators.google.calendars import CalendarStore, GoogleCalendar
from simulators.google.discovery import ApiMethod
from simulators.google.oauth import GoogleOAuth
from simulators.oauth import bearer

MINUTE = timedelta(minutes=1)
COST = {"events.patch": 3}  # quota units; all else costs one
WRITES = ("POST", "PUT", "PATCH", "DELETE")
READS_BY_POST = ("freebusy.query", "channels.stop")


@dataclass
class RequestQuota:
    """Units spent by each user within the sliding minute, and calls since the start."""

    recent: dict[str, deque[tuple[datetime, int]]] = field(
        default_factory=lambda: defaultdict(deque)
    )
    calls: dict[str, dict[str, int]] = field(default_factory=dict)

    def spend(self, user: str, method: ApiMethod, limit: int, *, now: datetime) -> bool:
        """Count the call; False when the units of this minute do not suffice."""
        cost = COST.get(method.id, 1)
        spent = self.recent[user]
        while spent and spent[0][0] <= now - MINUTE:
            spent.popleft()
        if limit and sum(units for _, units in spent) + cost > limit:
            return False
        if limit:
            spent.append((now, cost))
        counts = self.calls.setdefault(user, {})
        counts[method.id] = counts.get(method.id, 0) + 1
        return True


@dataclass(frozen=True)
class ApiCall:
    """A request that passed the checks, with its user and body."""

    request: web.Request
    user: str
    body: Any
    now: datetime
    calendars: CalendarStore

    @property
    def query(self) -> Any:
        return self.request.query

    def path(self, name: str) -> str:
        return self.request.match_info[name]

    def calendar(self, role: str) -> GoogleCalendar:
        """The calendar of the path. Raises Google's error unless the user has at least this role."""
        calendar = self.calendars.find(self.path("calendarId"), self.user)
        if calendar is None:
            raise errors.not_found()
        if not calendar.allows(self.user, role):
            raise errors.access_required(role)
        return calendar


async def checked_call(
    request: web.Request,
    method: ApiMethod,
    *,
    oauth: GoogleOAuth,
    calendars: CalendarStore,
    quota: RequestQuota,
    now: datetime,
) -> ApiCall:
    """The call. Raises Google's 401, 403 (scope, quota) or 400 (query, body)."""
    knobs = oauth.knobs
    access = oauth.tokens.access.get(bearer(request))
    if access is None or access.grant.dead is not None or access.expires_at <= now:
        raise errors.unauthorized()
    user = access.grant.user
    if not method.scopes & set(access.grant.scopes):
        raise errors.scope_missing()
    if not quota.spend(user, method, knobs.user_per_minute, now=now):
        raise errors.rate_limited(knobs.rate_limit_status)
    if knobs.quota_exceeded and method.verb in WRITES and method.id not in READS_BY_POST:
        raise errors.quota_exceeded()
    method.check_query(request.query)
    calendars.ensure_user(user, zone=knobs.time_zone, holidays=knobs.holiday_calendar)
    return ApiCall(request, user, await _body(request, method), now, calendars)


async def _body(request: web.Request, method: ApiMethod) -> Any:
    if method.body is None:
        return None
    try:
        body = await request.json()
    except ValueError as error:
        raise errors.invalid("Parse Error", reason="parseError") from error
    return method.check_body(body)
