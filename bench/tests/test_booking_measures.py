"""Measured bookings: each slot is requested once, every hundredth is taken, and the baselines are right."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.baselines import host_lock
from bench.baselines.pgbench import parse_report
from bench.load.booking_requests import STARTS, SlotRequests, is_refused, refused
from bench.load.host_contention import _bare, _book_at_once
from bench.load.socket_burst import Burst
from bench.measures.hot_host import BOOKED, BUSY, TAKEN, ContentionRun, check_one_winner
from bench.measures.post_appointment import BOOKED as OK
from bench.measures.post_appointment import MISSING, _Case, _to_pgbench
from bench.report.findings import Broken
from bench.systems import booking_service
from bench.systems.booking_service import account_of
from booking.api.schemas.appointments import CreateAppointment
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


def test_a_request_is_valid_for_booking() -> None:
    """The body is valid, and has the location and the contact of the account."""
    body = CreateAppointment.model_validate(
        _body(SlotRequests(account_of(TENANT), CALENDARS).next(1)[0])
    )
    assert (body.location_id, body.contact_id) == (TENANT.location_id, TENANT.contact_ids[0])


def test_each_slot_is_requested_once_and_every_hundredth_is_taken() -> None:
    """Over several bursts, none of which sends all of its requests."""
    slots, free = SlotRequests(account_of(TENANT), CALENDARS), list[str]()
    for count in (250, 99, 100, 7):
        requests = slots.next(300)[:count]
        assert [r in slots.taken for r in requests] == [is_refused(n) for n in range(count)]
        assert sum(map(is_refused, range(count))) == refused(count)
        free += [r for n, r in enumerate(requests) if not is_refused(n)]
        slots.use(count)
    assert len(set(free)) == len(free) == 456 - 2 - 1
    assert not {*free} & {*slots.taken}


def test_more_requests_than_slots_are_broken() -> None:
    """A slot that is requested twice would be refused, and look like an error of the service."""
    with pytest.raises(Broken, match="more times"):
        SlotRequests(account_of(TENANT), CALENDARS).next(3 * STARTS)


def test_the_report_of_pgbench_is_parsed() -> None:
    """A report of another format is an error, not a figure."""
    assert parse_report(REPORT) == (6580, 2.432, 3289.512317)
    with pytest.raises(Broken, match="unknown format"):
        parse_report(REPORT.replace("tps", "transactions"))


def test_without_pgbench_the_row_says_so() -> None:
    """Where PostgreSQL has no pgbench, ours is measured without a ratio."""
    (row,) = _to_pgbench(_Case(1, ours=[Burst({OK: [1.0, 3.0]}, 0.5, {"server": 0.1}, 0.1)]))
    assert MISSING in row.name
    assert (row.ours, row.floor, row.ratio) == (4.0, None, None)


@pytest.mark.parametrize(
    "latencies",
    [
        {BOOKED: [1.0] * 2, TAKEN: [1.0] * 198},
        {TAKEN: [1.0] * 200},
        {BOOKED: [1.0], TAKEN: [1.0] * 198},
        {BOOKED: [1.0], TAKEN: [1.0] * 198, "internal": [1.0]},
    ],
)
def test_exactly_one_of_the_concurrent_bookings_wins(latencies: dict[str, list[float]]) -> None:
    """Two winners, none, a missing response, or an unknown outcome: no figure."""
    with pytest.raises(Broken, match="200 booked the same start"):
        check_one_winner(latencies, BOOKED, {BOOKED, TAKEN, BUSY}, "here")
    check_one_winner(
        {BOOKED: [1.0], TAKEN: [1.0] * 198, BUSY: [1.0]}, BOOKED, {BOOKED, TAKEN, BUSY}, "here"
    )


def test_a_try_is_booked_or_refused() -> None:
    """Calls that were neither booked nor refused do not count as tries."""
    run = ContentionRun(ms=[1.0] * 4, seconds=2.0, booked=1, busy=3, longest=9.0, crowd=1.0)
    assert run.seconds_each == 0.5


async def test_an_overlap_is_found(new_database: Any) -> None:
    """Of one host, in open sessions; the end of one may be the start of the next."""
    database, account, host = await new_database("booking"), new_id(), new_id()
    at = datetime(2032, 3, 1, tzinfo=UTC)

    async def session(host_id: str, first: int, last: int) -> None:
        await database.execute(
            """
            INSERT INTO session (account_id, id, calendar_id, host_id, hosts, starts, ends, shared)
            VALUES ($1, $2, $3, $4, ARRAY[$4::uuid], $5, $6, false)
            """,
            *(account, new_id(), new_id(), host_id),
            at + timedelta(minutes=first),
            at + timedelta(minutes=last),
        )

    for host_id, first, last in ((host, 0, 90), (host, 90, 120), (new_id(), 0, 90)):
        await session(host_id, first, last)
    assert await database.fetchval(booking_service._OVERLAPS) == 0
    await session(host, 30, 45)
    assert await database.fetchval(booking_service._OVERLAPS) == 1


async def test_the_sql_baseline_lets_one_concurrent_booking_win(new_database: Any) -> None:
    """A baseline that books one start twice would do less than ours."""
    database = await new_database()
    await database.execute("DROP TABLE outbox CASCADE")  # the baseline creates its own
    await database.execute(host_lock._TABLES)
    order = {"dsn": database.dsn, "connections": 8, "calendar": new_id()}
    async with _bare(order) as operation:
        result = await _book_at_once(operation, datetime(2032, 3, 1, tzinfo=UTC), 50)
    assert {name: len(ms) for name, ms in result["latencies"].items()} == {BOOKED: 1, TAKEN: 49}
    await host_lock.verify(database.dsn)
