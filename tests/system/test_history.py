"""Eight clients at once on a few hot calendars: what they were told can all have happened."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import pytest
from aiohttp import ClientError

from local.testing.client import Client, Response
from support.history import FOR_EVER, Deed, History, Kind, Outcome, Seen

pytestmark = pytest.mark.system

CLIENTS = 8
SLOTS = 16
SLOT = timedelta(minutes=5)
HOLD_SECONDS = 4
IMPATIENT = 0.02
"""Of a request that is given up: some are answered so fast, some are not."""
APPOINTMENTS = "/calendars/events/appointments"
WEIGHTS = {"book": 8, "hold": 3, "move": 6, "cancel": 3, "confirm": 2, "delete": 2, "read": 8}


def seen_in(body: dict[str, Any], marker: str = "") -> Seen:
    """An appointment or a hold as it is shown."""
    user = body.get("assignedUserId")
    return Seen(
        id=body["id"],
        marker=body.get("title", marker),
        start=datetime.fromisoformat(body["startTime"]),
        end=datetime.fromisoformat(body["endTime"]),
        status=body.get("appointmentStatus", "held"),
        takes=frozenset({*([user] if user else ()), *body.get("assignedResources", ())}),
        version=body.get("version", 1),
    )


@dataclass
class Crowd:
    """What all clients share: where they book, what there is, and what they have done."""

    desk: Any
    calendars: list[str]
    first: datetime
    deeds: list[Deed] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)


@dataclass
class Visitor:
    """One client with a mind of his own, who writes down whatever he does."""

    crowd: Crowd
    ask: Client
    random: Random
    held: list[tuple[str, str, datetime]] = field(default_factory=list)
    """Hold, calendar and start."""

    async def stay(self, until: float) -> None:
        while time.monotonic() < until:
            (kind,) = self.random.choices([*WEIGHTS], [*WEIGHTS.values()])
            await getattr(self, f"_{kind}")()

    async def _book(self) -> None:
        held = self.held.pop() if self.held and self.random.random() < 0.8 else None
        hold, calendar, start = held or ("", self._calendar(), self._start())
        marker = f"{self.crowd.first.isoformat()} {next(self.crowd.numbers)}"
        facts = self.crowd.desk.facts
        body = {
            "calendarId": calendar,
            "locationId": facts["location_id"],
            "contactId": facts["contact_ids"][0],
            "startTime": start.isoformat(),
            "title": marker,
            **({"holdId": hold} if hold else {}),
        }
        seen = await self._done(
            "book",
            lambda: self.ask("POST", APPOINTMENTS, body),
            subject=hold or None,
            marker=marker,
            start=start,
        )
        if seen is not None:
            self.crowd.known.append(seen.id)

    async def _hold(self) -> None:
        calendar, start = self._calendar(), self._start()
        body = {"startTime": start.isoformat(), "ttlSeconds": HOLD_SECONDS}
        path = f"/calendars/{calendar}/holds"
        seen = await self._done(
            "hold", lambda: self.ask("POST", path, body), start=start, lasts=HOLD_SECONDS
        )
        if seen is not None:
            self.held.append((seen.id, calendar, start))

    async def _move(self) -> None:
        start = self._start()
        await self._change("move", {"startTime": start.isoformat()}, start=start)

    async def _cancel(self) -> None:
        await self._change("cancel", {"appointmentStatus": "cancelled"})

    async def _confirm(self) -> None:
        await self._change("confirm", {"appointmentStatus": "confirmed"})

    async def _change(self, kind: Kind, patch: dict[str, str], **said: Any) -> None:
        if one := self._one():
            path = f"{APPOINTMENTS}/{one}"
            await self._done(kind, lambda: self.ask("PUT", path, patch), subject=one, **said)

    async def _delete(self) -> None:
        if one := self._one():
            path = f"/calendars/events/{one}"
            await self._done("delete", lambda: self.ask("DELETE", path, {}), subject=one)

    async def _read(self) -> None:
        if one := self._one():
            path = f"{APPOINTMENTS}/{one}"
            await self._done("read", lambda: self.ask("GET", path), subject=one)

    async def _done(
        self, kind: Kind, deed: Callable[[], Awaitable[Response]], **said: Any
    ) -> Seen | None:
        """Do it, and write down what came of it, and from when to when it may have happened."""
        patience = IMPATIENT if self.random.random() < 0.04 else 20.0
        begun = time.monotonic()
        try:
            async with asyncio.timeout(patience):
                answer = await deed()
        except (TimeoutError, ClientError):
            answer = None
        ended = time.monotonic()
        outcome = _outcome(kind, answer)
        shown = None
        if answer is not None and answer.status < 300 and kind != "delete":
            body = answer.body.get("event") or answer.body.get("hold") or answer.body
            shown = seen_in(body, said.get("marker", ""))
            said["subject"] = shown.id
        when = FOR_EVER if outcome == "unknown" else ended
        self.crowd.deeds.append(Deed(kind, begun, when, outcome, seen=shown, **said))
        return shown

    def _one(self) -> str | None:
        """Mostly one of the newest, which others have in hand, too."""
        return self.random.choice(self.crowd.known[-12:]) if self.crowd.known else None

    def _calendar(self) -> str:
        return self.random.choice(self.crowd.calendars)

    def _start(self) -> datetime:
        return self.crowd.first + self.random.randrange(SLOTS) * SLOT


def _outcome(kind: Kind, answer: Response | None) -> Outcome:
    if answer is None or answer.status >= 500:
        return "unknown"
    if answer.status < 300 or (kind == "read" and answer.status == 404):
        return "done"
    assert answer.status in (400, 404, 409), answer.body
    return "refused"


async def stored(desk: Any, calendar: str, first: datetime) -> list[Seen]:
    """All of a calendar, page by page."""
    query = {
        "locationId": desk.facts["location_id"],
        "calendarId": calendar,
        "startTime": str(int(first.timestamp() * 1000)),
        "endTime": str(int((first + SLOTS * SLOT).timestamp() * 1000)),
        "limit": "50",
    }
    found: list[Seen] = []
    while True:
        answer = await desk.ask("GET", "/calendars/events", query=query)
        assert answer.status == 200, answer.body
        found += [seen_in(event) for event in answer.body["events"]]
        if "nextCursor" not in answer.body:
            return found
        query["cursor"] = answer.body["nextCursor"]


async def settled(crowd: Crowd) -> dict[str, Seen]:
    """What is stored once nothing moves any more: given-up requests may still be at work."""
    before: list[Seen] = []
    while True:
        found = [s for c in crowd.calendars for s in await stored(crowd.desk, c, crowd.first)]
        if found == before:
            return {seen.id: seen for seen in found}
        before = found
        await asyncio.sleep(1)


@pytest.fixture
async def hot_calendars(desk: Any) -> list[str]:
    """Two of one user; and one each of two users, for which there is one room."""
    ann, bob, eve = [await desk.user(zoom=False) for _ in range(3)]
    hers = [await desk.calendar(ann, zoom=False) for _ in range(2)]
    service = {"calendarType": "service_booking", "zoom": False}
    theirs = [await desk.calendar(user, **service) for user in (bob, eve)]
    body = {"locationId": desk.facts["location_id"], "name": "Room", "description": ""}
    body |= {"quantity": 1, "outOfService": 0, "capacity": 2, "calendarIds": theirs}
    created = await desk.ask("POST", "/calendars/resources/rooms", body)
    assert created.status == 201, created.body
    return [*hers, *theirs]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seconds", [10, pytest.param(60, marks=pytest.mark.long)])
async def test_eight_clients_at_once(
    desk: Any,
    day: datetime,
    hot_calendars: list[str],
    seconds: int,
    record_property: Callable[[str, object], None],
) -> None:
    """Nothing lost, nothing double, nothing invented, nothing stale; and it was a crowd indeed."""
    crowd = Crowd(desk, hot_calendars, day + timedelta(hours=9))
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(visit(crowd, number, until))
    history = History(crowd.deeds, await settled(crowd))
    done = Counter(f"{d.kind} {d.outcome}" for d in crowd.deeds)
    record_property("deeds", dict(sorted(done.items())))
    assert history.findings() == []
    assert all(done[f"{kind} done"] > seconds // 5 for kind in WEIGHTS)
    assert done["book refused"] > seconds // 2


async def visit(crowd: Crowd, number: int, until: float) -> None:
    async with crowd.desk.system.client() as ask:
        await Visitor(crowd, ask, Random(number)).stay(until)
