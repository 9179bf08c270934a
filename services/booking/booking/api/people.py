"""The users that bodies name: they must be users of the account."""

from collections.abc import Mapping

from booking.store import known
from hoop_platform.errors import Detail, Invalid, NotFound
from hoop_platform.http.route import Call
from hoop_platform.ids import is_id

UNKNOWN_USER = "is no user of the account"


async def check_users(call: Call, named: Mapping[str, str]) -> None:
    """`named`: path in the body → user id. 422 names each that is not a user of the account.

    A user made a moment ago elsewhere is waited for.
    """
    wrong = await unknown_people(call, named)
    if wrong and await call.runtime.catch_up():
        wrong = await unknown_people(call, named)
    if wrong:
        raise Invalid(details=wrong)


async def unknown_people(call: Call, named: Mapping[str, str]) -> list[Detail]:
    """What is wrong with these, as far as is known now."""
    spelled = [user for user in {*named.values()} if is_id(user)]
    unknown = {*await known.unknown_users(call.runtime.db, call.account_id, spelled)}
    return [
        Detail(path, "unknown_user", UNKNOWN_USER)
        for path, user in named.items()
        if user in unknown or not is_id(user)
    ]


async def known_user(call: Call, user_id: str) -> str:
    """A user in the path: unknown is 404."""
    try:
        await check_users(call, {"userId": user_id})
    except Invalid:
        raise NotFound from None
    return user_id
