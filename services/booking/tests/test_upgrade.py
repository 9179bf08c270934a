"""A database of the version before has people in it; the migration leaves them where they sit."""

from importlib.resources import files
from typing import Any

from booking.handlers.inspect import audit
from hoop_platform.ids import new_id


async def migrated(database: Any, name: str) -> None:
    folder = files("booking") / "migrations"
    text = next(f.read_text() for f in folder.iterdir() if f.name.startswith(name))
    await database.execute(text)


async def test_sessions_of_before_are_as_large_as_they_are_full(new_database: Any) -> None:
    """Three sit in one session: nothing is wrong afterwards, and one seat more is."""
    database = await new_database()
    await migrated(database, "0001")
    account, calendar, host, session = (new_id() for _ in range(4))
    await database.execute(
        """
        INSERT INTO session (account_id, id, calendar_id, host_id, hosts, starts, ends, shared)
        VALUES ($1, $2, $3, $4, ARRAY[$4::uuid], '2027-03-01 09:00Z', '2027-03-01 10:00Z', true)
        """,
        account,
        session,
        calendar,
        host,
    )
    await database.execute(
        """
        INSERT INTO allocation
        VALUES ($1, $2, $3, tstzrange('2027-03-01 09:00Z', '2027-03-01 10:00Z'), 0, 0)
        """,
        account,
        session,
        host,
    )
    for seat in (1, 2, 3):
        await sit(database, account, session, calendar, seat)

    await migrated(database, "0002")
    assert await audit(database) == []
    await sit(database, account, session, calendar, 4)
    assert len(await audit(database)) == 1


async def sit(database: Any, account: str, session: str, calendar: str, seat: int) -> None:
    await database.execute(
        """
        INSERT INTO appointment (account_id, id, calendar_id, location_id, contact_id, session_id,
                                 seat, starts, ends, local_day, occupies, version, sequence, state)
        VALUES ($1, $2, $3, $2, $2, $4, $5, '2027-03-01 09:00Z', '2027-03-01 10:00Z', '2027-03-01',
                true, 1, 1, '{}')
        """,
        account,
        new_id(),
        calendar,
        session,
        seat,
    )


async def test_calendars_that_shared_a_slug_go_on_showing_it(new_database: Any) -> None:
    """The older one has it, whatever its capitals; a deleted one does not stand in its way."""
    database = await new_database()
    for name in ("0001", "0002", "0003"):
        await migrated(database, name)
    account, location = new_id(), new_id()
    gone, older, younger = sorted(new_id() for _ in range(3))
    for calendar, slug in ((gone, "desk"), (older, "Desk"), (younger, "desk")):
        await database.execute(
            """
            INSERT INTO calendar (account_id, id, location_id, time_zone, hosts, settings)
            VALUES ($1, $2, $3, 'UTC', ARRAY[$2::uuid], jsonb_build_object('slug', $4::text))
            """,
            account,
            calendar,
            location,
            slug,
        )
    await database.execute("UPDATE calendar SET deleted_at = now() WHERE id = $1", gone)

    await migrated(database, "0004")
    rows = await database.fetch(
        "SELECT id, slug FROM calendar WHERE deleted_at IS NULL ORDER BY id"
    )
    assert [tuple(row) for row in rows] == [(older, "desk"), (younger, None)]
