"""What is done with a calendar's notification settings: several are added at once, one is changed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from hoop_platform.db.database import Tx
from hoop_platform.errors import NotFound, check_fresh, invalid
from hoop_platform.ids import is_id, new_id
from notifications import store
from notifications.domain import Role
from notifications.store import Setting

MOST_SETTINGS = 500
"""Of one calendar, deleted ones included: all of them are read for each mail."""


async def add_settings(
    db: Tx,
    account_id: str,
    calendar_id: str,
    wanted: Sequence[Mapping[str, Any]],
    *,
    now: datetime,
) -> Sequence[Setting]:
    """Add all of them or none. Each names the columns of `Setting` that clients decide on."""
    known = await store.lock_calendar(db, account_id, calendar_id)
    if known + len(wanted) > MOST_SETTINGS:
        raise invalid("", "too_many", f"a calendar has at most {MOST_SETTINGS} settings")
    added = []
    for one in wanted:
        new = Setting(
            id=new_id(),
            calendar_id=calendar_id,
            extras={},
            version=1,
            date_added=now,
            date_updated=now,
            **one,
        )
        added.append(await _with_extras(db, account_id, new))
        await store.insert_setting(db, account_id, added[-1])
    return added


async def change_setting(
    db: Tx,
    account_id: str,
    calendar_id: str,
    setting_id: str,
    said: Mapping[str, Any],
    *,
    if_match: int | None,
    now: datetime,
) -> Setting:
    """Change what is said, and nothing else; what says nothing new changes nothing."""
    found = await store.setting(db, account_id, calendar_id, setting_id, lock=True)
    if found is None:
        raise NotFound
    check_fresh(found.version, if_match)
    details = {**found.details, **said.get("details", {})}
    changed = replace(found, **{**said, "details": details})
    if changed == found:
        return found
    changed = replace(changed, version=found.version + 1, date_updated=now)
    changed = await _with_extras(db, account_id, changed)
    await store.update_setting(db, account_id, changed)
    return changed


async def _with_extras(db: Tx, account_id: str, setting: Setting) -> Setting:
    """Whom it names beside its receiver gets an id, under which they are told."""
    extras: dict[str, Role] = {}
    if setting.channel == "email":
        emails = setting.details.get("additionalEmailIds", ())
        users = setting.details.get("selectedUsers", ())
        extras |= dict.fromkeys(await store.addressees(db, account_id, emails), "addressee")
        extras |= dict.fromkeys(filter(is_id, users), "colleague")
    return replace(setting, extras=extras)
