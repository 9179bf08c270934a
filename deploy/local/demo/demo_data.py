"""The demo account as clients of the API would set it up: calendars, Zoom and Google connected."""

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
KNOWN_LIMIT = 30.0  # seconds
ONE_TO_ONE, CLASS = "Consultation", "Yoga class"


class SetupFailed(Exception):
    """The API refused something that it must not refuse; the text holds its answer."""


@dataclass(frozen=True)
class DemoData:
    """What the demonstration and other programs work with."""

    accounts: Mapping[str, Any]
    calendar_id: str
    class_calendar_id: str


class Api:
    """The public API, asked with one key."""

    def __init__(self, http: ClientSession, base_url: str, key: str) -> None:
        self.http = http
        self.base_url = base_url
        self._headers = {"Authorization": f"Bearer {key}", "Version": "2021-07-28"}

    async def ask(
        self, method: str, path: str, body: object = None, **query: str
    ) -> tuple[dict[str, Any], Mapping[str, str]]:
        """The answer's body and headers; `SetupFailed` for anything but success."""
        async with self.http.request(
            method, self.base_url + path, json=body, params=query, headers=self._headers
        ) as response:
            answer = await response.json()
            if response.status >= 300:
                raise SetupFailed(f"{method} {path}: {response.status} {json.dumps(answer)}")
            return answer, response.headers

    async def connect(self, provider: str, body: Mapping[str, str], *, person: str) -> None:
        """Walk through the provider's consent page, signed in there as this person."""
        begun, _ = await self.ask("POST", f"/integrations/{provider}/connect", body)
        address = URL(begun["authorizeUrl"]).update_query(login_hint=person)
        async with self.http.get(address) as page:
            if page.status != 200:
                raise SetupFailed(f"connecting {provider}: {page.status} {await page.text()}")


async def prepare_demo(base_url: str, accounts: Mapping[str, Any]) -> DemoData:
    """Make what is missing. The simulators forget when they stop, so accounts are connected anew."""
    async with ClientSession(timeout=ClientTimeout(total=30)) as http:
        api = Api(http, base_url, accounts["api_key"])
        await _until_known(api, accounts)
        for user in accounts["user_ids"]:
            await api.connect("zoom", {"userId": user}, person=f"{user}@zoom.example.com")
        calendars, _ = await api.ask("GET", "/calendars/", locationId=accounts["location_id"])
        known = {c["name"]: c["id"] for c in calendars["calendars"]}
        one = known.get(ONE_TO_ONE) or await _create(api, _one_to_one(accounts))
        other = known.get(CLASS) or await _create(api, _class(accounts))
        await api.connect("google", {"calendarId": one}, person="host@google.example.com")
    return DemoData(accounts, one, other)


async def _until_known(api: Api, accounts: Mapping[str, Any]) -> None:
    """A key made a moment ago has to reach every service first."""
    deadline = time.monotonic() + KNOWN_LIMIT
    while True:
        try:
            await api.ask("GET", "/calendars/", locationId=accounts["location_id"])
            await api.ask("GET", "/users/", locationId=accounts["location_id"])
            await api.ask("GET", "/integrations")
        except SetupFailed:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return


async def _create(api: Api, body: Mapping[str, Any]) -> str:
    created, _ = await api.ask("POST", "/calendars/", body)
    return str(created["calendar"]["id"])


def _one_to_one(accounts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "locationId": accounts["location_id"],
        "name": ONE_TO_ONE,
        "calendarType": "personal",
        "eventTitle": "Consultation with {{contact.name}}",
        "openHours": OFFICE_HOURS,
        "slotDuration": 30,
        "slotInterval": 30,
        "teamMembers": [_teacher(accounts["user_ids"][0])],
    }


def _class(accounts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "locationId": accounts["location_id"],
        "name": CLASS,
        "calendarType": "class_booking",
        "eventTitle": "Yoga with everybody",
        "openHours": OFFICE_HOURS,
        "slotDuration": 60,
        "slotInterval": 60,
        "appoinmentPerSlot": 10,
        "teamMembers": [_teacher(accounts["user_ids"][1])],
    }


def _teacher(user_id: str) -> dict[str, Any]:
    return {"userId": user_id, "locationConfigurations": [{"kind": "zoom_conference"}]}
