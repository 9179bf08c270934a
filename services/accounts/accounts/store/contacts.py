"""The table of contacts, and the keys under which they are found."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from accounts.domain.contact_search import SearchTerm, search_keys
from accounts.domain.contacts import ContactEntity
from accounts.store.repository import Repository
from hoop_platform.db.database import Database, Tx

UPSERT_LOCK = 727_011


@dataclass(frozen=True)
class ContactRepository(Repository[ContactEntity]):
    """The table of contacts. Each write keeps the contact's search keys equal to its fields."""

    search_sql: str = ""

    async def upsert(self, db: Tx, entity: ContactEntity) -> None:
        """Store the contact, new or changed, and its search keys."""
        await super().upsert(db, entity)
        await db.execute(
            """
            WITH gone AS (
                DELETE FROM contact_search_key
                 WHERE account_id = $1 AND contact_id = $2 AND key <> ALL ($3::text[]))
            INSERT INTO contact_search_key (account_id, contact_id, key)
            SELECT $1, $2, unnest($3::text[]) ON CONFLICT DO NOTHING
            """,
            entity.account_id,
            entity.id,
            search_keys(entity.name, entity.email, entity.phone),
        )

    async def search(
        self,
        db: Tx | Database,
        account_id: str,
        *,
        terms: Sequence[SearchTerm],
        after: str | None,
        within: Collection[str],
        location_id: str | None = None,
        limit: int,
    ) -> Sequence[ContactEntity]:
        """As `list`, of the contacts that match all terms; of none without a term."""
        if not terms:
            return []
        # The longest beginning is likely the rarest: its range is read, the others are checked.
        ordered = sorted(terms, key=lambda term: len(term.low), reverse=True)
        rows = await db.fetch(
            self.search_sql,
            account_id,
            after,
            sorted(within),
            location_id,
            limit,
            [term.low for term in ordered],
            [term.high for term in ordered],
        )
        return self.entities(rows)

    async def lock_identities(self, db: Tx, location_id: str, terms: Sequence[SearchTerm]) -> None:
        """Let one upsert at a time look for a contact of the location under one of these keys."""
        await db.execute(
            "SELECT pg_advisory_xact_lock($1, hashtext(each)) FROM unnest($2::text[]) AS each",
            UPSERT_LOCK,
            sorted(f"{location_id} {term.low}" for term in terms),
        )

    async def lock_first(
        self, db: Tx, account_id: str, location_id: str, term: SearchTerm
    ) -> ContactEntity | None:
        """The oldest contact of the location that matches the term, locked."""
        rows = await db.fetch(
            """
            SELECT contact.* FROM contact_search_key AS k
              JOIN contact ON contact.account_id = k.account_id AND contact.id = k.contact_id
             WHERE k.account_id = $1 AND k.key BETWEEN $3 AND $4 AND contact.location_id = $2
             ORDER BY contact.id LIMIT 1 FOR UPDATE OF contact
            """,
            account_id,
            location_id,
            term.low,
            term.high,
        )
        return next(iter(self.entities(rows)), None)


CONTACTS = ContactRepository(
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
    search_sql="""
        SELECT contact.* FROM contact
         WHERE account_id = $1 AND ($2::uuid IS NULL OR id > $2)
           AND (cardinality($3::uuid[]) = 0 OR location_id = ANY($3))
           AND ($4::uuid IS NULL OR location_id = $4)
           AND id IN (SELECT contact_id FROM contact_search_key
                       WHERE account_id = $1
                         AND key BETWEEN ($6::text[])[1] AND ($7::text[])[1])
           AND NOT EXISTS (
               SELECT FROM unnest(($6::text[])[2:], ($7::text[])[2:]) AS term (low, high)
                WHERE NOT EXISTS (
                      SELECT FROM contact_search_key AS k
                       WHERE k.account_id = $1 AND k.contact_id = contact.id
                         AND k.key BETWEEN term.low AND term.high))
         ORDER BY id LIMIT $5
    """,
    upsert_sql="""
        INSERT INTO contact
               (account_id, id, version, sequence, date_added, date_updated,
                location_id, name, first_name, last_name, email, phone, time_zone, tags)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        ON CONFLICT (account_id, id) DO UPDATE
           SET version = $3, sequence = $4, date_updated = $6,
               location_id = $7, name = $8, first_name = $9, last_name = $10, email = $11,
               phone = $12, time_zone = $13, tags = $14
    """,
    delete_sql="DELETE FROM contact WHERE account_id = $1 AND id = $2",
)
