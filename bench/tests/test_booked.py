"""Bookings as they are measured: each time once, every hundredth taken, and floors that are right."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from scorecard import office, taking
from scorecard.asking import Burst
from scorecard.contend import _bare, _crowd
from scorecard.hot import BOOKED, BUSY, TAKEN, Fight, _one_wins
from scorecard.office import STARTS, Slots, is_refused, refused
from scorecard.pgbench import understood
from scorecard.plan import Broken
from scorecard.post import BOOKED as OK
from scorecard.post import MISSING, _Case, _to_pgbench

from booking.api.appointment_bodies import CreateAppointment
from hoop_platform.ids import new_id
from local.testing.tenant import Tenant

TENANT = Tenant()
CALENDARS = TENANT.user_ids
REPORT = """
pgbench (18.6)
transaction type: booking.sql
query mode: prepared
number of transactions actually processed: 6580
number of failed transactions: 0 (0.000%)
latency average = 2.432 ms
initial connection time = 41.193 ms
tps = 3289.512317 (without initial connection time)
"""


def _body(request: str) -> dict[str, object]:
    head, _, body = request.partition("\r\n\r\n")
    assert f"Content-Length: {len(body)}\r\n" in f"{head}\r\n"
    found: dict[str, object] = json.loads(body)
    return found


def test_a_request_is_one_that_booking_understands() -> None:
    """Its body is valid, and names the account's own location and contact."""
    said = CreateAppointment.model_validate(_body(Slots(TENANT, CALENDARS).next(1)[0]))
    assert (said.location_id, said.contact_id) == (TENANT.location_id, TENANT.contact_ids[0])


def test_each_time_is_given_out_once_and_every_hundredth_is_taken() -> None:
    """Over as many bursts as there are, whatever was left of each."""
    slots, free = Slots(TENANT, CALENDARS), list[str]()
    for asked in (250, 99, 100, 7):
        requests = slots.next(300)[:asked]
        assert [r in slots.taken for r in requests] == [is_refused(n) for n in range(asked)]
        assert sum(map(is_refused, range(asked))) == refused(asked)
        free += [r for n, r in enumerate(requests) if not is_refused(n)]
        slots.used(asked)
    assert len(set(free)) == len(free) == 456 - 2 - 1
    assert not {*free} & {*slots.taken}


def test_more_than_there_are_is_broken() -> None:
    """A time given out twice would be refused, and look like an error of the service."""
    with pytest.raises(Broken, match="more times"):
        Slots(TENANT, CALENDARS).next(3 * STARTS)


def test_the_report_of_pgbench_is_understood() -> None:
    """A new release that reports otherwise must not pass for a floor."""
    assert understood(REPORT) == (6580, 2.432, 3289.512317)
    with pytest.raises(Broken, match="nobody understands"):
        understood(REPORT.replace("tps", "transactions"))


def test_without_pgbench_the_figures_say_so() -> None:
    """Some install PostgreSQL without it: ours is measured all the same, to no floor."""
    (row,) = _to_pgbench(_Case(1, ours=[Burst({OK: [1.0, 3.0]}, 0.5, {"server": 0.1}, 0.1)]))
    assert MISSING in row.name
    assert (row.ours, row.floor, row.ratio) == (4.0, None, None)


@pytest.mark.parametrize(
    "answers",
    [
        {BOOKED: [1.0] * 2, TAKEN: [1.0] * 198},
        {TAKEN: [1.0] * 200},
        {BOOKED: [1.0], TAKEN: [1.0] * 198},
        {BOOKED: [1.0], TAKEN: [1.0] * 198, "internal": [1.0]},
    ],
)
def test_exactly_one_of_the_crowd_wins(answers: dict[str, list[float]]) -> None:
    """Two, none, one too few, or an answer that is neither: no figure."""
    with pytest.raises(Broken, match="200 wanted the same time"):
        _one_wins(answers, BOOKED, {BOOKED, TAKEN, BUSY}, "here")
    _one_wins(
        {BOOKED: [1.0], TAKEN: [1.0] * 198, BUSY: [1.0]}, BOOKED, {BOOKED, TAKEN, BUSY}, "here"
    )


def test_a_try_is_a_yes_or_a_no() -> None:
    """What was neither is not counted as work done."""
    fight = Fight(ms=[1.0] * 4, seconds=2.0, booked=1, busy=3, longest=9.0, crowd=1.0)
    assert fight.apart == 0.5


async def test_an_overlap_is_found(new_database: Any) -> None:
    """Of one person, in sessions that are open; the end of one may be the start of the next."""
    database, account, host = await new_database("booking"), new_id(), new_id()
    at = datetime(2032, 3, 1, tzinfo=UTC)

    async def session(whose: str, first: int, last: int) -> None:
        await database.execute(
            """
            INSERT INTO session (account_id, id, calendar_id, host_id, hosts, starts, ends, shared)
            VALUES ($1, $2, $3, $4, ARRAY[$4::uuid], $5, $6, false)
            """,
            *(account, new_id(), new_id(), whose),
            at + timedelta(minutes=first),
            at + timedelta(minutes=last),
        )

    for whose, first, last in ((host, 0, 90), (host, 90, 120), (new_id(), 0, 90)):
        await session(whose, first, last)
    assert await database.fetchval(office._OVERLAPS) == 0
    await session(host, 30, 45)
    assert await database.fetchval(office._OVERLAPS) == 1


async def test_the_floor_lets_one_of_a_crowd_win(new_database: Any) -> None:
    """A bare function that let two in would be no floor for what never does."""
    database = await new_database()
    await database.execute("DROP TABLE outbox")  # the floor has its own
    await database.execute(taking._TABLES)
    order = {"dsn": database.dsn, "connections": 8, "calendar": new_id()}
    async with _bare(order) as deed:
        said = await _crowd(deed, datetime(2032, 3, 1, tzinfo=UTC), 50)
    assert {name: len(ms) for name, ms in said["answers"].items()} == {BOOKED: 1, TAKEN: 49}
    await taking.verify(database.dsn)
