"""Requests that book: each slot of each calendar once, every hundredth one for a slot that is taken."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

import orjson

from bench.load.workload import FIRST
from bench.report.findings import Broken

PATH = "/calendars/events/appointments"
LENGTH = timedelta(minutes=30)
STARTS = 30 * 48
"""Slots of a calendar: half an hour each, for 30 days, day and night."""
TAKEN_EVERY = 100
"""Every hundredth request is for a slot that is taken already."""
ALWAYS_OPEN = [
    {
        "daysOfTheWeek": [0, 1, 2, 3, 4, 5, 6],
        "hours": [{"openHour": 0, "openMinute": 0, "closeHour": 23, "closeMinute": 60}],
    }
]


@dataclass(frozen=True)
class Account:
    """Whose calendars are booked: an API key with a location and a contact."""

    api_key: str
    location_id: str
    contact_id: str


def calendar_body(account: Account, host: str, **settings: object) -> dict[str, object]:
    """Return the body that creates a calendar of one host, open day and night, slots of half an hour."""
    return {
        "locationId": account.location_id,
        "name": "Bench",
        "calendarType": "personal",
        "openHours": ALWAYS_OPEN,
        "slotDuration": 30,
        "slotInterval": 30,
        "teamMembers": [{"userId": host}],
        **settings,
    }


def booking_request(account: Account, calendar: str, start: datetime) -> str:
    """Return the whole HTTP request that books this slot, as text."""
    body = orjson.dumps(
        {
            "calendarId": calendar,
            "locationId": account.location_id,
            "contactId": account.contact_id,
            "startTime": start.isoformat(),
            "toNotify": False,
        }
    ).decode()
    return http_request("POST", PATH, account.api_key, body)


def http_request(
    method: str, path: str, api_key: str, body: str = "", headers: Mapping[str, str] | None = None
) -> str:
    """Return a whole HTTP request of this key, as text."""
    lines = {
        "Host": "127.0.0.1",
        "Version": "v3",
        "Accept": "application/json",
        "Authorization": f"Bearer {api_key}",
        **({"Content-Type": "application/json", "Content-Length": str(len(body))} if body else {}),
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n{body}"


@dataclass
class SlotRequests:
    """Requests for every slot of every calendar, at random; the first of each calendar is booked before."""

    account: Account
    calendars: Sequence[str]
    seed: int = 1
    used_count: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        firsts = [(calendar, self._random.randrange(STARTS)) for calendar in self.calendars]
        gone = set(firsts)
        self._free = [
            one
            for calendar in self.calendars
            for n in range(STARTS)
            if (one := (calendar, n)) not in gone
        ]
        self._random.shuffle(self._free)
        self.taken = [self._request(*one) for one in firsts]

    def _request(self, calendar: str, number: int) -> str:
        return booking_request(self.account, calendar, FIRST + number * LENGTH)

    def next(self, count: int) -> list[str]:
        """Return requests for free slots; every hundredth is for one that is taken.

        Returns the same slots again until `use` says how many of them were requested.
        """
        free = (self._request(*one) for one in islice(self._free, self.used_count, None))
        requests = [
            self._random.choice(self.taken) if is_refused(n) else next(free, "")
            for n in range(count)
        ]
        if "" in requests:
            raise Broken("so many rounds need more times than the calendars have")
        return requests

    def use(self, count: int) -> None:
        """Mark the first `count` requests of the last `next` as sent: their slots are gone."""
        self.used_count += count - refused(count)


def is_refused(number: int) -> bool:
    """Say whether the request of this index in a burst is for a slot that is taken."""
    return number % TAKEN_EVERY == TAKEN_EVERY - 1


def refused(count: int) -> int:
    """Return how many of the first `count` requests of a burst are for a slot that is taken."""
    return count // TAKEN_EVERY
