"""The table of contacts."""

from accounts.domain.contacts import ContactEntity
from accounts.store.repository import Repository

CONTACTS = Repository(
    name="contacts",
    entity_type=ContactEntity,
    get_sql="SELECT * FROM contact WHERE account_id = $1 AND id = $2",
    list_sql="""
        SELECT * FROM contact
         WHERE account_id = $1 AND ($2::uuid IS NULL OR id > $2)
           AND (cardinality($3::uuid[]) = 0 OR location_id = ANY($3))
           AND ($4::uuid IS NULL OR location_id = $4)
         ORDER BY id LIMIT $5
    """,
    upsert_sql="""
        INSERT INTO contact
               (account_id, id, version, sequence, date_added, date_updated,
                location_id, name, email, phone, time_zone)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (account_id, id) DO UPDATE
           SET version = $3, sequence = $4, date_updated = $6,
               location_id = $7, name = $8, email = $9, phone = $10, time_zone = $11
    """,
    delete_sql="DELETE FROM contact WHERE account_id = $1 AND id = $2",
)
