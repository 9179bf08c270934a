"""The demonstration: books, moves and cancels an appointment, and checks every effect of each step."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from aiohttp import ClientError, ClientSession, ClientTimeout

from local.demo.demo_data import REQUEST_LIMIT, Api, SetupFailed
from local.demo.timeline import Line, timeline
from local.stack.trace_collector import CollectedSpan

EFFECT_LIMIT = 120.0  # seconds until every effect of a step must have come true
APPOINTMENTS = "/calendars/events/appointments"
Check = Callable[[], Awaitable[bool]]
Spans = Callable[[str], Sequence[CollectedSpan]]
"""The spans of a trace, by its id."""


class Display(Protocol):
    """Shows the steps of the demonstration."""

    def title(self, text: str, /) -> None:
        """The name of the next step."""

    def timeline(self, lines: Sequence[Line], /) -> None:
        """The timeline of a step."""

    def effect(self, text: str, /, *, came: bool) -> None:
        """One effect of a step, and whether it came true."""


@dataclass(frozen=True)
class Demonstration:
    """The running system as the demonstration sees it: API, simulators, traces, and a display."""

    facts: Mapping[str, Any]
    api: Api
    spans: Spans
    display: Display

    async def slots(self) -> set[str]:
        """Start times of the free slots of the next three days, in UTC."""
        now = datetime.now(UTC)  # noqa: TID251 -- the demonstration is a client
        path = f"/calendars/{self.facts['calendar_id']}/free-slots"
        days, _ = await self.api.request(
            "GET",
            path,
            startDate=str(int(now.timestamp() * 1000)),
            endDate=str(int((now + timedelta(days=3)).timestamp() * 1000)),
            timezone="UTC",
        )
        return {slot for day in days.values() if isinstance(day, dict) for slot in day["slots"]}

    async def get_appointment(self, appointment: str) -> dict[str, Any]:
        """The appointment as the API returns it."""
        content, _ = await self.api.request("GET", f"{APPOINTMENTS}/{appointment}")
        event: dict[str, Any] = content["event"]
        return event

    async def google_events(self, appointment: str) -> list[dict[str, Any]]:
        """The events of this appointment in the simulated Google calendar."""
        state = await self._get(self.facts["simulators"]["google"] + "/_sim/state")
        return [event for event in state["events"] if event["id"].startswith(appointment)]

    async def zoom_meetings(self, appointment: str) -> list[dict[str, Any]]:
        """The meetings of this appointment in the simulated Zoom."""
        state = await self._get(self.facts["simulators"]["zoom"] + "/_sim/state")
        return [meeting for meeting in state["meetings"] if appointment in str(meeting)]

    async def mails(self, appointment: str) -> list[dict[str, Any]]:
        """The mails about this appointment, found by the UID of their calendar attachment."""
        inbox = f"{self.facts['mail']['inbox_url']}/_sim/messages?contains={appointment}"
        found: list[dict[str, Any]] = await self._get(inbox)
        return found

    async def _get(self, address: str) -> Any:
        async with self.api.http.get(address) as response:
            return await response.json()


async def demonstrate(facts: Mapping[str, Any], spans: Spans, display: Display) -> bool:
    """Run the demonstration; returns whether every effect came true."""
    async with ClientSession(timeout=ClientTimeout(total=REQUEST_LIMIT)) as http:
        api = Api(http, facts["base_url"], facts["api_key"])
        return await _run(Demonstration(facts, api, spans, display))


async def _run(demo: Demonstration) -> bool:
    free = sorted(await demo.slots())
    first, second = free[4], free[6]
    good, appointment = await _book(demo, first)
    before = await demo.get_appointment(appointment)
    good &= await _move(demo, appointment, first, second, before["meeting"]["joinUrl"])
    good &= await _cancel(demo, appointment, second)
    return good


async def _book(demo: Demonstration, start: str) -> tuple[bool, str]:
    body = {
        "calendarId": demo.facts["calendar_id"],
        "locationId": demo.facts["location_id"],
        "contactId": demo.facts["contact_ids"][0],
        "startTime": start,
    }
    created, headers = await demo.api.request("POST", APPOINTMENTS, body)
    appointment = str(created["id"])
    good = await _effects(
        demo,
        f"Book {start}",
        headers["X-Trace-Id"],
        {
            "a Zoom link of its own": lambda: _has_link(demo, appointment),
            "an event in Google Calendar": lambda: _counts(demo.google_events(appointment), 1),
            "mail to the contact and to the host": lambda: _counts(demo.mails(appointment), 2),
            "the slot is gone": lambda: _is_offered(demo, start, expected=False),
        },
    )
    return good, appointment


async def _move(demo: Demonstration, appointment: str, old: str, new: str, link: str) -> bool:
    path = f"{APPOINTMENTS}/{appointment}"
    _, headers = await demo.api.request("PUT", path, {"startTime": new})

    async def another_link() -> bool:
        meeting = (await demo.get_appointment(appointment))["meeting"]
        return bool(meeting["state"] == "ready" and meeting["joinUrl"] != link)

    async def moved() -> bool:
        events = await demo.google_events(appointment)
        return [_utc(event["start"]["dateTime"]) for event in events] == [_utc(new)]

    return await _effects(
        demo,
        f"Move it to {new}",
        headers["X-Trace-Id"],
        {
            "a new Zoom link": another_link,
            "the Google event moved": moved,
            "two more mails": lambda: _counts(demo.mails(appointment), 4),
            "the old slot is free again": lambda: _is_offered(demo, old, expected=True),
            "the new one is gone": lambda: _is_offered(demo, new, expected=False),
        },
    )


async def _cancel(demo: Demonstration, appointment: str, start: str) -> bool:
    path = f"{APPOINTMENTS}/{appointment}"
    _, headers = await demo.api.request("PUT", path, {"appointmentStatus": "cancelled"})
    return await _effects(
        demo,
        "Cancel it",
        headers["X-Trace-Id"],
        {
            "the Zoom meeting is gone": lambda: _counts(demo.zoom_meetings(appointment), 0),
            "the Google event is gone": lambda: _counts(demo.google_events(appointment), 0),
            "two cancellations by mail": lambda: _counts(demo.mails(appointment), 6),
            "the slot is free again": lambda: _is_offered(demo, start, expected=True),
        },
    )


async def _has_link(demo: Demonstration, appointment: str) -> bool:
    meeting = (await demo.get_appointment(appointment))["meeting"]
    return bool(meeting["state"] == "ready" and meeting["joinUrl"])


async def _is_offered(demo: Demonstration, start: str, *, expected: bool) -> bool:
    return (start in await demo.slots()) is expected


async def _counts(found: Awaitable[list[dict[str, Any]]], number: int) -> bool:
    return len(await found) == number


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


async def _effects(
    demo: Demonstration, title: str, trace: str, effects: Mapping[str, Check]
) -> bool:
    """Wait for all effects of a step, then show its timeline and which of them came true."""
    demo.display.title(title)
    results = await asyncio.gather(*(_comes_true(check) for check in effects.values()))
    await asyncio.sleep(0.7)  # services send their spans every half second
    demo.display.timeline(timeline(demo.spans(trace)))
    for effect, came in zip(effects, results, strict=True):
        demo.display.effect(effect, came=came)
    return all(results)


async def _comes_true(check: Check) -> bool:
    """Whether the effect comes true within `EFFECT_LIMIT`; a part that is late is asked again."""
    try:
        async with asyncio.timeout(EFFECT_LIMIT):
            while True:
                with contextlib.suppress(SetupFailed, ClientError, TimeoutError):
                    if await check():
                        return True
                await asyncio.sleep(0.1)
    except TimeoutError:
        return False
