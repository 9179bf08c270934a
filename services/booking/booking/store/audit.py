"""The invariants of the tables: one query each, which finds the rows that violate it."""

from collections.abc import Mapping

from hoop_platform.db.database import Tx

INVARIANTS: Mapping[str, str] = {
    "two sessions at once on a host or room": """
        SELECT a.account_id, a.bookable_id AS id FROM allocation a
          JOIN allocation b ON b.account_id = a.account_id AND b.bookable_id = a.bookable_id
                           AND b.session_id > a.session_id AND b.during && a.during
    """,
    "more units in use than there were": """
        SELECT u.account_id, u.resource_id AS id FROM equipment_use u
          JOIN equipment_use v ON v.account_id = u.account_id AND v.resource_id = u.resource_id
                       AND v.during @> lower(u.during)
         GROUP BY u.account_id, u.resource_id, u.session_id HAVING count(*) > max(v.units)
    """,
    "more seats taken than a session has": """
        SELECT s.account_id, s.id FROM session s
          JOIN appointment a ON a.account_id = s.account_id AND a.session_id = s.id AND a.occupies
         GROUP BY s.account_id, s.id HAVING greatest(count(*), max(a.seat)) > s.capacity
    """,
    "a session that is open without appointments, or closed with some": """
        SELECT s.account_id, s.id FROM session s
         WHERE (s.closed_at IS NULL) <> EXISTS (
               SELECT FROM appointment a
                WHERE a.account_id = s.account_id AND a.session_id = s.id AND a.occupies)
    """,
    "an appointment in a session of another time or calendar, or in none": """
        SELECT a.account_id, a.id FROM appointment a
          LEFT JOIN session s ON s.account_id = a.account_id AND s.id = a.session_id
         WHERE a.occupies AND (s.starts, s.calendar_id) IS DISTINCT FROM (a.starts, a.calendar_id)
    """,
    "a session that does not end with its last appointment": """
        SELECT s.account_id, s.id FROM session s
          JOIN appointment a ON a.account_id = s.account_id AND a.session_id = s.id AND a.occupies
         GROUP BY s.account_id, s.id HAVING max(a.ends) <> s.ends
    """,
    "an open session whose hosts and resources are not taken for its time, or others are": """
        SELECT s.account_id, s.id FROM session s
          LEFT JOIN (SELECT account_id, session_id, bookable_id, during FROM allocation
                     UNION ALL
                     SELECT account_id, session_id, resource_id, during FROM equipment_use) t
            ON t.account_id = s.account_id AND t.session_id = s.id
         WHERE s.closed_at IS NULL
         GROUP BY s.account_id, s.id
        HAVING array_agg(t.bookable_id ORDER BY t.bookable_id)
               IS DISTINCT FROM (SELECT array_agg(r ORDER BY r)
                                   FROM unnest(s.hosts || s.resources) AS r)
            OR bool_or(t.during <> tstzrange(s.starts, s.ends))
    """,
    "time taken for a session that is not open": """
        SELECT t.account_id, t.session_id AS id
          FROM (SELECT account_id, session_id FROM allocation
                UNION ALL SELECT account_id, session_id FROM equipment_use) t
          LEFT JOIN session s ON s.account_id = t.account_id AND s.id = t.session_id
         WHERE s.id IS NULL OR s.closed_at IS NOT NULL
    """,
}
"""The violation → a query for the account and the id of each row that shows it."""

TIMEOUT = 600.0
"""Seconds for one query, which reads whole tables."""


async def list_violations(db: Tx) -> list[str]:
    """One line for each violation; none when all invariants hold."""
    found: set[str] = set()
    for violation, query in INVARIANTS.items():
        rows = await db.fetch(query, timeout=TIMEOUT)
        found |= {f"{violation}: {row['id']} of account {row['account_id']}" for row in rows}
    return sorted(found)
