"""The table of users."""

from accounts.domain.users import UserEntity
from accounts.store.repository import Repository

USERS = Repository(
    name="users",
    entity_type=UserEntity,
    get_sql="SELECT * FROM app_user WHERE account_id = $1 AND id = $2",
    list_sql="""
        SELECT * FROM app_user
         WHERE account_id = $1 AND ($2::uuid IS NULL OR id > $2)
           AND (cardinality($3::uuid[]) = 0
                OR (location_ids <@ $3 AND cardinality(location_ids) > 0))
           AND ($4::uuid IS NULL OR location_ids @> ARRAY[$4])
         ORDER BY id LIMIT $5
    """,
    upsert_sql="""
        INSERT INTO app_user
               (account_id, id, version, sequence, date_added, date_updated,
                name, email, location_ids, time_zone)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (account_id, id) DO UPDATE
           SET version = $3, sequence = $4, date_updated = $6,
               name = $7, email = $8, location_ids = $9, time_zone = $10
    """,
    delete_sql="DELETE FROM app_user WHERE account_id = $1 AND id = $2",
)
