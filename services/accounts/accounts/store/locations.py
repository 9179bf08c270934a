"""The table of locations."""

from accounts.domain.locations import LocationEntity
from accounts.store.repository import Repository

LOCATIONS = Repository(
    name="locations",
    entity_type=LocationEntity,
    get_sql="SELECT * FROM location WHERE account_id = $1 AND id = $2",
    list_sql="""
        SELECT * FROM location
         WHERE account_id = $1 AND ($2::uuid IS NULL OR id > $2)
           AND (cardinality($3::uuid[]) = 0 OR id = ANY($3))
           AND ($4::uuid IS NULL OR id = $4)
         ORDER BY id LIMIT $5
    """,
    upsert_sql="""
        INSERT INTO location
               (account_id, id, version, sequence, date_added, date_updated, name, time_zone,
                contact_duplicates_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (account_id, id) DO UPDATE
           SET version = $3, sequence = $4, date_updated = $6, name = $7, time_zone = $8,
               contact_duplicates_by = $9
    """,
    delete_sql="DELETE FROM location WHERE account_id = $1 AND id = $2",
)
