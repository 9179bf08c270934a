"""The tables: what is asked of each, as SQL. `shelf` says what the parameters are."""

from accounts.domain import Account, ApiKey, Contact, Location, User
from accounts.store.shelf import Shelf

ACCOUNTS = Shelf(
    name="accounts",
    kind=Account,
    one="SELECT * FROM account WHERE account_id = $1 AND id = $2",
    save_one="""
        INSERT INTO account
               (account_id, id, version, sequence, date_added, date_updated, name, plan, status)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (account_id, id) DO UPDATE
           SET version = $3, sequence = $4, date_updated = $6, name = $7, plan = $8, status = $9
    """,
)

LOCATIONS = Shelf(
    name="locations",
    kind=Location,
    one="SELECT * FROM location WHERE account_id = $1 AND id = $2",
    page="""
        SELECT * FROM location
         WHERE account_id = $1 AND ($2::uuid IS NULL OR id > $2)
           AND (cardinality($3::uuid[]) = 0 OR id = ANY($3))
           AND ($4::uuid IS NULL OR id = $4)
         ORDER BY id LIMIT $5
    """,
    save_one="""
        INSERT INTO location
               (account_id, id, version, sequence, date_added, date_updated, name, time_zone)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (account_id, id) DO UPDATE
           SET version = $3, sequence = $4, date_updated = $6, name = $7, time_zone = $8
    """,
    delete_one="DELETE FROM location WHERE account_id = $1 AND id = $2",
)

USERS = Shelf(
    name="users",
    kind=User,
    one="SELECT * FROM app_user WHERE account_id = $1 AND id = $2",
    page="""
        SELECT * FROM app_user
         WHERE account_id = $1 AND ($2::uuid IS NULL OR id > $2)
           AND (cardinality($3::uuid[]) = 0
                OR (location_ids <@ $3 AND cardinality(location_ids) > 0))
           AND ($4::uuid IS NULL OR location_ids @> ARRAY[$4])
         ORDER BY id LIMIT $5
    """,
    save_one="""
        INSERT INTO app_user
               (account_id, id, version, sequence, date_added, date_updated,
                name, email, location_ids, time_zone)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (account_id, id) DO UPDATE
           SET version = $3, sequence = $4, date_updated = $6,
               name = $7, email = $8, location_ids = $9, time_zone = $10
    """,
    delete_one="DELETE FROM app_user WHERE account_id = $1 AND id = $2",
)

CONTACTS = Shelf(
    name="contacts",
    kind=Contact,
    one="SELECT * FROM contact WHERE account_id = $1 AND id = $2",
    page="""
        SELECT * FROM contact
         WHERE account_id = $1 AND ($2::uuid IS NULL OR id > $2)
           AND (cardinality($3::uuid[]) = 0 OR location_id = ANY($3))
           AND ($4::uuid IS NULL OR location_id = $4)
         ORDER BY id LIMIT $5
    """,
    save_one="""
        INSERT INTO contact
               (account_id, id, version, sequence, date_added, date_updated,
                location_id, name, email, phone, time_zone)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (account_id, id) DO UPDATE
           SET version = $3, sequence = $4, date_updated = $6,
               location_id = $7, name = $8, email = $9, phone = $10, time_zone = $11
    """,
    delete_one="DELETE FROM contact WHERE account_id = $1 AND id = $2",
)

KEYS = Shelf(
    name="api-keys",
    kind=ApiKey,
    one="SELECT * FROM api_key WHERE account_id = $1 AND id = $2",
    page="""
        SELECT * FROM api_key
         WHERE account_id = $1 AND ($2::uuid IS NULL OR id > $2)
           AND (cardinality($3::uuid[]) = 0
                OR (location_ids <@ $3 AND cardinality(location_ids) > 0))
           AND ($4::uuid IS NULL OR location_ids @> ARRAY[$4])
         ORDER BY id LIMIT $5
    """,
    save_one="""
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
