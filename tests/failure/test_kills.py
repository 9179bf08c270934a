"""Kill -9, again and again, while more than a hundred bookings are in flight: nothing lost, nothing doubled."""

import asyncio
import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientError

pytestmark = [pytest.mark.failure, pytest.mark.long, pytest.mark.timeout(600)]

ROUNDS = 5
IN_FLIGHT = 120
HOSTS = 4
UID = re.compile(r"UID:([0-9a-v]{26})")
OCCASION = "X-Hoop-Occasion"
Kill = Callable[[Any], Awaitable[None]]


async def _at_a_fail_point(system: Any, service: str, point: str) -> None:
    """Armed before the bookings begin; waits until somebody has died of it."""
    order = system.order(service, point, "kill")
    async with asyncio.timeout(60):
        while order.exists():
            await asyncio.sleep(0.01)


async def booking_between_commit_and_publish(system: Any) -> None:
    await _at_a_fail_point(system, "booking", "relay_claimed")


async def meetings_between_zoom_and_record(system: Any) -> None:
    await _at_a_fail_point(system, "meetings", "meeting_created")


async def the_broker(system: Any) -> None:
    await asyncio.sleep(0.3)
    system.kill("kafka")


async def postgres(system: Any) -> None:
    await asyncio.sleep(0.3)
    system.kill("postgres")


@pytest.mark.parametrize(
    "kill",
    [booking_between_commit_and_publish, meetings_between_zoom_and_record, the_broker, postgres],
)
async def test_after_the_restart_everything_is_there_once(
    desk: Any,
    day: datetime,
    eventually: Any,
    kill: Kill,
    record_property: Callable[[str, object], None],
) -> None:
    """Five kills; then each appointment has one meeting, one Google event, one mail per receiver."""
    calendars = [await desk.calendar(await desk.user(), google=True) for _ in range(HOSTS)]
    promised: set[str] = set()
    await desk.system.forget_mails()
    for number in range(ROUNDS):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(kill(desk.system))
            start = day + timedelta(hours=4 * number)
            booking = tasks.create_task(_book_many(desk, calendars, start))
        promised |= booking.result()
        await eventually(lambda: _healthy(desk), within=90, every=0.3)
    assert promised
    await eventually(lambda: _complete(desk, calendars), within=200, every=1.0)
    rows = await _rows(desk, calendars)
    record_property("asked for", ROUNDS * IN_FLIGHT)
    record_property("answered 200", len(promised))
    record_property("exist", len(rows))
    assert promised <= {row["subject"] for row in rows}, "a booking that was answered 200 is gone"
    await _each_has_one_of_each(desk, [row["subject"] for row in rows])


async def _book_many(desk: Any, calendars: list[str], start: datetime) -> set[str]:
    """Ask for all at once; answers the ids of those that were promised."""
    asked = [
        _try(desk, calendars[n % HOSTS], start + timedelta(minutes=5 * (n // HOSTS)))
        for n in range(IN_FLIGHT)
    ]
    return {found for found in await asyncio.gather(*asked) if found}


async def _try(desk: Any, calendar: str, start: datetime) -> str | None:
    try:
        answer = await desk.book(calendar, start)
    except (ClientError, TimeoutError, OSError):
        return None
    assert answer.status in (200, 400, 401, 404, 500, 503), answer.body
    return str(answer.body["id"]) if answer.status == 200 else None


async def _healthy(desk: Any) -> bool:
    """Everything that died runs again, and the API answers."""
    if not all(_alive(pid) for pid in desk.system.pids()):
        return False
    try:
        answer = await desk.ask(
            "GET", "/calendars/", query={"locationId": desk.facts["location_id"]}
        )
    except (ClientError, TimeoutError, OSError):
        return False
    return bool(answer.status == 200)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def _rows(desk: Any, calendars: list[str]) -> list[Any]:
    """Ids of the appointments of these calendars, as events spell them, and what they show."""
    rows: list[Any] = await desk.system.sql(
        "booking",
        """
        SELECT state ->> 'id' AS subject, state -> 'meeting' ->> 'state' AS meeting
          FROM appointment WHERE state ->> 'calendarId' = ANY ($1::text[]) AND occupies
        """,
        calendars,
    )
    return rows


async def _complete(desk: Any, calendars: list[str]) -> bool:
    """Every link is shown, every event is made, every mail is gone, as the services know it."""
    rows = await _rows(desk, calendars)
    if not rows or any(row["meeting"] != "ready" for row in rows):
        return False
    ids = [row["subject"] for row in rows]
    created = await desk.system.sql(
        "sync-google",
        """
        SELECT count(*) AS n FROM work
         WHERE kind = 'google-event' AND status = 'done' AND left(subject, 26) = ANY ($1)
        """,
        ids,
    )
    sent = await desk.system.sql(
        "notifications",
        """
        SELECT count(DISTINCT subject) AS n FROM external
         WHERE kind = 'mail' AND split_part(subject, '.', 1) = ANY ($1) AND data ->> 'sent' = 'true'
        """,
        ids,
    )
    return bool(created[0]["n"] == len(ids) and sent[0]["n"] == 2 * len(ids))


async def _google(desk: Any, ids: set[str]) -> list[str]:
    state = await desk.system.simulator("google", "state")
    return [event["id"][:26] for event in state["events"] if event["id"][:26] in ids]


async def _mails(desk: Any, ids: set[str]) -> list[tuple[str, str]]:
    """(appointment, Message-ID) of each confirmation of one of these.

    A link that came later than mails wait for it has a mail of its own; that one does not count.
    """
    mails = await desk.system.mails()
    booked = [mail for mail in mails if mail["headers"][OCCASION].startswith("booked:")]
    uids = ((UID.search(mail["ics"] or ""), mail["message_id"]) for mail in booked)
    return [(uid.group(1), message) for uid, message in uids if uid and uid.group(1) in ids]


async def _each_has_one_of_each(desk: Any, ids: list[str]) -> None:
    events = Counter(await _google(desk, set(ids)))
    assert {one: events[one] for one in ids} == dict.fromkeys(ids, 1), "Google events"
    mails = Counter(one for one, _ in set(await _mails(desk, set(ids))))
    assert {one: mails[one] for one in ids} == dict.fromkeys(ids, 2), "mails"
    urls = [(await desk.shown(one))["meeting"]["joinUrl"] for one in ids]
    assert len(set(urls)) == len(ids), "links of their own"
    state = await desk.system.simulator("zoom", "state")
    live = Counter(meeting["join_url"] for meeting in state["meetings"])
    assert all(live[url] == 1 for url in urls), "each link is a meeting"
    users = {meeting["host_id"] for meeting in state["meetings"] if meeting["join_url"] in urls}
    surplus = [m for m in state["meetings"] if m["host_id"] in users and m["join_url"] not in urls]
    assert surplus == [], "no meeting that nobody knows"
