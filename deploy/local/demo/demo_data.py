"""The demo account, set up through the public API: calendars, Zoom and Google connected."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession, ClientTimeout
from yarl import URL

OFFICE_HOURS = [
    {
        "daysOfTheWeek": [0, 1, 2, 3, 4, 5, 6],
        "hours": [{"openHour": 8, "openMinute": 0, "closeHour": 20, "closeMinute": 0}],
    }
]
KEY_LIMIT = 30.0  # seconds until every service has to accept a new API key
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
        """The response's body and headers; raises `SetupFailed` for a status of 300 or more."""
        async with self.http.request(
            method, self.base_url + path, json=body, params=query, headers=self._headers
        ) as response:
            content = await response.json()
            if response.status >= 300:
                raise SetupFailed(f"{method} {path}: {response.status} {json.dumps(content)}")
            return content, response.headers

    async def connect(self, provider: str, body: Mapping[str, str], *, person: str) -> None:
        """Connect an account at a provider: follow the OAuth consent page, signed in as this person."""
        started, _ = await self.request("POST", f"/integrations/{provider}/connect", body)
        address = URL(started["authorizeUrl"]).update_query(login_hint=person)
        async with self.http.get(address) as page:
            if page.status != 200:
                raise SetupFailed(f"connecting {provider}: {page.status} {await page.text()}")


async def prepare_demo(base_url: str, account: Mapping[str, Any]) -> DemoData:
    """Create the calendars that are missing, and connect Zoom and Google again at every start."""
    async with ClientSession(timeout=ClientTimeout(total=30)) as http:
        api = Api(http, base_url, account["api_key"])
        await _until_key_works(api, account)
        for user in account["user_ids"]:
            await api.connect("zoom", {"userId": user}, person=f"{user}@zoom.example.com")
        calendars, _ = await api.request("GET", "/calendars/", locationId=account["location_id"])
        known = {c["name"]: c["id"] for c in calendars["calendars"]}
        one = known.get(ONE_TO_ONE) or await _create(api, _one_to_one(account))
        other = known.get(CLASS) or await _create(api, _class(account))
        await api.connect("google", {"calendarId": one}, person="host@google.example.com")
    return DemoData(account, one, other)


async def _until_key_works(api: Api, account: Mapping[str, Any]) -> None:
    """Poll until booking and accounts accept the API key, which reaches them over Kafka."""
    deadline = time.monotonic() + KEY_LIMIT
    while True:
        try:
            await api.request("GET", "/calendars/", locationId=account["location_id"])
            await api.request("GET", "/users/", locationId=account["location_id"])
            await api.request("GET", "/integrations")
        except SetupFailed:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return


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
