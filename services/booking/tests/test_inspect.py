"""Inspecting all tables: the canonical dump, the check of invariants, the versions in each token."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from booking.__main__ import verify, write_dump
from booking.config import BookingSettings
from booking.handlers.inspect import dump
from hoop_platform.consistency_token import HEADER, decode
from hoop_platform.secrets import new_key

MINUTE = timedelta(minutes=1)


async def test_the_dump_says_what_occupies_and_by_which_rules(office: Any) -> None:
    """One line a fact; a hold is in it until it runs out; the same state is the same bytes."""
    calendar = await office.calendar(calendarType="class_booking", appoinmentPerSlot=5)
    room = await office.resource("rooms", calendar, capacity=5)
    await office.schedule(calendar)
    await office.block(120, 180, calendar_id=calendar)
    await office.book(calendar)
    hold = await office.hold(calendar, lasts=10)

    database = office.runtime.db
    before, after = hold.expires_at - MINUTE, hold.expires_at
    first = await dump(database, at=before)
    assert first == await dump(database, at=before)
    lines = [orjson.loads(line) for line in first.splitlines()]
    kinds = ["block", "calendar", "hold", "occupied", "occupied", "resource", "schedule"]
    assert sorted(line["kind"] for line in lines) == kinds
    seats = {line["resource"]: line["seats"] for line in lines if line["kind"] == "occupied"}
    assert seats == {office.tenant.user_ids[0]: 2, room.id: 2}

    later = [orjson.loads(line) for line in (await dump(database, at=after)).splitlines()]
    assert [line["seats"] for line in later if line["kind"] == "occupied"] == [1, 1]
    assert "hold" not in {line["kind"] for line in later}


@pytest.fixture
def settings(office: Any) -> BookingSettings:
    return BookingSettings(
        database_url=office.runtime.db.dsn, kafka_bootstrap=office.kafka, data_key=new_key()
    )


async def test_the_commands_write_and_judge(office: Any, settings: Any, capfdbinary: Any) -> None:
    """`dump` writes the lines; `verify` exits with 0, and with 1 when a rule is broken."""
    calendar = await office.calendar()
    await office.book(calendar)
    assert await write_dump(settings, ["--canonical", "--at", "2027-02-01T12:00:00Z"]) == 0
    assert capfdbinary.readouterr().out.count(b'"kind":"occupied"') == 1
    assert await verify(settings, []) == 0
    await office.runtime.db.execute("DELETE FROM allocation")
    assert await verify(settings, []) == 1
    assert b"hosts and resources are not taken" in capfdbinary.readouterr().out


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE session SET closed_at = now()", "closed with some"),
        ("UPDATE session SET capacity = 0", "more seats taken"),
        ("UPDATE session SET ends = ends + '1 minute'", "does not end with its last"),
        ("UPDATE session SET starts = starts - '1 minute'::interval", "another time"),
        ("UPDATE equipment_use SET units = 0", "more units in use"),
        ("DELETE FROM session", "not open"),
    ],
)
async def test_the_audit_sees_what_is_broken(office: Any, damage: str, found: str) -> None:
    """Each violated invariant is named."""
    members = [{"userId": user} for user in office.tenant.user_ids]
    calendar = await office.calendar(calendarType="service_booking", teamMembers=members)
    await office.resource("equipments", calendar)
    assert (await office.book(calendar)).status == 200
    assert await office.violations() == []
    await office.runtime.db.execute(damage)
    assert any(found in line for line in await office.violations())


async def test_each_change_answers_with_the_versions_it_raised(office: Any) -> None:
    """The token holds what the events say, so a reader can wait until it has seen them."""
    calendar = await office.calendar()
    host = office.tenant.user_ids[0]
    booked = await office.book(calendar)
    mine = booked.body["id"]
    responses = [
        booked,
        await office.change(mine, startTime="2027-03-01T15:00:00Z"),
        await office.request("DELETE", f"/calendars/events/{mine}"),
    ]
    announced = [body["state"]["versions"] for _, body in await office.announced(mine)]
    assert [decode(response.headers[HEADER]) for response in responses] == announced
    assert [versions[host] for versions in announced] == [3, 4, 5]

    renamed = await office.request("PUT", f"/calendars/{calendar}", {"name": "Other"})
    gone = await office.request("DELETE", f"/calendars/{calendar}")
    announced = [body["state"]["versions"] for _, body in await office.announced(calendar)]
    assert [decode(response.headers[HEADER]) for response in (renamed, gone)] == announced[1:]
