"""Reading the window that is asked: all that is missing in memory, in one statement."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

from availability.domain import Offer
from hoop_platform.db.database import Database, Row
from hoop_scheduling.busy import Busy, Seats

Key = tuple[str, int]
"""(resource, block)."""

_WINDOW = """
SELECT k.id, k.block, t.*, d.*, {offer},
       (SELECT version FROM version AS v WHERE v.account_id = $1 AND v.id = k.id) AS version
  FROM keys AS k
 CROSS JOIN LATERAL (
    SELECT array_agg(starts) AS starts, array_agg(ends) AS ends, array_agg(before) AS before,
           array_agg(after) AS after, array_agg(expires) AS expires, array_agg(seats) AS seats,
           array_agg(calendar) AS calendar, array_agg(whose) AS whose
      FROM (SELECT starts, max(ends) AS ends, max(buffer_before) AS before,
                   max(buffer_after) AS after, expires, count(*)::int AS seats,
                   calendar_id::text AS calendar, coalesce(session_id, subject)::text AS whose
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

_CALENDAR = """
WITH c AS (
    SELECT *, coalesce((settings ->> 'appoinmentPerDay')::numeric, 0) > 0 AS counts
      FROM calendar WHERE account_id = $1 AND id = $2
), a AS (
    SELECT id, state FROM asset WHERE account_id = $1 AND calendar_ids @> ARRAY[$2::uuid]
), s AS (
    SELECT id, state FROM schedule WHERE account_id = $1 AND calendar_ids @> ARRAY[$2::uuid]
), whose AS (
    SELECT id FROM c UNION SELECT unnest(hosts) FROM c UNION SELECT id FROM a
), keys AS (
    SELECT w.id, b.block, c.counts AND w.id = c.id AS counts
      FROM c, whose AS w, generate_series($3::int, $4::int) AS b (block)
)
"""
_CALENDAR += _WINDOW.format(
    offer="""
       CASE WHEN k.id = $2 AND k.block = $3 THEN (
           SELECT jsonb_build_object('zone', c.time_zone, 'settings', c.settings,
                  'schedules', (SELECT jsonb_agg(state ORDER BY id) FROM s),
                  'assets', (SELECT jsonb_agg(state ORDER BY id) FROM a)) FROM c) END AS offer"""
)

_KEYS = """
WITH keys AS (
    SELECT k.id, k.block, $4 AND k.id = $5 AS counts
      FROM unnest($2::uuid[], $3::int[]) AS k (id, block)
)
"""
_KEYS += _WINDOW.format(offer="NULL::jsonb AS offer")


@dataclass(frozen=True, slots=True)
class Taken:
    """A session's time on one resource, or a time that is blocked; buffers in milliseconds here."""

    start: int
    end: int
    before: int
    after: int
    expires: int | None
    seats: int
    calendar: str | None
    whose: str


@dataclass(slots=True)
class Block:
    """What occupies one resource in one block, and a calendar's day counts, at any instant asked."""

    taken: Sequence[Taken] = ()
    days: Sequence[tuple[int, int, int | None]] = ()
    """(local day, appointments or holds, until when these count)."""
    since: float = -inf
    until: float = -inf
    _busy: Busy = field(default_factory=Busy)

    def busy(self, now: int) -> Busy:
        """All that counts now, as the engine wants it: made once, until a hold expires."""
        if not self.since <= now < self.until:
            self._busy = Busy.of([(t.start, t.end, t.before, t.after) for t in self._sessions(now)])
            expiries = {t.expires for t in self.taken if t.expires is not None}
            self.since = max((e for e in expiries if e <= now), default=-inf)
            self.until = min((e for e in expiries if e > now), default=inf)
        return self._busy

    def sessions(self, calendar: str, now: int) -> Iterator[tuple[int, Seats]]:
        """Start, end and seats of that calendar's sessions; the id spelled as Postgres does."""
        found: dict[str, tuple[int, Seats]] = {}
        for t in self.taken:
            if t.calendar == calendar and (t.expires is None or t.expires > now):
                _, (end, seats) = found.get(t.whose, (0, Seats(0, 0)))
                found[t.whose] = (t.start, Seats(max(end, t.end), seats + t.seats))
        yield from found.values()

    def _sessions(self, now: int) -> Sequence[Taken]:
        """What counts now; a session with seats and holds is there once."""
        counting = [t for t in self.taken if t.expires is None or t.expires > now]
        if all(t.expires is None for t in counting):
            return counting
        longest: dict[tuple[str, int], Taken] = {}
        for t in sorted(counting, key=lambda t: t.end):
            longest[t.whose, t.start] = t
        return list(longest.values())


@dataclass(frozen=True)
class Fetched:
    """What one statement has found: blocks and versions, and the calendar where it was asked for."""

    blocks: dict[Key, Block]
    versions: dict[str, int]
    offer: Offer | None = None


async def fetch_calendar(
    db: Database, account_id: str, calendar_id: str, blocks: range
) -> Fetched | None:
    """A calendar, and these blocks of all whose time it needs; None when it is unknown."""
    rows = await db.fetch(_CALENDAR, account_id, calendar_id, blocks[0], blocks[-1])
    said = next((row["offer"] for row in rows if row["offer"]), None)
    if said is None:
        return None
    offer = Offer(
        account_id,
        calendar_id,
        said["zone"],
        said["settings"],
        said["schedules"] or (),
        said["assets"] or (),
    )
    return _fetched(rows, offer)


async def fetch(db: Database, offer: Offer, keys: Sequence[Key]) -> Fetched:
    """These blocks of these resources."""
    ids, blocks = zip(*keys, strict=True)
    counts = offer.rules.per_day > 0
    return _fetched(await db.fetch(_KEYS, offer.account_id, ids, blocks, counts, offer.id), offer)


def _fetched(rows: Sequence[Row], offer: Offer) -> Fetched:
    return Fetched(
        blocks={(row["id"], row["block"]): _block(row) for row in rows},
        versions={row["id"]: row["version"] or 0 for row in rows},
        offer=offer,
    )


def _block(row: Row) -> Block:
    columns = ("starts", "ends", "before", "after", "expires", "seats", "calendar", "whose")
    if row["starts"] is None and row["days"] is None:
        return Block()
    taken = [
        Taken(start, end, before * 60_000, after * 60_000, *rest)
        for start, end, before, after, *rest in zip(*(row[c] or () for c in columns), strict=True)
    ]
    days = zip(row["days"] or (), row["on_day"] or (), row["day_until"] or (), strict=True)
    return Block(taken, tuple(days))
