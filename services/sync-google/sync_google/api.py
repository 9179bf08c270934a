"""HTTP: connect a Google calendar to one of our calendars, change the connection, end it."""

from hoop_events.base import Id
from hoop_platform.errors import LocationForbidden, NotFound, invalid
from hoop_platform.http.route import AnyCall
from hoop_platform.providers.provider_accounts import ProviderAccount
from hoop_platform.providers.routes import Integration
from hoop_platform.providers.schemas import ConnectCalendar, UpdateConnection
from sync_google.handlers.connections import on_connection_changed
from sync_google.providers.google.oauth import identify, oauth_provider
from sync_google.store import calendars


class ReconfigureGoogle(UpdateConnection):
    user_id: Id | None = None
    """The user whom the Google events block, in every calendar; null: the only member, else the calendar."""


async def check_calendar(call: AnyCall, calendar_id: str) -> None:
    """Check that the caller may connect this calendar, and that a `userId` in the body is a member.

    A calendar created a moment ago is waited for. Raises `NotFound`, `LocationForbidden`, `Invalid`.
    """
    calendar = await call.runtime.known(
        lambda: calendars.get_calendar(call.runtime.db, call.account_id, calendar_id)
    )
    if calendar is None:
        raise NotFound("calendarId")
    if call.caller.location_ids and calendar.location_id not in call.caller.location_ids:
        raise LocationForbidden
    user_id = _requested_user(call)
    if user_id is not None and user_id not in calendar.members:
        raise invalid("userId", "not_a_member", "must be a member of the calendar")


async def check_member(call: AnyCall, connection: ProviderAccount) -> None:
    """Check that a `userId` in the body is a member of the connected calendar."""
    if _requested_user(call) is not None:
        await check_calendar(call, connection.owner_id)


def _requested_user(call: AnyCall) -> str | None:
    match call.body:
        case ConnectCalendar(user_id=user_id) | ReconfigureGoogle(user_id=user_id):
            return user_id
        case _:
            return None


INTEGRATION = Integration(
    name="google",
    owner_kind="calendar",
    provider=lambda runtime: oauth_provider(runtime.settings),
    identify=identify,
    check_owner=check_calendar,
    connect=ConnectCalendar,
    reconfigure=ReconfigureGoogle,
    check_change=check_member,
    then=on_connection_changed,
)
