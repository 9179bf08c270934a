"""The demonstration: one appointment is booked, moved and cancelled, and everybody's part is shown."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import ClientSession, ClientTimeout

from local.cli.console import Terminal
from local.demo.demo_data import Api
from local.demo.timeline import timeline
from local.stack.trace_collector import TraceCollector

PATIENCE = 45.0  # seconds until every effect of a step must be there
Check = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class Stage:
    """What the demonstration plays on."""

    facts: Mapping[str, Any]
    api: Api
    spans: TraceCollector
    teller: Terminal

    async def slots(self) -> set[str]:
        """Free starts of the next three days, in UTC."""
        now = datetime.now(UTC)  # noqa: TID251 -- the demonstration is a client
        path = f"/calendars/{self.facts['calendar_id']}/free-slots"
        answer, _ = await self.api.ask(
            "GET",
            path,
            startDate=str(int(now.timestamp() * 1000)),
            endDate=str(int((now + timedelta(days=3)).timestamp() * 1000)),
            timezone="UTC",
        )
        return {slot for day in answer.values() if isinstance(day, dict) for slot in day["slots"]}

    async def shown(self, appointment: str) -> dict[str, Any]:
        """The appointment as the API shows it."""
        answer, _ = await self.api.ask("GET", f"/calendars/events/appointments/{appointment}")
        event: dict[str, Any] = answer["event"]
        return event

    async def google(self, appointment: str) -> list[dict[str, Any]]:
        """Its live events in the Google calendar."""
        state = await self._get(self.facts["simulators"]["google"] + "/_sim/state")
        return [event for event in state["events"] if event["id"].startswith(appointment)]

    async def mails(self, appointment: str) -> list[dict[str, Any]]:
        """The mails about it, by the UID of their calendar attachment."""
        messages = await self._get(self.facts["mail"]["inbox_url"] + "/_sim/messages")
        return [message for message in messages if appointment in message["raw"]]

    async def _get(self, address: str) -> Any:
        async with self.api.http.get(address) as response:
            return await response.json()


async def demonstrate(facts: Mapping[str, Any], spans: TraceCollector, teller: Terminal) -> bool:
    """Play it and show it; says whether everything came out as it should."""
    async with ClientSession(timeout=ClientTimeout(total=30)) as http:
        stage = Stage(facts, Api(http, facts["base_url"], facts["api_key"]), spans, teller)
        return await _play(stage)


async def _play(stage: Stage) -> bool:
    free = sorted(await stage.slots())
    first, second = free[4], free[6]
    good, appointment = await _book(stage, first)
    before = await stage.shown(appointment)
    good &= await _move(stage, appointment, first, second, before["meeting"]["joinUrl"])
    good &= await _cancel(stage, appointment, second)
    return good


async def _book(stage: Stage, start: str) -> tuple[bool, str]:
    facts = stage.facts
    body = {
        "calendarId": facts["calendar_id"],
        "locationId": facts["location_id"],
        "contactId": facts["contact_ids"][0],
        "startTime": start,
    }
    answer, headers = await stage.api.ask("POST", "/calendars/events/appointments", body)
    mine = str(answer["id"])
    good = await _effects(
        stage,
        f"Book {start}",
        headers["X-Trace-Id"],
        {
            "a Zoom link of its own": lambda: _has_link(stage, mine),
            "an event in Google Calendar": lambda: _counts(stage.google(mine), 1),
            "mail to the contact and to the host": lambda: _counts(stage.mails(mine), 2),
            "the slot is gone": lambda: _offered(stage, start, wanted=False),
        },
    )
    return good, mine


async def _move(stage: Stage, mine: str, old: str, new: str, link: str) -> bool:
    path = f"/calendars/events/appointments/{mine}"
    _, headers = await stage.api.ask("PUT", path, {"startTime": new})

    async def another_link() -> bool:
        meeting = (await stage.shown(mine))["meeting"]
        return bool(meeting["state"] == "ready" and meeting["joinUrl"] != link)

    async def moved() -> bool:
        events = await stage.google(mine)
        return [_utc(event["start"]["dateTime"]) for event in events] == [_utc(new)]

    return await _effects(
        stage,
        f"Move it to {new}",
        headers["X-Trace-Id"],
        {
            "a new Zoom link": another_link,
            "the Google event moved": moved,
            "two more mails": lambda: _counts(stage.mails(mine), 4),
            "the old slot is free again": lambda: _offered(stage, old, wanted=True),
            "the new one is gone": lambda: _offered(stage, new, wanted=False),
        },
    )


async def _cancel(stage: Stage, mine: str, start: str) -> bool:
    path = f"/calendars/events/appointments/{mine}"
    _, headers = await stage.api.ask("PUT", path, {"appointmentStatus": "cancelled"})

    async def no_meeting() -> bool:
        state = await stage._get(stage.facts["simulators"]["zoom"] + "/_sim/state")  # noqa: SLF001 -- same module
        return not any(mine in str(meeting) for meeting in state["meetings"])

    return await _effects(
        stage,
        "Cancel it",
        headers["X-Trace-Id"],
        {
            "the Zoom meeting is gone": no_meeting,
            "the Google event is gone": lambda: _counts(stage.google(mine), 0),
            "two cancellations by mail": lambda: _counts(stage.mails(mine), 6),
            "the slot is free again": lambda: _offered(stage, start, wanted=True),
        },
    )


async def _has_link(stage: Stage, mine: str) -> bool:
    meeting = (await stage.shown(mine))["meeting"]
    return bool(meeting["state"] == "ready" and meeting["joinUrl"])


async def _offered(stage: Stage, start: str, *, wanted: bool) -> bool:
    return (start in await stage.slots()) is wanted


async def _counts(found: Awaitable[list[dict[str, Any]]], number: int) -> bool:
    return len(await found) == number


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


async def _effects(stage: Stage, title: str, trace: str, effects: Mapping[str, Check]) -> bool:
    """Wait for every effect, then show who did what and when."""
    stage.teller.title(title)
    deadline = time.monotonic() + PATIENCE
    results = await asyncio.gather(*(_await(check, deadline) for check in effects.values()))
    await asyncio.sleep(0.7)  # spans travel in batches of half a second
    stage.teller.timeline(timeline(stage.spans.of(trace)))
    for (effect, _), came in zip(effects.items(), results, strict=True):
        stage.teller.effect(effect, came=came)
    return all(results)


async def _await(check: Check, deadline: float) -> bool:
    while not await check():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.1)
    return True
