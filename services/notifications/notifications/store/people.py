"""Whom and where: projections of contacts, users, calendars and locations, as far as a mail needs them."""

from collections.abc import Sequence
from typing import Literal

from hoop_events.booking import Appointment
from hoop_platform.db.database import Database, Tx
from hoop_platform.ids import new_id
from notifications.domain import Receiver, Role, Scene

PERSONS: dict[Role, Literal["contact", "staff", "addressee"]] = {
    "contact": "contact",
    "user": "staff",
    "colleague": "staff",
    "addressee": "addressee",
}
"""In which table the receivers of a role stand."""

Place = Literal["calendar", "location"]


async def keep_calendar(
    db: Tx, account_id: str, calendar_id: str, *, name: str, location_id: str
) -> None:
    await db.execute(
        """
        INSERT INTO calendar (account_id, id, name, location_id) VALUES ($1, $2, $3, $4)
        ON CONFLICT (account_id, id) DO UPDATE
           SET name = excluded.name, location_id = excluded.location_id, deleted = false
        """,
        account_id,
        calendar_id,
        name,
        location_id,
    )


async def end_calendar(db: Tx, account_id: str, calendar_id: str) -> None:
    """It is deleted; its name is still needed for cancellations."""
    await db.execute(
        "UPDATE calendar SET deleted = true WHERE account_id = $1 AND id = $2",
        account_id,
        calendar_id,
    )


async def location_of(db: Tx | Database, account_id: str, calendar_id: str) -> str | None:
    """The location of a calendar that is there; else None."""
    location: str | None = await db.fetchval(
        "SELECT location_id FROM calendar WHERE account_id = $1 AND id = $2 AND NOT deleted",
        account_id,
        calendar_id,
    )
    return location


async def unknown_users(db: Tx | Database, account_id: str, ids: Sequence[str]) -> Sequence[str]:
    """Those of the ids that are no users of the account (any more)."""
    rows = await db.fetch(
        """
        SELECT id FROM unnest($2::uuid[]) AS id
         WHERE NOT EXISTS (SELECT FROM staff s
                            WHERE s.account_id = $1 AND s.id = id.id AND NOT s.gone)
        """,
        account_id,
        ids,
    )
    return [row["id"] for row in rows]


async def addressees(db: Tx, account_id: str, emails: Sequence[str]) -> Sequence[str]:
    """The ids of these addresses, which get one when they are met first."""
    found = []
    for email in sorted(set(emails)):
        id_: str = await db.fetchval(
            """
            INSERT INTO addressee (account_id, id, email) VALUES ($1, $2, $3)
            ON CONFLICT (account_id, email) DO UPDATE SET email = excluded.email
            RETURNING id
            """,
            account_id,
            new_id(),
            email,
        )
        found.append(id_)
    return found


async def keep_location(
    db: Tx, account_id: str, location_id: str, *, name: str, time_zone: str
) -> None:
    await db.execute(
        """
        INSERT INTO location (account_id, id, name, time_zone) VALUES ($1, $2, $3, $4)
        ON CONFLICT (account_id, id) DO UPDATE
           SET name = excluded.name, time_zone = excluded.time_zone
        """,
        account_id,
        location_id,
        name,
        time_zone,
    )


_FORGET_PLACE: dict[Place, str] = {
    "calendar": "DELETE FROM calendar WHERE id = $1",
    "location": "DELETE FROM location WHERE id = $1",
}


async def forget_place(db: Tx, table: Place, place_id: str) -> None:
    """Forget a calendar or a location; a tombstone names no account."""
    await db.execute(_FORGET_PLACE[table], place_id)


_KEEP_PERSON = {
    role: f"""
        INSERT INTO {table} (account_id, id, name, email, time_zone, gone)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (account_id, id) DO UPDATE
           SET name = excluded.name, email = excluded.email, time_zone = excluded.time_zone,
               gone = excluded.gone
    """  # noqa: S608 -- the table's name is one of two constants
    for role, table in PERSONS.items()
}


async def keep_person(db: Tx, account_id: str, role: Role, person: Receiver) -> None:
    """Remember somebody, or that they are gone."""
    await db.execute(
        _KEEP_PERSON[role],
        account_id,
        person.id,
        person.name,
        person.email,
        person.time_zone,
        person.gone,
    )


async def erase_receiver(db: Tx, account_id: str, receiver_id: str) -> None:
    """Forget addresses and letters; what has not gone will not go."""
    await db.execute(
        """
        UPDATE message
           SET address = NULL, letter = NULL, updated_at = clock_timestamp(),
               status = CASE status WHEN 'waiting' THEN 'dropped' WHEN 'sending' THEN 'doubtful'
                                    ELSE status END
         WHERE account_id = $1 AND receiver_id = $2
           AND (address IS NOT NULL OR letter IS NOT NULL)
        """,
        account_id,
        receiver_id,
    )


_PERSON = {
    role: f"SELECT * FROM {table} WHERE account_id = $1 AND id = $2"  # noqa: S608 -- as above
    for role, table in PERSONS.items()
}


_ACCOUNTS = {
    role: f"SELECT account_id FROM {table} WHERE id = $1"  # noqa: S608 -- as above
    for role, table in PERSONS.items()
}


async def accounts_of(db: Tx, role: Role, person_id: str) -> list[str]:
    """Where a person is known; a tombstone names no account."""
    return [row["account_id"] for row in await db.fetch(_ACCOUNTS[role], person_id)]


async def person(db: Tx, account_id: str, role: Role, id: str | None) -> Receiver | None:  # noqa: A002 -- it is one
    """Somebody, if we have heard of them."""
    row = await db.fetchrow(_PERSON[role], account_id, id)
    if row is None:
        return None
    return Receiver(row["id"], row["name"], row["email"], row["time_zone"], row["gone"])


async def scene(db: Tx, account_id: str, state: Appointment, *, contact: str, host: str) -> Scene:
    """What is known of the calendar and the location of an appointment."""
    row = await db.fetchrow(
        """
        SELECT (SELECT name FROM calendar WHERE account_id = $1 AND id = $2) AS calendar,
               (SELECT name FROM location WHERE account_id = $1 AND id = $3) AS location,
               (SELECT time_zone FROM location WHERE account_id = $1 AND id = $3) AS time_zone
        """,
        account_id,
        state.calendar_id,
        state.location_id,
    )
    assert row is not None, "a SELECT of scalars answers one row"
    return Scene(row["calendar"], row["location"], row["time_zone"], contact, host)
