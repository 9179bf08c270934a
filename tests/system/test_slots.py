"""What is offered can be booked, and what is not offered cannot: asked of the running system over HTTP."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

pytestmark = pytest.mark.system

ZONE = ZoneInfo("America/New_York")  # the demo location's
MINUTE = timedelta(minutes=1)
REFUSED = {
    "statusCode": 400,
    "message": "The slot you have selected is no longer available.",
    "error": "Bad Request",
    "code": "slot_unavailable",
}
OFFERED, NOT_OFFERED = 5, 8
"""How many starts of each kind are tried on a calendar."""


def _hours(opens: str, closes: str) -> list[dict[str, Any]]:
    from_hour, from_minute = map(int, opens.split(":"))
    to_hour, to_minute = map(int, closes.split(":"))
    hours = {
        "openHour": from_hour,
        "openMinute": from_minute,
        "closeHour": to_hour,
        "closeMinute": to_minute,
    }
    return [{"daysOfTheWeek": [0, 1, 2, 3, 4, 5, 6], "hours": [hours]}]


@dataclass(frozen=True)
class Case:
    """A kind of calendar: its settings, the day that is asked for, and what is booked before."""

    settings: Mapping[str, Any]
    members: int = 1
    day: datetime = datetime(2027, 3, 2, tzinfo=ZONE)
    booked: tuple[str, ...] = ("10:00",)
    """Local times on that day."""
    bookings: int = 1
    """Of each of them."""
    boundary: timedelta | None = None
    """So far from now the answer turns: within ten minutes of it nothing is tried."""
    days: int = 1
    offered: int = 1
    """At least so many starts, lest the test tries nothing."""

    @property
    def first(self) -> datetime:
        return self.day.astimezone(UTC)

    def at(self, time: str) -> datetime:
        hour, minute = map(int, time.split(":"))
        return self.day.replace(hour=hour, minute=minute).astimezone(UTC)

    def is_steady(self, start: datetime, now: datetime) -> bool:
        return self.boundary is None or abs(start - now - self.boundary) > 10 * MINUTE


OPEN = _hours("09:00", "13:00")
SAME = {"allowSameContact": True}
HALF_HOURS = {"openHours": OPEN, "slotDuration": 30, "slotInterval": 30}
NOW = datetime.now(UTC)  # noqa: TID251 -- the services' clock is the machine's
CASES = {
    "buffers": Case({**HALF_HOURS, "slotInterval": 15, "preBuffer": 10, "slotBuffer": 20}),
    "notice": Case(
        {**HALF_HOURS, "openHours": _hours("00:00", "24:00"), "allowBookingAfter": 72},
        day=(NOW + timedelta(days=2))
        .astimezone(ZONE)
        .replace(hour=0, minute=0, second=0, microsecond=0),
        booked=(),
        boundary=timedelta(hours=72),
        days=3,
    ),
    "horizon": Case(
        {**HALF_HOURS, "openHours": _hours("00:00", "24:00"), "allowBookingFor": 10},
        day=(NOW + timedelta(days=9))
        .astimezone(ZONE)
        .replace(hour=0, minute=0, second=0, microsecond=0),
        booked=(),
        boundary=timedelta(days=10),
        days=3,
    ),
    "class with seats": Case(
        {**HALF_HOURS, "calendarType": "class_booking", "appoinmentPerSlot": 3, **SAME},
        booked=("10:00", "11:00"),
        bookings=2,
    ),
    "class that is full": Case(
        {
            **HALF_HOURS,
            "calendarType": "class_booking",
            "appoinmentPerSlot": 2,
            "slotInterval": 10,
            **SAME,
        },
        bookings=2,
    ),
    "round robin": Case({**HALF_HOURS, "calendarType": "round_robin"}, members=3, bookings=2),
    "round robin, all taken": Case(
        {**HALF_HOURS, "calendarType": "round_robin"}, members=2, bookings=2
    ),
    "collective": Case({**HALF_HOURS, "calendarType": "collective"}, members=3),
    "limit of a day": Case(
        {**HALF_HOURS, "appoinmentPerDay": 2}, booked=("10:00", "11:00"), days=2
    ),
    "odd grid": Case(
        {"openHours": _hours("09:10", "15:25"), "slotDuration": 45, "slotInterval": 20},
        booked=("10:30",),
    ),
    "clocks go forward": Case(
        {**HALF_HOURS, "openHours": _hours("00:00", "06:00")},
        day=datetime(2027, 3, 14, tzinfo=ZONE),
        booked=("03:30",),
    ),
    "clocks go back": Case(
        {**HALF_HOURS, "openHours": _hours("00:00", "06:00")},
        day=datetime(2027, 11, 7, tzinfo=ZONE),
        booked=("03:30",),
    ),
}


@pytest.fixture(params=CASES.items(), ids=lambda item: item[0])
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param[1]
    return found


async def test_what_is_offered_is_what_can_be_booked(
    desk: Any, case: Case, eventually: Any
) -> None:
    """Each offered start that is tried answers 200; each other one, the documented 400."""
    calendar = await _calendar(desk, case)
    token = await _book_some(desk, calendar, case)
    offered = await eventually(lambda: _offered(desk, calendar, case, token))
    assert len(offered) >= case.offered
    await _try_all(desk, calendar, case, offered)


async def test_somebody_elses_event_is_neither_offered_nor_booked(
    desk: Any, eventually: Any
) -> None:
    """An hour in the person's own Google calendar, from a quarter past: both sides know it."""
    case = Case(HALF_HOURS, booked=())
    user = await desk.user(zoom=False)
    calendar = await desk.calendar(user, zoom=False, google=True, **case.settings)
    blocked = (case.at("10:15"), case.at("11:15"))
    said = {
        name: {"dateTime": t.isoformat()} for name, t in zip(("start", "end"), blocked, strict=True)
    }
    person = f"{user}@google.example.com"
    await desk.system.simulator("google", "events", {"user": person, "event": said})

    async def heard() -> set[datetime] | None:
        offered = await _offered(desk, calendar, case, None)
        known = "SELECT 1 FROM external_busy WHERE upper(during) = $1"
        both = [await desk.system.sql(name, known, blocked[1]) for name in ("booking",)]
        return offered if case.at("10:30") not in offered and all(both) else None

    offered = await eventually(heard)
    assert offered == {case.at(t) for t in ("09:00", "09:30", "11:30", "12:00", "12:30")}
    await _try_all(desk, calendar, case, offered)


