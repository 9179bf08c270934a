"""Reading a calendar over some days: enough to find free starts, not enough to decide on one."""

from datetime import UTC, datetime, timedelta

from asyncpg import Range

from booking.domain.alternatives import CalendarWindow
from booking.domain.calendars import Calendar
from booking.store.snapshot import busy_of
from hoop_platform.db.database import Database, Row, Tx
from hoop_scheduling.busy import Seats
from hoop_scheduling.zones import epoch_ms

_DAY = timedelta(days=1)
"""No buffer is longer."""

_WINDOW = """
WITH c AS (
    SELECT * FROM calendar WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL
), busy AS (
    SELECT b.* FROM c, list_busy_times($1, c.id || c.hosts || c.needs, c.needs, $3::tstzrange) AS b
), counted AS (
    SELECT a.local_day, count(*) AS n FROM appointment a, c
     WHERE (c.settings ->> 'appoinmentPerDay')::numeric > 0
       AND a.account_id = $1 AND a.calendar_id = c.id AND a.occupies
       AND a.local_day BETWEEN $4::date AND $5::date
     GROUP BY a.local_day
), open_sessions AS (
    SELECT s.hosts, s.starts, s.ends, count(*) AS taken
      FROM c
      JOIN session s ON s.account_id = $1 AND s.calendar_id = c.id AND s.closed_at IS NULL
                    AND s.shared AND s.starts >= lower($3::tstzrange)
                    AND s.starts < upper($3::tstzrange)
      JOIN appointment a ON a.account_id = $1 AND a.session_id = s.id AND a.seat IS NOT NULL
     GROUP BY s.account_id, s.id
), seats AS (
    SELECT unnest(hosts) AS host, starts, ends, taken FROM open_sessions
)
SELECT c.*,
    (SELECT array_agg(bookable_id) FROM busy) AS busy_who,
    (SELECT array_agg((extract(epoch FROM lower(during)) * 1000)::bigint) FROM busy) AS busy_from,
    (SELECT array_agg((extract(epoch FROM upper(during)) * 1000)::bigint) FROM busy) AS busy_to,
    (SELECT array_agg(buffer_before) FROM busy) AS busy_before,
    (SELECT array_agg(buffer_after) FROM busy) AS busy_after,
    (SELECT array_agg(local_day) FROM counted) AS days,
    (SELECT array_agg(n) FROM counted) AS on_day,
    (SELECT array_agg(host ORDER BY host, starts) FROM seats) AS seat_hosts,
    (SELECT array_agg(starts ORDER BY host, starts) FROM seats) AS seat_starts,
    (SELECT array_agg(ends ORDER BY host, starts) FROM seats) AS seat_ends,
    (SELECT array_agg(taken ORDER BY host, starts) FROM seats) AS seats_taken
  FROM c
"""


async def get_calendar_window(
    db: Tx | Database, account_id: str, calendar_id: str, *, start: datetime, end: datetime
) -> CalendarWindow | None:
    """The calendar and what is taken in [start, end), holds included; None: no such calendar."""
    row = await db.fetchrow(
        _WINDOW,
        account_id,
        calendar_id,
        Range(start - _DAY, end + _DAY),
        (start - _DAY).astimezone(UTC).date(),
        (end + _DAY).astimezone(UTC).date(),
    )
    if row is None:
        return None
    return CalendarWindow(
        calendar=Calendar.of(row),
        busy=busy_of(row),
        seats=_seats(row),
        day_counts=dict(zip(row["days"] or (), row["on_day"] or (), strict=True)),
    )


def _seats(row: Row) -> dict[tuple[str, int], Seats]:
    columns = (row[c] or () for c in ("seat_hosts", "seat_starts", "seat_ends", "seats_taken"))
    return {
        (host, epoch_ms(starts)): Seats(epoch_ms(ends), taken)
        for host, starts, ends, taken in zip(*columns, strict=True)
    }
