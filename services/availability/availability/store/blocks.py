"""Reading blocks of occupied times: everything that the cache lacks, in one statement."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

from availability.domain import CalendarConfig
from hoop_platform.db.database import Database, Row
from hoop_scheduling.busy import Busy, Seats

Key = tuple[str, int]
"""(resource, block)."""

_BLOCKS = """
SELECT k.id, k.block, t.*, d.*, {config},
       (SELECT version FROM version AS v WHERE v.account_id = $1 AND v.id = k.id) AS version
  FROM keys AS k
 CROSS JOIN LATERAL (
    SELECT array_agg(starts) AS starts, array_agg(ends) AS ends, array_agg(before) AS before,
           array_agg(after) AS after, array_agg(expires) AS expires, array_agg(seats) AS seats,
           array_agg(calendar) AS calendar, array_agg(owner) AS owner
      FROM (SELECT starts, max(ends) AS ends, max(buffer_before) AS before,
                   max(buffer_after) AS after, expires, count(*)::int AS seats,
                   calendar_id::text AS calendar, coalesce(session_id, subject)::text AS owner
              FROM occupied AS o
             WHERE o.account_id = $1 AND o.resource_id = k.id AND o.block = k.block
             GROUP BY coalesce(session_id, subject), starts, expires, calendar_id
             ORDER BY starts) AS r) AS t
 CROSS JOIN LATERAL (
    SELECT array_agg(local_day) AS days, array_agg(n) AS on_day, array_agg(until) AS day_until
      FROM (SELECT local_day, expires AS until, count(DISTINCT subject)::int AS n
              FROM occupied AS o
             WHERE o.account_id = $1 AND o.calendar_id = k.id AND k.counts
               AND o.local_day BETWEEN k.block * 32 AND k.block * 32 + 31
             GROUP BY local_day, expires) AS c) AS d
"""

_OF_CALENDAR = """
WITH c AS (
    SELECT *, coalesce((settings ->> 'appoinmentPerDay')::numeric, 0) > 0 AS counts
      FROM calendar WHERE account_id = $1 AND id = $2
), a AS (
    SELECT id, state FROM asset WHERE account_id = $1 AND calendar_ids @> ARRAY[$2::uuid]
), s AS (
    SELECT id, state FROM schedule WHERE account_id = $1 AND calendar_ids @> ARRAY[$2::uuid]
), resources AS (
    SELECT id FROM c UNION SELECT unnest(hosts) FROM c UNION SELECT id FROM a
), keys AS (
    SELECT w.id, b.block, c.counts AND w.id = c.id AS counts
      FROM c, resources AS w, generate_series($3::int, $4::int) AS b (block)
)
"""
_OF_CALENDAR += _BLOCKS.format(
    config="""
       CASE WHEN k.id = $2 AND k.block = $3 THEN (
           SELECT jsonb_build_object('zone', c.time_zone, 'settings', c.settings,
                  'schedules', (SELECT jsonb_agg(state ORDER BY id) FROM s),
                  'assets', (SELECT jsonb_agg(state ORDER BY id) FROM a)) FROM c) END AS config"""
)

_OF_KEYS = """
WITH keys AS (
    SELECT k.id, k.block, $4 AND k.id = $5 AS counts
      FROM unnest($2::uuid[], $3::int[]) AS k (id, block)
)
"""
_OF_KEYS += _BLOCKS.format(config="NULL::jsonb AS config")


@dataclass(frozen=True, slots=True)
class OccupiedInterval:
    """A session's time on one resource, or a blocked time. Buffers are milliseconds here."""

    start: int
    end: int
    before: int
    after: int
    expires: int | None
    seats: int
    calendar: str | None
    owner: str
    """The session, block slot or connection."""


@dataclass(slots=True)
class Block:
    """What occupies one resource in one block, holds included; of a calendar also its day counts."""

    intervals: Sequence[OccupiedInterval] = ()
    days: Sequence[tuple[int, int, int | None]] = ()
    """(local day, appointments or holds, instant from which on they no longer count)."""
    since: float = -inf
    until: float = -inf
    _busy: Busy = field(default_factory=Busy)

    def busy(self, now: int) -> Busy:
        """The busy times that count at `now`, computed once for [since, until) between expiries."""
        if not self.since <= now < self.until:
            self._busy = Busy.of(
                [(i.start, i.end, i.before, i.after) for i in self._unexpired(now)]
            )
            expiries = {i.expires for i in self.intervals if i.expires is not None}
            self.since = max((e for e in expiries if e <= now), default=-inf)
            self.until = min((e for e in expiries if e > now), default=inf)
        return self._busy

    def sessions(self, calendar: str, now: int) -> Iterator[tuple[int, Seats]]:
        """(start, seats) of each session of the calendar, whose id is spelled as Postgres does."""
        found: dict[str, tuple[int, Seats]] = {}
        for i in self.intervals:
            if i.calendar == calendar and (i.expires is None or i.expires > now):
                _, (end, seats) = found.get(i.owner, (0, Seats(0, 0)))
                found[i.owner] = (i.start, Seats(max(end, i.end), seats + i.seats))
        yield from found.values()

    def _unexpired(self, now: int) -> Sequence[OccupiedInterval]:
        """The intervals that count at `now`; one for a session with both appointments and holds."""
        counting = [i for i in self.intervals if i.expires is None or i.expires > now]
        if all(i.expires is None for i in counting):
            return counting
        longest: dict[tuple[str, int], OccupiedInterval] = {}
        for i in sorted(counting, key=lambda i: i.end):
            longest[i.owner, i.start] = i
        return list(longest.values())


@dataclass(frozen=True)
class FetchedBlocks:
    """The result of one statement: blocks, versions by resource, and the calendar they are for."""

    blocks: dict[Key, Block]
    versions: dict[str, int]
    config: CalendarConfig


async def get_calendar_blocks(
    db: Database, account_id: str, calendar_id: str, blocks: range
) -> FetchedBlocks | None:
    """A calendar and these blocks of all its resources; None if the calendar is unknown."""
    rows = await db.fetch(_OF_CALENDAR, account_id, calendar_id, blocks[0], blocks[-1])
    found = next((row["config"] for row in rows if row["config"]), None)
    if found is None:
        return None
    config = CalendarConfig(
        account_id,
        calendar_id,
        found["zone"],
        found["settings"],
        found["schedules"] or (),
        found["assets"] or (),
    )
    return _fetched(rows, config)


async def list_blocks(db: Database, config: CalendarConfig, keys: Sequence[Key]) -> FetchedBlocks:
    """These blocks of these resources, for that calendar."""
    ids, blocks = zip(*keys, strict=True)
    counts = config.rules.per_day > 0
    rows = await db.fetch(_OF_KEYS, config.account_id, ids, blocks, counts, config.id)
    return _fetched(rows, config)


def _fetched(rows: Sequence[Row], config: CalendarConfig) -> FetchedBlocks:
    return FetchedBlocks(
        blocks={(row["id"], row["block"]): _block(row) for row in rows},
        versions={row["id"]: row["version"] or 0 for row in rows},
        config=config,
    )


def _block(row: Row) -> Block:
    columns = ("starts", "ends", "before", "after", "expires", "seats", "calendar", "owner")
    if row["starts"] is None and row["days"] is None:
        return Block()
    intervals = [
        OccupiedInterval(start, end, before * 60_000, after * 60_000, *rest)
        for start, end, before, after, *rest in zip(*(row[c] or () for c in columns), strict=True)
    ]
    days = zip(row["days"] or (), row["on_day"] or (), row["day_until"] or (), strict=True)
    return Block(intervals, tuple(days))
