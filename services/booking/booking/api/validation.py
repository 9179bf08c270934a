"""Validation of references in requests: ids, users, calendars, groups."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from booking.domain.calendars import NO_ADAPTER, ConferenceChoice, conference_choices
from booking.domain.checks import UNKNOWN_USER
from booking.store import crud, projections
from booking.store.calendars import get_calendar
from hoop_events.meeting_locations import LOCATION_KINDS, has_adapter
from hoop_platform.errors import Detail, Invalid, NotFound, Unavailable
from hoop_platform.http.route import AnyCall
from hoop_platform.ids import is_id

AVAILABLE_KINDS = tuple(each.kind for each in LOCATION_KINDS if has_adapter(each.kind))


def known_id(text: str, path: str) -> str:
    """The id at `path` of the request; `NotFound` for a text that cannot be one."""
    if not is_id(text):
        raise NotFound(path)
    return text


def known_ids(ids: Sequence[str], path: str) -> tuple[str, ...]:
    """The ids of the list at `path`, without duplicates; `NotFound` for a text that cannot be one."""
    return tuple(dict.fromkeys(known_id(text, f"{path}.{n}") for n, text in enumerate(ids)))


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


async def check_conferences(
    call: AnyCall, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    """422 names each online meeting that a change chooses although nobody could create its links.

    Booking an appointment never needs a connection; choosing a location on a calendar does. That one
    is missing is only said with everything applied that was announced; else `Unavailable` is raised.
    """
    if (after.get("calendarType") or "event") == "event":
        return  # the rules of the type refuse every online meeting
    stood = conference_choices(before)
    chosen = [each for each in conference_choices(after) if not any(map(each.is_as, stood))]
    impossible = [
        Detail(each.path, "integration_missing", NO_ADAPTER, AVAILABLE_KINDS)
        for each in chosen
        if not has_adapter(each.kind)
    ]
    if impossible:
        raise Invalid(details=impossible)
    if chosen and await _not_connected(call, chosen):
        complete = await call.runtime.catch_up()
        if missing := await _not_connected(call, chosen):
            raise (
                Invalid(details=missing) if complete else Unavailable(headers={"Retry-After": "1"})
            )


async def _not_connected(call: AnyCall, chosen: Sequence[ConferenceChoice]) -> list[Detail]:
    """A detail for each choice of a provider that none of its members has connected."""
    users = {user for each in chosen for user in each.users if is_id(user)}
    connected = {
        (one["ownerId"], one["provider"])
        for one in await projections.list_connections(call.runtime.db, call.account_id, [*users])
        if one["status"] == "active"
    }
    return [
        Detail(each.path, "integration_missing", _who_connects(each))
        for each in chosen
        if each.users and not any((user, each.provider) in connected for user in each.users)
    ]


def _who_connects(choice: ConferenceChoice) -> str:
    path, users = f"POST /integrations/{choice.provider}/connect", " or ".join(choice.users)
    return (
        f"{choice.provider} must be connected for user {users} first ({path});"
        " or choose another location"
    )


async def known_user(call: AnyCall, user_id: str) -> str:
    """The id of a user in the path; `NotFound` for an unknown one."""
    try:
        await check_users(call, {"userId": user_id})
    except Invalid:
        raise NotFound("userId") from None
    return user_id


async def known_calendar(call: AnyCall, calendar_id: str) -> str:
    """The `calendarId` of a calendar that exists and that the API key may use; else `NotFound`."""
    path = "calendarId"
    calendar = await get_calendar(call.runtime.db, call.account_id, known_id(calendar_id, path))
    call.reach(calendar.location_id if calendar else None, path)
    return calendar_id


async def check_group(call: AnyCall, group_id: str) -> None:
    """`NotFound` for a `groupId` that is not a group of the account."""
    path = "groupId"
    if not await crud.groups.get(call.runtime.db, call.account_id, known_id(group_id, path)):
        raise NotFound(path)