async def test_one_member_is_asked_for(desk: Any, eventually: Any) -> None:
    """`userId` offers what that member can be booked for by name, though others are free."""
    case = Case({**HALF_HOURS, "calendarType": "round_robin"}, members=2)
    users = [await desk.user(zoom=False) for _ in range(2)]
    team = [{"userId": user} for user in users]
    calendar = await desk.calendar(users[0], zoom=False, teamMembers=team, **case.settings)
    taken = await desk.book(calendar, case.at("10:00"), assignedUserId=users[0])
    assert taken.status == 200, taken.body

    async def offered(user: str) -> set[datetime]:
        return await _offered(desk, calendar, case, _token(taken), userId=user)

    await eventually(lambda: _lacks(offered(users[0]), case.at("10:00")))
    assert case.at("10:00") in await offered(users[1])
    refused = await desk.book(calendar, case.at("10:00"), assignedUserId=users[0])
    assert (refused.status, refused.content | REFUSED) == (400, refused.content)
    booked = await desk.book(calendar, case.at("10:00"), assignedUserId=users[1])
    assert booked.status == 200, booked.body


async def test_looking_busy_hides_and_refuses_nothing(desk: Any) -> None:
    """Half of the starts are not shown; whoever asks for a hidden one all the same gets it."""
    case = Case(HALF_HOURS, booked=())
    shy = {"lookBusyConfig": {"enabled": True, "LookBusyPercentage": 50}}
    user = await desk.user(zoom=False)
    frank = await desk.calendar(user, zoom=False, **case.settings)
    calendar = await desk.calendar(user, zoom=False, **case.settings, **shy)
    everything = await _offered(desk, frank, case, None)
    shown = await _offered(desk, calendar, case, None)
    assert shown < everything
    for start in [*sorted(shown)[:1], *sorted(everything - shown)[:2]]:
        await _can_be_booked(desk, calendar, start)


async def test_what_was_given_back_is_offered_again(desk: Any, day: datetime) -> None:
    """The token of a deletion's answer works like that of a booking's."""
    calendar = await desk.calendar(await desk.user(zoom=False), zoom=False)
    booked = await desk.book(calendar, day)
    gone = await desk.ask("DELETE", f"/calendars/events/{booked.body['id']}", {})
    answer = await _ask(desk, calendar, day, 1, _token(gone))
    assert _token(gone)
    assert answer.headers.get("X-Stale") == "true" or day.astimezone(UTC) in _starts(answer)


