"""What every request to the calendar API passes: token, quota, scope, query and body."""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from simulators.google import errors
from simulators.google.calendars import Calendar, Calendars
from simulators.google.discovery import Method
from simulators.google.oauth import GoogleOAuth
from simulators.oauth import bearer

MINUTE = timedelta(minutes=1)
COST = {"events.patch": 3}  # quota units; all else costs one
WRITES = ("POST", "PUT", "PATCH", "DELETE")
READS_BY_POST = ("freebusy.query", "channels.stop")


@dataclass
class Quota:
    """Units spent by each user within the sliding minute, and calls since the start."""

    recent: dict[str, deque[tuple[datetime, int]]] = field(
        default_factory=lambda: defaultdict(deque)
    )
    calls: dict[str, dict[str, int]] = field(default_factory=dict)

    def spend(self, user: str, method: Method, limit: int, *, now: datetime) -> bool:
        """Count the call; false when the minute's units do not suffice for it."""
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
class Call:
    """A request that passed: who calls, on which calendar, with what."""

    request: web.Request
    user: str
    body: Any
    now: datetime
    calendars: Calendars

    @property
    def query(self) -> Any:
        return self.request.query

    def path(self, name: str) -> str:
        return self.request.match_info[name]

    def calendar(self, role: str) -> Calendar:
        """The calendar of the path, if the caller has at least this role there."""
        calendar = self.calendars.find(self.path("calendarId"), self.user)
        if calendar is None:
            raise errors.not_found()
        if not calendar.allows(self.user, role):
            raise errors.needs_access(role)
        return calendar


async def passed(
    request: web.Request,
    method: Method,
    *,
    oauth: GoogleOAuth,
    calendars: Calendars,
    quota: Quota,
    now: datetime,
) -> Call:
    """The call, or Google's refusal: 401, 403 of scope or quota, 400 of query or body."""
    knobs = oauth.knobs
    access = oauth.tokens.access.get(bearer(request))
    if access is None or access.grant.dead is not None or access.expires_at <= now:
        raise errors.unauthorized()
    user = access.grant.user
    if not method.scopes & set(access.grant.scopes):
        raise errors.lacks_scope()
    if not quota.spend(user, method, knobs.user_per_minute, now=now):
        raise errors.rate_limited(knobs.rate_limit_status)
    if knobs.quota_exceeded and method.verb in WRITES and method.id not in READS_BY_POST:
        raise errors.quota_exceeded()
    method.check_query(request.query)
    calendars.welcome(user, zone=knobs.time_zone, holidays=knobs.holiday_calendar)
    return Call(request, user, await _body(request, method), now, calendars)


async def _body(request: web.Request, method: Method) -> Any:
    if method.body is None:
        return None
    try:
        body = await request.json()
    except ValueError as error:
        raise errors.invalid("Parse Error", reason="parseError") from error
    return method.check_body(body)
