"""The tables `occupied` and `version`: written by events, one round trip for each."""

from collections.abc import Mapping, Sequence

from availability.domain import SubjectOccupancy
from hoop_platform.db.database import Database, Tx
from hoop_scheduling.without_one import ExcludedAppointment


async def upsert_occupancy(
    db: Tx, account_id: str, occupancy: SubjectOccupancy, versions: Mapping[str, int]
) -> None:
    """Replace all that the subject occupies, and note the change and the announced versions."""
    rows = [(resource, *piece) for resource in occupancy.resources for piece in occupancy.pieces]
    resources, blocks, starts, ends = zip(*rows, strict=True) if rows else ((), (), (), ())
    await db.execute(
        """
        SELECT upsert_occupancy($1, $2, $3::"char", $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
                                $15, $16)
        """,
        account_id,
        occupancy.subject,
        occupancy.kind.encode(),
        occupancy.week,
        resources,
        blocks,
        starts,
        ends,
        occupancy.expires,
        occupancy.before,
        occupancy.after,
        occupancy.day,
        occupancy.calendar,
        occupancy.session,
        list(versions),
        list(versions.values()),
    )


async def list_versions(db: Database, account_id: str, ids: Sequence[str]) -> dict[str, int]:
    """The newest version of each id that an applied event named; unknown ids are absent."""
    rows = await db.fetch(
        "SELECT id, version FROM version WHERE account_id = $1 AND id = ANY ($2::uuid[])",
        account_id,
        list(ids),
    )
    return {row["id"]: row["version"] for row in rows}


async def get_excluded_appointment(
    db: Database, account_id: str, appointment_id: str, calendar_id: str
) -> ExcludedAppointment | None:
    """The time that moving this appointment away would free; None if it occupies none.

    An appointment of another calendar frees its hosts' time only if it is the last of its session.
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