async def test_nobody_is_offered_what_he_has_just_taken(desk: Any, day: datetime) -> None:
    """With the token of a booking's answer, free slots are not older than that booking, or say so."""
    calendar = await desk.calendar(await desk.user(zoom=False), zoom=False)
    fresh = 0
    for number in range(30):
        start = day + 5 * number * MINUTE
        booked = await desk.book(calendar, start)
        assert booked.status == 200, booked.body
        answer = await _ask(desk, calendar, day, 1, _token(booked))
        assert _token(answer), "an answer tells what it was made from"
        if answer.headers.get("X-Stale") != "true":
            fresh += 1
            assert start.astimezone(UTC) not in _starts(answer)
    assert fresh, "every answer was stale"


async def _calendar(desk: Any, case: Case) -> str:
    users = [await desk.user(zoom=False) for _ in range(case.members)]
    team = [{"userId": user, "isPrimary": n == 0} for n, user in enumerate(users)]
    created: str = await desk.calendar(
        users[0], zoom=False, **{"teamMembers": team, **case.settings}
    )
    return created


async def _book_some(desk: Any, calendar: str, case: Case) -> str | None:
    """What the case has booked before; gives the last answer's token."""
    token = None
    for time in case.booked:
        for _ in range(case.bookings):
            answer = await desk.book(calendar, case.at(time))
            assert answer.status == 200, answer.body
            token = _token(answer)
    return token


async def _offered(
    desk: Any, calendar: str, case: Case, token: str | None, **query: str
) -> set[datetime]:
    answer = await _ask(desk, calendar, case.first, case.days, token, **query)
    return set() if answer.headers.get("X-Stale") == "true" else _starts(answer)


async def _ask(
    desk: Any, calendar: str, first: datetime, days: int, token: str | None, **query: str
) -> Any:
    start, end = (int(t.timestamp() * 1000) for t in (first, first + timedelta(days=days)))
    answer = await desk.ask(
        "GET",
        f"/calendars/{calendar}/free-slots",
        query={"startDate": str(start), "endDate": str(end), **query},
        headers={"X-Read-Token": token} if token else None,
    )
    assert answer.status == 200, answer.body
    return answer


def _token(answer: Any) -> str | None:
    found: str | None = answer.headers.get("X-Read-Token")
    return found


def _starts(answer: Any) -> set[datetime]:
    texts = [slot for found in answer.content.values() for slot in found["slots"]]
    return {datetime.fromisoformat(text).astimezone(UTC) for text in texts}


async def _lacks(offered: Any, start: datetime) -> bool:
    found = await offered
    return bool(found) and start not in found


async def _try_all(desk: Any, calendar: str, case: Case, offered: set[datetime]) -> None:
    """Some of the offered, then some others: on the grid, off it, on what is taken, in the past."""
    now = datetime.now(UTC)  # noqa: TID251 -- as above
    dice = random.Random(str(case.settings))
    steady = sorted(start for start in offered if case.is_steady(start, now))
    for start in _some(dice, steady, OFFERED):
        await _can_be_booked(desk, calendar, start)
    window = range(0, case.days * 1440, 5)
    others = [case.first + n * MINUTE for n in window]
    others = [t for t in others if t not in offered and case.is_steady(t, now)]
    off_grid = [steady[0] + MINUTE, steady[-1] + 7 * MINUTE]
    taken = [case.at(t) for t in case.booked if case.at(t) not in offered]
    past = [case.first - timedelta(days=3650)]
    for start in [*_some(dice, others, NOT_OFFERED), *off_grid, *taken, *past]:
        answer = await desk.book(calendar, start)
        assert answer.status == 400, (start, answer.body)
        assert answer.content | REFUSED == answer.content, (start, answer.body)


def _some(dice: random.Random, starts: list[datetime], count: int) -> list[datetime]:
    """The first, the last, and some between."""
    between = dice.sample(starts, k=min(count, len(starts)))
    return [*dict.fromkeys([*starts[:1], *between, *starts[-1:]])]


async def _can_be_booked(desk: Any, calendar: str, start: datetime) -> None:
    answer = await desk.book(calendar, start)
    assert answer.status == 200, (start, answer.body)
    gone = await desk.ask("DELETE", f"/calendars/events/{answer.body['id']}", {})
    assert gone.status in (200, 201), gone.body
