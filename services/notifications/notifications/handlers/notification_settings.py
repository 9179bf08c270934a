"""Adds notification settings to a calendar, several at once, and changes one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from hoop_platform.db.database import Tx
from hoop_platform.errors import NotFound, check_fresh, invalid
from hoop_platform.ids import is_id, new_id
from notifications.domain.message import Role
from notifications.store import notification_settings, receivers
from notifications.store.notification_settings import NotificationSetting

MAX_SETTINGS = 500
"""Of one calendar, deleted ones included: all of them are read for each mail."""


async def add_settings(
    db: Tx,
    account_id: str,
    calendar_id: str,
    requested: Sequence[Mapping[str, Any]],
    *,
    now: datetime,
) -> Sequence[NotificationSetting]:
    """Add all of them or none. Each gives the fields of `NotificationSetting` that clients decide on."""
    existing = await notification_settings.lock_calendar(db, account_id, calendar_id)
    if existing + len(requested) > MAX_SETTINGS:
        raise invalid("", "too_many", f"a calendar has at most {MAX_SETTINGS} settings")
    added = []
    for fields in requested:
        new = NotificationSetting(
            id=new_id(),
            calendar_id=calendar_id,
            extra_receivers={},
            version=1,
            date_added=now,
            date_updated=now,
            **fields,
        )
        added.append(await _with_extra_receivers(db, account_id, new))
        await notification_settings.insert_setting(db, account_id, added[-1])
    return added


async def change_setting(
    db: Tx,
    account_id: str,
    calendar_id: str,
    setting_id: str,
    fields: Mapping[str, Any],
    *,
    if_match: int | None,
    now: datetime,
) -> NotificationSetting:
    """Set these fields; if none differs, nothing is stored.

    Raises `NotFound`, and `PreconditionFailed` for another version than `if_match`.
    """
    found = await notification_settings.lock_setting(db, account_id, calendar_id, setting_id)
    if found is None:
        raise NotFound("notificationId")
    check_fresh(found.version, if_match)
    details = {**found.details, **fields.get("details", {})}
    changed = replace(found, **{**fields, "details": details})
    if changed == found:
        return found
    changed = replace(changed, version=found.version + 1, date_updated=now)
    changed = await _with_extra_receivers(db, account_id, changed)
    await notification_settings.update_setting(db, account_id, changed)
    return changed


async def _with_extra_receivers(
    db: Tx, account_id: str, setting: NotificationSetting
) -> NotificationSetting:
    """The setting with the ids of the addresses and users that it names."""
    extra_receivers: dict[str, Role] = {}
    if setting.channel == "email":
        emails = setting.details.get("additionalEmailIds", ())
        user_ids = filter(is_id, setting.details.get("selectedUsers", ()))
        addressees = await receivers.upsert_addressees(db, account_id, emails)
        extra_receivers |= dict.fromkeys(addressees, "addressee")
        extra_receivers |= dict.fromkeys(user_ids, "colleague")
    return replace(setting, extra_receivers=extra_receivers)
