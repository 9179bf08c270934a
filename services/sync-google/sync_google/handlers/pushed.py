"""What an attempt to write into Google leaves behind when it will never succeed."""

from datetime import datetime

from hoop_events.effects import CalendarPushFailed, FailedPush
from hoop_platform.db.database import Tx
from hoop_platform.outbox.announce import announce
from hoop_platform.providers.provider_accounts import lock_provider_account
from hoop_platform.providers.status import set_status
from sync_google import store
from sync_google.domain import parts_of


async def say_failed(db: Tx, account_id: str, subject: str, *, reason: str, now: datetime) -> None:
    """Announce that this appointment cannot be written to this calendar."""
    appointment_id, connection_id = parts_of(subject)
    state = FailedPush(
        id=subject,
        sequence=await store.note_failure(db, account_id, subject),
        appointment_id=appointment_id,
        connection_id=connection_id,
        reason=reason,
    )
    await announce(db, CalendarPushFailed(account_id=account_id, state=state), now=now)


async def lose_access(
    db: Tx, account_id: str, connection_id: str, *, reason: str, now: datetime
) -> None:
    """Google no longer lets us in; what exists stays, and its owner is asked to mend it."""
    connection = await lock_provider_account(db, account_id, connection_id)
    if connection is not None and connection.status == "active":
        await set_status(db, connection, status="pending", reason=reason, now=now)
