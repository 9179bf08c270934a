"""Speaks HTTP: connect a Google calendar to one of ours, change or end the connection."""

from hoop_events.base import Id
from hoop_platform.errors import LocationForbidden, NotFound, invalid
from hoop_platform.http.route import Call
from hoop_platform.providers.authorization import Identity
from hoop_platform.providers.provider_accounts import ProviderAccount
from hoop_platform.providers.routes import Integration
from hoop_platform.providers.schemas import ConnectCalendar, UpdateConnection
from hoop_platform.runtime import Runtime
from sync_google import handlers, store
from sync_google.google import Google, oauth


class ReconfigureGoogle(UpdateConnection):
    user_id: Id | None = None
    """Whom its events block, in every calendar; null: the only member, else the calendar."""


async def identify(runtime: Runtime, token: str) -> Identity:
    """Ask Google whose token this is."""
    return await Google(runtime.http, runtime.settings).identify(token)


async def check_calendar(call: Call, calendar_id: str) -> None:
    """Refuse a calendar that the account does not have; one made a moment ago is waited for."""
    db = call.runtime.db
    found = await store.calendar(db, call.account_id, calendar_id)
    if found is None:
        await call.runtime.catch_up()
        found = await store.calendar(db, call.account_id, calendar_id)
    if found is None:
        raise NotFound
    if call.caller.location_ids and found.location_id not in call.caller.location_ids:
        raise LocationForbidden
    if call.body.user_id is not None and call.body.user_id not in found.members:
        raise invalid("userId", "not_a_member", "must be a member of the calendar")


async def check_member(call: Call, connection: ProviderAccount) -> None:
    """Refuse to let the events block somebody who is no member of the calendar."""
    if call.body.user_id is not None:
        await check_calendar(call, connection.owner_id)


INTEGRATION = Integration(
    name="google",
    owner_kind="calendar",
    provider=lambda runtime: oauth(runtime.settings),
    identify=identify,
    check_owner=check_calendar,
    connect=ConnectCalendar,
    reconfigure=ReconfigureGoogle,
    check_change=check_member,
    then=handlers.follow_connection,
    revokes=True,
)
