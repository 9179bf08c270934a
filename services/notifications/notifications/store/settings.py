"""Which mails calendars want sent: their notification settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hoop_platform.db.database import Database, Row, Tx
from notifications.domain import Role, Rule, Rules, Wording


@dataclass(frozen=True)
class Setting:
    """One notification setting. `details` is what does not decide, as clients have said it."""

    id: str
    calendar_id: str
    receiver_type: str
    channel: str
    notification_type: str
    is_active: bool
    deleted: bool
    details: Mapping[str, Any]
    extras: Mapping[str, Role]
    version: int
    date_added: datetime
    date_updated: datetime


async def insert_setting(db: Tx, account_id: str, new: Setting) -> None:
    await db.execute(
        """
        INSERT INTO setting (account_id, id, calendar_id, receiver_type, channel,
                             notification_type, is_active, deleted, details, extras, version,
                             date_added, date_updated)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        """,
        account_id,
        new.id,
        new.calendar_id,
        new.receiver_type,
        new.channel,
        new.notification_type,
        new.is_active,
        new.deleted,
        dict(new.details),
        dict(new.extras),
        new.version,
        new.date_added,
        new.date_updated,
    )


async def update_setting(db: Tx, account_id: str, new: Setting) -> None:
    await db.execute(
        """
        UPDATE setting
           SET receiver_type = $3, channel = $4, notification_type = $5, is_active = $6,
               deleted = $7, details = $8, extras = $9, version = $10, date_updated = $11
         WHERE account_id = $1 AND id = $2
        """,
        account_id,
        new.id,
        new.receiver_type,
        new.channel,
        new.notification_type,
        new.is_active,
        new.deleted,
        dict(new.details),
        dict(new.extras),
        new.version,
        new.date_updated,
    )


_SETTING = "SELECT * FROM setting WHERE account_id = $1 AND calendar_id = $2 AND id = $3"
_LOCKED = _SETTING + " FOR UPDATE"


async def setting(
    db: Tx | Database,
    account_id: str,
    calendar_id: str,
    setting_id: str,
    *,
    lock: bool = False,
) -> Setting | None:
    """A setting of this calendar, a deleted one, too; `lock`: nobody else changes it until the end."""
    sql = _LOCKED if lock else _SETTING
    row = await db.fetchrow(sql, account_id, calendar_id, setting_id)
    return None if row is None else _setting(row)


async def settings(
    db: Tx | Database,
    account_id: str,
    calendar_id: str,
    *,
    is_active: bool | None,
    deleted: bool,
    limit: int,
    skip: int,
) -> Sequence[Setting]:
    """Settings of a calendar, oldest first. `is_active` None: either."""
    rows = await db.fetch(
        """
        SELECT * FROM setting
         WHERE account_id = $1 AND calendar_id = $2 AND deleted = $3
           AND ($4::bool IS NULL OR is_active = $4)
         ORDER BY id LIMIT $5 OFFSET $6
        """,
        account_id,
        calendar_id,
        deleted,
        is_active,
        limit,
        skip,
    )
    return [_setting(row) for row in rows]


async def lock_calendar(db: Tx, account_id: str, calendar_id: str) -> int:
    """Until the transaction ends nobody else adds settings; answers how many there are."""
    await db.execute(
        "SELECT FROM calendar WHERE account_id = $1 AND id = $2 FOR UPDATE",
        account_id,
        calendar_id,
    )
    found: int = await db.fetchval(
        "SELECT count(*) FROM setting WHERE account_id = $1 AND calendar_id = $2",
        account_id,
        calendar_id,
    )
    return found


async def rules(db: Tx, account_id: str, calendar_id: str) -> Rules:
    """What the settings of a calendar decide about mail."""
    rows = await db.fetch(
        """
        SELECT * FROM setting
         WHERE account_id = $1 AND calendar_id = $2 AND channel = 'email' ORDER BY id
        """,
        account_id,
        calendar_id,
    )
    return Rules(
        active=tuple(_rule(row) for row in rows if row["is_active"] and not row["deleted"]),
        spoken_of=frozenset((row["receiver_type"], row["notification_type"]) for row in rows),
    )


async def forget_settings(db: Tx, calendar_id: str) -> None:
    """The calendar is gone for good; so are addresses that only its settings named."""
    gone = await db.fetch(
        "DELETE FROM setting WHERE calendar_id = $1 RETURNING account_id, extras", calendar_id
    )
    for account_id, who in {(row["account_id"], who) for row in gone for who in row["extras"]}:
        await db.execute(
            """
            DELETE FROM addressee
             WHERE account_id = $1 AND id = $2
               AND NOT EXISTS (SELECT FROM setting s WHERE s.account_id = $1 AND s.extras ? $3)
            """,
            account_id,
            who,
            who,
        )


def _rule(row: Row) -> Rule:
    details = row["details"]
    return Rule(
        receiver_type=row["receiver_type"],
        notification_type=row["notification_type"],
        wording=Wording(
            subject=details.get("subject", ""),
            body=details.get("body", ""),
            sender=details.get("fromName", ""),
        ),
        extras=row["extras"],
    )


def _setting(row: Row) -> Setting:
    return Setting(
        id=row["id"],
        calendar_id=row["calendar_id"],
        receiver_type=row["receiver_type"],
        channel=row["channel"],
        notification_type=row["notification_type"],
        is_active=row["is_active"],
        deleted=row["deleted"],
        details=row["details"],
        extras=row["extras"],
        version=row["version"],
        date_added=row["date_added"],
        date_updated=row["date_updated"],
    )
