"""What an operator can ask for: the model as text, whether it is booking's, where it is."""

from datetime import UTC, datetime

import pytest

from availability import handlers
from availability.__main__ import service
from hoop_events.booking import AppointmentCreated
from hoop_events.calendars import CalendarChanged
from hoop_platform.db.migrate import migrations
from hoop_platform.ids import new_id
from hoop_platform.kafka.topics import ensure_topics
from hoop_scheduling.zones import epoch_ms

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)


@pytest.fixture
async def settings(read_model, kafka_bootstrap, calendar, appointment):
    """Of a service whose model has one calendar with one appointment."""
    await ensure_topics(kafka_bootstrap)
    account_id, host = new_id(), new_id()
    offer = calendar(new_id(), [host])
    seat = appointment(new_id(), offer.id, host, session=new_id(), start=MONDAY)
    async with read_model.transaction() as db:
        await handlers.calendar_changed(db, CalendarChanged(account_id=account_id, state=offer))
        await handlers.appointment_told(db, AppointmentCreated(account_id=account_id, state=seat))
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


async def test_status_says_where_it_is(settings, capfdbinary):
    """A line for each partition with its lag, and one for each table."""
    assert await service.commands["status"](settings, []) == 0
    said = capfdbinary.readouterr().out.decode()
    assert "appointments/0" in said
    assert "lag" in said
    assert "occupied" in said


async def test_a_database_of_the_first_version_keeps_what_it_knew(new_database):
    """What stood in `taken` and `external_busy` stands in `occupied` after the migration."""
    database = await new_database()
    texts = dict(migrations("availability"))
    await database.pool.execute(texts["availability/0001_availability.sql"])
    ids = [new_id() for _ in range(6)]
    await database.execute(
        """
        INSERT INTO taken VALUES ($1, $2, $3, $4, $5, tstzrange('2027-03-01 14:00Z',
               '2027-03-01 15:00Z'), 5, 10, '2027-03-01')
        """,
        *ids[:5],
    )
    await database.execute(
        """
        INSERT INTO external_busy VALUES ($1, $2, '2027-W09', $3, tstzrange('2027-03-02 14:00Z',
               '2027-03-02 15:00Z'))
        """,
        ids[0],
        ids[5],
        ids[2],
    )
    await database.pool.execute(texts["availability/0002_occupied.sql"])

    rows = await database.fetch("SELECT * FROM occupied ORDER BY starts")
    first, second = rows
    start = epoch_ms(MONDAY)
    assert (first["starts"], first["ends"], first["block"]) == (start, start + 3_600_000, 652)
    assert (first["kind"], first["subject"], first["session_id"]) == (b"a", ids[1], ids[4])
    assert (first["buffer_before"], first["buffer_after"], first["local_day"]) == (5, 10, 20878)
    assert (second["kind"], second["subject"], second["part"]) == (b"x", ids[5], 202709)
