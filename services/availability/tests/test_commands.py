"""The commands of an operator: dump, verify and status."""

from datetime import UTC, datetime

import pytest

from availability import handlers
from availability.__main__ import service
from hoop_events.booking import AppointmentCreated
from hoop_events.calendars import CalendarChanged
from hoop_platform.ids import new_id
from hoop_platform.kafka.topics import ensure_topics

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)


@pytest.fixture
async def settings(read_model, kafka_bootstrap, calendar, appointment):
    """Settings of a service whose read model has one calendar with one appointment."""
    await ensure_topics(kafka_bootstrap)
    account_id, host = new_id(), new_id()
    offered = calendar(new_id(), [host])
    booked = appointment(new_id(), offered.id, host, session=new_id(), start=MONDAY)
    async with read_model.transaction() as db:
        await handlers.on_calendar_changed(
            db, CalendarChanged(account_id=account_id, state=offered), MONDAY
        )
        await handlers.on_appointment_changed(
            db, AppointmentCreated(account_id=account_id, state=booked), MONDAY
        )
    return service.settings(database_url=read_model.dsn, kafka_bootstrap=kafka_bootstrap)


async def test_a_dump_is_equal_to_itself_and_to_nothing_else(settings, capfdbinary, tmp_path):
    """Status 0 for the same text; 1 and the line that differs for another."""
    assert await service.commands["dump"](settings, ["--canonical", "--at", "0"]) == 0
    text = capfdbinary.readouterr().out
    assert [line[:12] for line in text.splitlines()].count(b'{"account":"') == 2
    same, other = tmp_path / "same", tmp_path / "other"
    same.write_bytes(text)
    other.write_bytes(text + b'{"kind":"block"}\n')

    assert await service.commands["verify"](settings, ["--against", str(same)]) == 0
    assert b"equal: 2 facts" in capfdbinary.readouterr().out
    assert await service.commands["verify"](settings, ["--against", str(other)]) == 1
    assert b'+ only there: {"kind":"block"}' in capfdbinary.readouterr().out


async def test_status_lists_partitions_and_tables(settings, capfdbinary):
    """A line for each partition with its lag, and one for each table."""
    assert await service.commands["status"](settings, []) == 0
    printed = capfdbinary.readouterr().out.decode()
    assert "appointments/0" in printed
    assert "lag" in printed
    assert "occupied" in printed
