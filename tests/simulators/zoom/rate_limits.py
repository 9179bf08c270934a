"""Zoom's rate limits: calls per second and account, writes per day and user."""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiohttp import web

from simulators.base import EarlyResponse
from simulators.zoom.errors import TOO_FAST
from simulators.zoom.knobs import ZoomKnobs
from simulators.zoom.meetings import ZoomUser

CATEGORY = {"create": "Medium", "list": "Medium"}  # all others are Light
DAILY = (
    "You have exceeded the daily rate limit ({}) of Meeting Create/Update API requests permitted"
    " for this particular user."
)


@dataclass
class RateLimits:
    """`calls[user][day][verb]` counts the admitted calls; those refused are counted as verb `refused`."""

    calls: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    recent: dict[tuple[str, str], deque[datetime]] = field(
        default_factory=lambda: defaultdict(deque)
    )

    def admit(self, user: ZoomUser, verb: str, knobs: ZoomKnobs, *, now: datetime) -> None:
        """Count the call. Raises 429 if a limit is exceeded."""
        today = self.calls.setdefault(user.name, {}).setdefault(now.date().isoformat(), {})
        try:
            self._check_second(user, verb, knobs, now)
            _check_day(today, verb, knobs, now)
        except EarlyResponse:
            today["refused"] = today.get("refused", 0) + 1
            raise
        today[verb] = today.get(verb, 0) + 1

    def _check_second(self, user: ZoomUser, verb: str, knobs: ZoomKnobs, now: datetime) -> None:
        category = CATEGORY.get(verb, "Light")
        limit = knobs.medium_per_second if category == "Medium" else knobs.light_per_second
        if not limit:
            return
        recent = self.recent[user.account_id, category]
        while recent and recent[0] <= now - timedelta(seconds=1):
            recent.popleft()
        if len(recent) >= limit:
            headers = _headers(category, "QPS", limit)
            headers["X-RateLimit-Reset"] = str(int(now.timestamp()) + 1)
            raise _too_many(TOO_FAST, headers)
        recent.append(now)


def _check_day(today: dict[str, int], verb: str, knobs: ZoomKnobs, now: datetime) -> None:
    counted = ("create", "update", "delete") if knobs.delete_counts else ("create", "update")
    if verb not in counted or sum(today.get(v, 0) for v in counted) < knobs.daily_limit:
        return
    category = CATEGORY.get(verb, "Light")
    headers = {"X-RateLimit-Category": category, "X-RateLimit-Remaining": "5893"}
    if not knobs.bare_429:
        midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
        headers = _headers(category, "Daily-limit", knobs.daily_limit)
        headers["Retry-After"] = midnight.strftime("%Y-%m-%dT%H:%M:%SZ")
        headers["X-RateLimit-Reset"] = str(int(midnight.timestamp()))
    raise _too_many(DAILY.format(knobs.daily_limit), headers)


def _headers(category: str, kind: str, limit: int) -> dict[str, str]:
    return {
        "X-RateLimit-Category": category,
        "X-RateLimit-Type": kind,
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": "0",
    }


def _too_many(message: str, headers: dict[str, str]) -> EarlyResponse:
    body = {"code": 429, "message": message}
    return EarlyResponse(web.json_response(body, status=429, headers=headers))
