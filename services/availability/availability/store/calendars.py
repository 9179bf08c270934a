"""The tables `calendar`, `schedule` and `asset`, from which a calendar's rules are read.

Each statement also notes the change and the announced versions in `pending_notification`.
"""

from typing import Literal

from availability.domain import hosts_of, versions_of
from hoop_events.base import State
from hoop_events.calendars import Calendar, Resource, Schedule
from hoop_platform.db.database import Tx

_StateTable = Literal["schedule", "asset"]

_UPSERT_CALENDAR = """
    WITH upserted AS (
        INSERT INTO calendar (account_id, id, location_id, time_zone, hosts, settings, sequence)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (account_id, id) DO UPDATE
           SET location_id = excluded.location_id, time_zone = excluded.time_zone,
               hosts = excluded.hosts, settings = excluded.settings, sequence = excluded.sequence
    )
    INSERT INTO pending_notification VALUES ($1, ARRAY[$2::uuid], ARRAY[$2::uuid], $8, $9)
"""
_DELETE_CALENDAR = """
    WITH deleted AS (DELETE FROM calendar WHERE account_id = $1 AND id = $2)
    INSERT INTO pending_notification VALUES ($1, ARRAY[$2::uuid], ARRAY[$2::uuid], $3, $4)
"""
_UPSERT_STATE = {
    table: f"""
    WITH upserted AS (
        INSERT INTO {table} (account_id, id, calendar_ids, state) VALUES ($1, $2, $3, $4)
        ON CONFLICT (account_id, id) DO UPDATE
           SET calendar_ids = excluded.calendar_ids, state = excluded.state
    )
    INSERT INTO pending_notification
    SELECT $1, ARRAY[$2::uuid], $3::uuid[] || coalesce(
           (SELECT calendar_ids FROM {table} WHERE account_id = $1 AND id = $2), '{{}}'), $5, $6
    """  # noqa: S608 -- two tables of ours, no input
    for table in ("schedule", "asset")
}
"""The outer SELECT sees the row as it was before: calendars named before the change count, too."""
_DELETE_STATE = {
    table: f"""
    WITH deleted AS (
        DELETE FROM {table} WHERE account_id = $1 AND id = $2 RETURNING calendar_ids
    )
    INSERT INTO pending_notification
    SELECT $1, ARRAY[$2::uuid], coalesce((SELECT calendar_ids FROM deleted), '{{}}'), $3, $4
    """  # noqa: S608 -- two tables of ours, no input
    for table in ("schedule", "asset")
}


async def upsert_calendar(db: Tx, account_id: str, state: Calendar) -> None:
    versions = versions_of(state)
    await db.execute(
        _UPSERT_CALENDAR,
        account_id,
        state.id,
        state.location_id,
        state.time_zone,
        hosts_of(state.id, state.settings),
        state.settings,
        state.sequence,
        list(versions),
        list(versions.values()),
    )


async def delete_calendar(db: Tx, account_id: str, gone: State) -> None:
    versions = versions_of(gone)
    await db.execute(_DELETE_CALENDAR, account_id, gone.id, list(versions), list(versions.values()))


async def upsert_schedule(db: Tx, account_id: str, state: Schedule) -> None:
    await _upsert_state(db, "schedule", account_id, state)


async def delete_schedule(db: Tx, account_id: str, gone: State) -> None:
    await _delete_state(db, "schedule", account_id, gone)


async def upsert_asset(db: Tx, account_id: str, state: Resource) -> None:
    await _upsert_state(db, "asset", account_id, state)


async def delete_asset(db: Tx, account_id: str, gone: State) -> None:
    await _delete_state(db, "asset", account_id, gone)


async def _upsert_state(
    db: Tx, table: _StateTable, account_id: str, state: Schedule | Resource
) -> None:
    """Store the state as its event spells it."""
    versions = versions_of(state)
    await db.execute(
        _UPSERT_STATE[table],
        account_id,
        state.id,
        list(state.calendar_ids),
        state.model_dump(mode="json", by_alias=True),
        list(versions),
        list(versions.values()),
    )


async def _delete_state(db: Tx, table: _StateTable, account_id: str, gone: State) -> None:
    versions = versions_of(gone)
    await db.execute(
        _DELETE_STATE[table], account_id, gone.id, list(versions), list(versions.values())
    )
