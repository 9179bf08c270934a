"""The table of accounts."""

from accounts.domain.accounts import AccountEntity
from accounts.store.repository import Repository

ACCOUNTS = Repository(
    name="accounts",
    entity_type=AccountEntity,
    get_sql="SELECT * FROM account WHERE account_id = $1 AND id = $2",
    upsert_sql="""
        INSERT INTO account
               (account_id, id, version, sequence, date_added, date_updated, name, plan, status)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (account_id, id) DO UPDATE
           SET version = $3, sequence = $4, date_updated = $6, name = $7, plan = $8, status = $9
    """,
)
