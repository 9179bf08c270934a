"""The read model as rows: written by events, each in one round trip that also notes the news."""

from collections.abc import Mapping, Sequence
from typing import Literal

from availability.domain import Occupancy
from hoop_events.base import State
from hoop_events.calendars import Calendar, Resource, Schedule
from hoop_platform.db.database import Database, Tx
from hoop_scheduling.without_one import ExcludedAppointment

Document = Literal["schedule", "asset"]
_CALENDAR_NEWS = "INSERT INTO news VALUES ($1, ARRAY[$2::uuid], ARRAY[$2::uuid], {of}, {versions})"

_KEEP_DOCUMENT = {
    table: f"""
    WITH kept AS (
        INSERT INTO {table} (account_id, id, calendar_ids, state) VALUES ($1, $2, $3, $4)
        ON CONFLICT (account_id, id) DO UPDATE
           SET calendar_ids = excluded.calendar_ids, state = excluded.state
    )
    INSERT INTO news
    SELECT $1, ARRAY[$2::uuid], $3::uuid[] || coalesce(
           (SELECT calendar_ids FROM {table} WHERE account_id = $1 AND id = $2), '{{}}'), $5, $6
    """  # noqa: S608 -- two tables of ours, no input
    for table in ("schedule", "asset")
}
_DROP_DOCUMENT = {
    table: f"""
    WITH gone AS (
        DELETE FROM {table} WHERE account_id = $1 AND id = $2 RETURNING calendar_ids
    )
    INSERT INTO news
    SELECT $1, ARRAY[$2::uuid], coalesce((SELECT calendar_ids FROM gone), '{{}}'), $3, $4
    """  # noqa: S608 -- two tables of ours, no input
    for table in ("schedule", "asset")
}


def versions(state: State) -> Mapping[str, int]:
    """The versions of what the announced change touched; an old contract says none."""
    found: Mapping[str, int] = getattr(state, "versions", {})
    return found


async def keep(db: Tx, account_id: str, occupancy: Occupancy, told: Mapping[str, int]) -> None:
    """What the subject occupies is exactly this, whatever it was before."""
    rows = [(who, *piece) for who in occupancy.resources for piece in occupancy.pieces]
    who, blocks, starts, ends = zip(*rows, strict=True) if rows else ((), (), (), ())
    await db.execute(
        """
        SELECT keep($1, $2, $3::"char", $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        """,
        account_id,
        occupancy.subject,
        occupancy.kind.encode(),
        occupancy.part,
        who,
        blocks,
        starts,
        ends,
        occupancy.expires,
        occupancy.before,
        occupancy.after,
        occupancy.day,
        occupancy.calendar,
        occupancy.session,
        list(told),
        list(told.values()),
    )


async def keep_calendar(db: Tx, account_id: str, state: Calendar, *, hosts: Sequence[str]) -> None:
    told = versions(state)
    await db.execute(
        """
        WITH kept AS (
            INSERT INTO calendar (account_id, id, location_id, time_zone, hosts, settings, sequence)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (account_id, id) DO UPDATE
               SET location_id = excluded.location_id, time_zone = excluded.time_zone,
                   hosts = excluded.hosts, settings = excluded.settings,
                   sequence = excluded.sequence
        )
        """  # noqa: S608 -- made of our own constants
        + _CALENDAR_NEWS.format(of="$8", versions="$9"),
        account_id,
        state.id,
        state.location_id,
        state.time_zone,
        list(hosts),
        state.settings,
        state.sequence,
        list(told),
        list(told.values()),
    )


async def drop_calendar(db: Tx, account_id: str, calendar_id: str, told: Mapping[str, int]) -> None:
    await db.execute(
        "WITH gone AS (DELETE FROM calendar WHERE account_id = $1 AND id = $2) "  # noqa: S608 -- made of our own constants
        + _CALENDAR_NEWS.format(of="$3", versions="$4"),
        account_id,
        calendar_id,
        list(told),
        list(told.values()),
    )


async def keep_document(
    db: Tx, table: Document, account_id: str, state: Schedule | Resource
) -> None:
    """Keep a schedule, a room or equipment as its event spells it; its calendars are news."""
    told = versions(state)
    await db.execute(
        _KEEP_DOCUMENT[table],
        account_id,
        state.id,
        list(state.calendar_ids),
        state.model_dump(mode="json", by_alias=True),
        list(told),
        list(told.values()),
    )


async def drop_document(db: Tx, table: Document, account_id: str, gone: State) -> None:
    told = versions(gone)
    await db.execute(_DROP_DOCUMENT[table], account_id, gone.id, list(told), list(told.values()))


async def versions_told(db: Database, account_id: str, ids: Sequence[str]) -> dict[str, int]:
    """The newest version that an event has told of each, as far as known."""
    rows = await db.fetch(
        "SELECT id, version FROM version WHERE account_id = $1 AND id = ANY ($2::uuid[])",
        account_id,
        list(ids),
    )
    return {row["id"]: row["version"] for row in rows}


async def leaving(
    db: Database, account_id: str, appointment_id: str, calendar_id: str
) -> ExcludedAppointment | None:
    """What moving this appointment away sets free; None when nothing is known of it here.

    Of another calendar only the last one of its session frees the hosts' time.
    """
    row = await db.fetchrow(
        """
        SELECT calendar_id, session_id, min(starts) AS starts, max(ends) AS ends,
               array_agg(DISTINCT resource_id) AS resources,
               (SELECT count(DISTINCT o.subject) FROM occupied AS o
                 WHERE o.account_id = $1 AND o.resource_id = (array_agg(t.resource_id ORDER BY t.resource_id))[1]
                   AND o.block = min(t.block) AND o.session_id = t.session_id) AS seats
          FROM occupied AS t WHERE account_id = $1 AND subject = $2 AND kind = 'a'
         GROUP BY calendar_id, session_id
        """,
        account_id,
        appointment_id,
    )
    if row is None:
        return None
    stays = row["calendar_id"] != calendar_id and row["seats"] > 1
    freed = () if stays else tuple(row["resources"])
    return ExcludedAppointment(row["calendar_id"], freed, row["starts"], row["ends"], freed)
