"""The table of API keys."""

from accounts.domain.api_keys import ApiKeyEntity
from accounts.store.repository import Repository

API_KEYS = Repository(
    name="api-keys",
    entity_type=ApiKeyEntity,
    get_sql="SELECT * FROM api_key WHERE account_id = $1 AND id = $2",
    list_sql="""
        SELECT * FROM api_key
         WHERE account_id = $1 AND ($2::uuid IS NULL OR id > $2)
           AND (cardinality($3::uuid[]) = 0
                OR (location_ids <@ $3 AND cardinality(location_ids) > 0))
           AND ($4::uuid IS NULL OR location_ids @> ARRAY[$4])
         ORDER BY id LIMIT $5
    """,
    upsert_sql="""
        INSERT INTO api_key
               (account_id, id, version, sequence, date_added, date_updated, name, digest, scopes,
                location_ids, per_second, per_minute, per_day, active, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        ON CONFLICT (account_id, id) DO UPDATE
           SET version = $3, sequence = $4, date_updated = $6, name = $7, digest = $8, scopes = $9,
               location_ids = $10, per_second = $11, per_minute = $12, per_day = $13,
               active = $14, expires_at = $15
    """,
)
