"""The demo account, set up through the public API: calendars, Zoom and Google connected."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from aiohttp import ClientError, ClientSession, ClientTimeout
from yarl import URL

OFFICE_HOURS = [
    {
        "daysOfTheWeek": [0, 1, 2, 3, 4, 5, 6],
        "hours": [{"openHour": 8, "openMinute": 0, "closeHour": 20, "closeMinute": 0}],
    }
]
KNOWN_LIMIT = 120.0  # seconds until what was just made has to be known to every service
REQUEST_LIMIT = 30.0  # seconds for one response
PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds before a request is repeated
NOT_YET = frozenset({401, 404, 409, 422, 429, 502, 503, 504})
"""Statuses of a service that is late: it has not heard of a key, a user or a calendar yet, or is busy."""
ONE_TO_ONE, CLASS = "Consultation", "Yoga class"


class SetupFailed(Exception):
    """The API refused a request of the setup; the text contains its response."""


@dataclass(frozen=True)
class DemoData:
    """The demo account: ids and API key as `accounts bootstrap` returns them, and two calendars."""

    account: Mapping[str, Any]
    calendar_id: str
    class_calendar_id: str

    @property
    def facts(self) -> dict[str, Any]:
        """The keys of `stack.json` that describe the demo account."""
        calendars = {"calendar_id": self.calendar_id, "class_calendar_id": self.class_calendar_id}
        return {**self.account, **calendars}


class Api:
    """A client of the public API with one API key."""

    def __init__(self, http: ClientSession, base_url: str, key: str) -> None:
        self.http = http
        self.base_url = base_url
        self._headers = {"Authorization": f"Bearer {key}", "Version": "2021-07-28"}

    async def request(
        self, method: str, path: str, body: object = None, **query: str
    ) -> tuple[dict[str, Any], Mapping[str, str]]:
        """The response's body and headers; repeated while a service may not know what was just made.

        A change that got no clear response is repeated with its `Idempotency-Key`, so it happens
        once. Raises `SetupFailed` for any other status of 300 or more, and after `KNOWN_LIMIT`.
        """
        deadline, key = time.monotonic() + KNOWN_LIMIT, str(uuid4())
        while True:
            status, content, headers = await self._try(method, path, body, query, key)
            if 200 <= status < 300:
                return content, headers
            if status not in NOT_YET or time.monotonic() > deadline:
                raise SetupFailed(f"{method} {path}: {status} {json.dumps(content)}")
            if status < 500:
                key = str(uuid4())  # it was refused, and the refusal may be kept with the key
            await asyncio.sleep(_pause(headers))

    async def _try(
        self, method: str, path: str, body: object, query: Mapping[str, str], key: str
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Status, body and headers; status 503 where there was no response."""
        headers = self._headers if method == "GET" else {**self._headers, "Idempotency-Key": key}
        try:
            async with self.http.request(
                method, self.base_url + path, json=body, params=query, headers=headers
            ) as response:
                return response.status, await response.json(), response.headers
        except (ClientError, TimeoutError, ValueError) as error:
            return 503, {"message": f"no response: {type(error).__name__} {error}"}, {}

    async def connect(self, provider: str, body: Mapping[str, str], *, person: str) -> None:
        """Connect an account at a provider: follow the OAuth consent page, signed in as this person."""
        deadline = time.monotonic() + KNOWN_LIMIT
        while True:
            started, _ = await self.request("POST", f"/integrations/{provider}/connect", body)
            address = URL(started["authorizeUrl"]).update_query(login_hint=person)
            async with self.http.get(address) as page:
                if page.status == 200:
                    return
                if time.monotonic() > deadline:
                    raise SetupFailed(f"connecting {provider}: {page.status} {await page.text()}")
            await asyncio.sleep(LONGEST_PAUSE)


def _pause(headers: Mapping[str, str]) -> float:
    """How long to wait before the next try, as the response says."""
    wanted = headers.get("Retry-After", "")
    return min(float(wanted), LONGEST_PAUSE) if wanted.isdigit() else PAUSE


async def prepare_demo(base_url: str, account: Mapping[str, Any]) -> DemoData:
    """Create the calendars that are missing, and connect Zoom and Google again at every start."""
    async with ClientSession(timeout=ClientTimeout(total=REQUEST_LIMIT)) as http:
        api = Api(http, base_url, account["api_key"])
        for path in ("/calendars/", "/users/"):  # until booking and accounts have heard of the key
            await api.request("GET", path, locationId=account["location_id"])
        await api.request("GET", "/integrations")
        for user in account["user_ids"]:
            await api.connect("zoom", {"userId": user}, person=f"{user}@zoom.example.com")
        calendars, _ = await api.request("GET", "/calendars/", locationId=account["location_id"])
        known = {c["name"]: c["id"] for c in calendars["calendars"]}
        one = known.get(ONE_TO_ONE) or await _create(api, _one_to_one(account))
        other = known.get(CLASS) or await _create(api, _class(account))
        await api.connect("google", {"calendarId": one}, person="host@google.example.com")
    return DemoData(account, one, other)


async def _create(api: Api, body: Mapping[str, Any]) -> str:
    created, _ = await api.request("POST", "/calendars/", body)
    return str(created["calendar"]["id"])


def _one_to_one(account: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "locationId": account["location_id"],
        "name": ONE_TO_ONE,
        "calendarType": "personal",
        "eventTitle": "Consultation with {{contact.name}}",
        "openHours": OFFICE_HOURS,
        "slotDuration": 30,
        "slotInterval": 30,
        "teamMembers": [_teacher(account["user_ids"][0])],
    }


def _class(account: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "locationId": account["location_id"],
        "name": CLASS,
        "calendarType": "class_booking",
        "eventTitle": "Yoga with everybody",
        "openHours": OFFICE_HOURS,
        "slotDuration": 60,
        "slotInterval": 60,
        "appoinmentPerSlot": 10,
        "teamMembers": [_teacher(account["user_ids"][1])],
    }


def _teacher(user_id: str) -> dict[str, Any]:
    return {"userId": user_id, "locationConfigurations": [{"kind": "zoom_conference"}]}
