"""Receivers: contacts and users, projected from events, and the mail addresses that settings name."""

from collections.abc import Sequence
from typing import Literal

from hoop_platform.db.database import Database, Tx
from hoop_platform.ids import new_id
from notifications.domain.message import Receiver, Role

TABLES: dict[Role, Literal["contact", "app_user", "addressee"]] = {
    "contact": "contact",
    "user": "app_user",
    "colleague": "app_user",
    "addressee": "addressee",
}
"""The table of the receivers of each role."""

_UPSERT = {
    role: f"""
        INSERT INTO {table} (account_id, id, name, email, time_zone, erased)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (account_id, id) DO UPDATE
           SET name = excluded.name, email = excluded.email, time_zone = excluded.time_zone,
               erased = excluded.erased
    """  # noqa: S608 -- the table's name is one of three constants
    for role, table in TABLES.items()
}
_LIST_ACCOUNTS = {
    role: f"SELECT account_id FROM {table} WHERE id = $1"  # noqa: S608 -- as above
    for role, table in TABLES.items()
}


async def upsert_receiver(db: Tx, account_id: str, role: Role, receiver: Receiver) -> None:
    """Store a receiver, or that the receiver is erased."""
    await db.execute(
        _UPSERT[role],
        account_id,
        receiver.id,
        receiver.name,
        receiver.email,
        receiver.time_zone,
        receiver.erased,
    )


async def list_accounts(db: Tx, role: Role, receiver_id: str) -> list[str]:
    """The accounts that have a receiver of this id: a tombstone names no account."""
    return [row["account_id"] for row in await db.fetch(_LIST_ACCOUNTS[role], receiver_id)]


async def list_unknown_users(
    db: Tx | Database, account_id: str, user_ids: Sequence[str]
) -> Sequence[str]:
    """Those of `user_ids` that are not users of the account, or not any more."""
    rows = await db.fetch(
        """
        SELECT id FROM unnest($2::uuid[]) AS id
         WHERE NOT EXISTS (SELECT FROM app_user u
                            WHERE u.account_id = $1 AND u.id = id.id AND NOT u.erased)
        """,
        account_id,
        user_ids,
    )
    return [row["id"] for row in rows]


async def upsert_addressees(db: Tx, account_id: str, emails: Sequence[str]) -> Sequence[str]:
    """The ids of these mail addresses; an address without an id gets one."""
    ids = []
    for email in sorted(set(emails)):
        id_: str = await db.fetchval(
            """
            INSERT INTO addressee (account_id, id, email) VALUES ($1, $2, $3)
            ON CONFLICT (account_id, email) DO UPDATE SET email = excluded.email
            RETURNING id
            """,
            account_id,
            new_id(),
            email,
        )
        ids.append(id_)
    return ids
