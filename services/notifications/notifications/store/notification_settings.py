"""Notification settings: which mails a calendar sends, in which wording, and to whom else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hoop_platform.db.database import Database, Row, Tx
from notifications.domain.message import Role, Wording
from notifications.domain.notification_rules import NotificationRule, NotificationRules


@dataclass(frozen=True)
class NotificationSetting:
    """One notification setting. `details`: what clients sent beside the columns, under its names in JSON."""

    id: str
    calendar_id: str
    receiver_type: str
    channel: str
    notification_type: str
    is_active: bool
    deleted: bool
    details: Mapping[str, Any]
    extra_receivers: Mapping[str, Role]
    """Who else gets this mail: id → role."""
    version: int
    date_added: datetime
    date_updated: datetime


async def insert_setting(db: Tx, account_id: str, new: NotificationSetting) -> None:
    await db.execute(
        """
        INSERT INTO notification_setting
               (account_id, id, calendar_id, receiver_type, channel, notification_type, is_active,
                deleted, details, extra_receivers, version, date_added, date_updated)
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
        dict(new.extra_receivers),
        new.version,
        new.date_added,
        new.date_updated,
    )


async def update_setting(db: Tx, account_id: str, new: NotificationSetting) -> None:
    await db.execute(
        """
        UPDATE notification_setting
           SET receiver_type = $3, channel = $4, notification_type = $5, is_active = $6,
               deleted = $7, details = $8, extra_receivers = $9, version = $10, date_updated = $11
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
        dict(new.extra_receivers),
        new.version,
        new.date_updated,
    )


_GET = "SELECT * FROM notification_setting WHERE account_id = $1 AND calendar_id = $2 AND id = $3"
_LOCK = _GET + " FOR UPDATE"


async def get_setting(
    db: Tx | Database, account_id: str, calendar_id: str, setting_id: str
) -> NotificationSetting | None:
    """A setting of this calendar, also a deleted one."""
    row = await db.fetchrow(_GET, account_id, calendar_id, setting_id)
    return None if row is None else _setting(row)


async def lock_setting(
    db: Tx, account_id: str, calendar_id: str, setting_id: str
) -> NotificationSetting | None:
    """As `get_setting`; no other transaction changes the setting until this one ends."""
    row = await db.fetchrow(_LOCK, account_id, calendar_id, setting_id)
    return None if row is None else _setting(row)


async def list_settings(
    db: Tx | Database,
    account_id: str,
    calendar_id: str,
    *,
    is_active: bool | None,
    deleted: bool,
    limit: int,
    skip: int,
) -> Sequence[NotificationSetting]:
    """Settings of a calendar, oldest first. `is_active` None: active and inactive ones."""
    rows = await db.fetch(
        """
        SELECT * FROM notification_setting
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
    """The number of the calendar's settings; no other transaction adds one until this one ends."""
    await db.execute(
        "SELECT FROM calendar WHERE account_id = $1 AND id = $2 FOR UPDATE",
        account_id,
        calendar_id,
    )
    number: int = await db.fetchval(
        "SELECT count(*) FROM notification_setting WHERE account_id = $1 AND calendar_id = $2",
        account_id,
        calendar_id,
    )
    return number


async def delete_settings(db: Tx, calendar_id: str) -> list[tuple[str, str]]:
    """Delete the settings of a calendar, and the addresses that no other setting names.

    Returns the accounts and ids of these addresses.
    """
    rows = await db.fetch(
        "DELETE FROM notification_setting WHERE calendar_id = $1"
        " RETURNING account_id, extra_receivers",
        calendar_id,
    )
    receivers = {(row["account_id"], id_) for row in rows for id_ in row["extra_receivers"]}
    return [key for key in sorted(receivers) if await _delete_unnamed(db, *key)]


async def _delete_unnamed(db: Tx, account_id: str, receiver_id: str) -> bool:
    """Delete an address unless a setting names it; whether it was deleted."""
    deleted = await db.fetchval(
        """
        DELETE FROM addressee
         WHERE account_id = $1 AND id = $2
           AND NOT EXISTS (SELECT FROM notification_setting s
                            WHERE s.account_id = $1 AND s.extra_receivers ? $3)
        RETURNING true
        """,
        account_id,
        receiver_id,
        receiver_id,
    )
    return bool(deleted)


def rules_of(settings: Sequence[Mapping[str, Any]]) -> NotificationRules:
    """What these settings of a calendar decide about mail; see the SQL function `mail_settings`."""
    return NotificationRules(
        active=tuple(_rule(each) for each in settings if each["is_active"] and not each["deleted"]),
        configured=frozenset((s["receiver_type"], s["notification_type"]) for s in settings),
    )


def _rule(setting: Mapping[str, Any]) -> NotificationRule:
    details = setting["details"]
    return NotificationRule(
        receiver_type=setting["receiver_type"],
        notification_type=setting["notification_type"],
        wording=Wording(
            subject=details.get("subject", ""),
            body=details.get("body", ""),
            sender=details.get("fromName", ""),
        ),
        extra_receivers=setting["extra_receivers"],
    )


def _setting(row: Row) -> NotificationSetting:
    return NotificationSetting(
        id=row["id"],
        calendar_id=row["calendar_id"],
        receiver_type=row["receiver_type"],
        channel=row["channel"],
        notification_type=row["notification_type"],
        is_active=row["is_active"],
        deleted=row["deleted"],
        details=row["details"],
        extra_receivers=row["extra_receivers"],
        version=row["version"],
        date_added=row["date_added"],
        date_updated=row["date_updated"],
    )
