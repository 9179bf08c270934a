"""Validation of references in requests: ids, users, calendars, groups."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from booking.domain.checks import UNKNOWN_USER
from booking.store import crud, projections
from booking.store.calendars import get_calendar
from hoop_platform.errors import Detail, Invalid, NotFound
from hoop_platform.http.route import AnyCall
from hoop_platform.ids import is_id


def known_id(text: str) -> str:
    """The id; `NotFound` for a text that cannot be one."""
    if not is_id(text):
        raise NotFound
    return text


def known_ids(ids: Sequence[str]) -> tuple[str, ...]:
    """The ids without duplicates; `NotFound` for a text that cannot be one."""
    return tuple(dict.fromkeys(map(known_id, ids)))


async def check_users(call: AnyCall, named: Mapping[str, str]) -> None:
    """`named`: path in the body → user id. 422 names each id that is not a user of the account.

    Waits for users that were created a moment ago.
    """
    await check(call, lambda: unknown_users(call, named))


async def check(call: AnyCall, find_errors: Callable[[], Awaitable[list[Detail]]]) -> None:
    """Raise `Invalid` with the errors that remain after events announced a moment ago arrived."""
    errors: list[Detail] = []

    async def valid() -> bool | None:
        errors[:] = await find_errors()
        return None if errors else True

    if not await call.runtime.known(valid):
        raise Invalid(details=errors)


async def unknown_users(call: AnyCall, named: Mapping[str, str]) -> list[Detail]:
    """A detail for each id that is not a user of the account, as far as booking knows now."""
    ids = [user for user in {*named.values()} if is_id(user)]
    unknown = {*await projections.list_unknown_users(call.runtime.db, call.account_id, ids)}
    return [
        Detail(path, "unknown_user", UNKNOWN_USER)
        for path, user in named.items()
        if user in unknown or not is_id(user)
    ]


async def known_user(call: AnyCall, user_id: str) -> str:
    """The id of a user in the path; `NotFound` for an unknown one."""
    try:
        await check_users(call, {"userId": user_id})
    except Invalid:
        raise NotFound from None
    return user_id


async def known_calendar(call: AnyCall, calendar_id: str) -> str:
    """The id of a calendar that exists and that the API key may use; else `NotFound`."""
    calendar = await get_calendar(call.runtime.db, call.account_id, known_id(calendar_id))
    call.reach(calendar.location_id if calendar else None)
    return calendar_id


async def check_group(call: AnyCall, group_id: str) -> None:
    """`NotFound` for an id that is not a group of the account."""
    if not await crud.groups.get(call.runtime.db, call.account_id, known_id(group_id)):
        raise NotFound
