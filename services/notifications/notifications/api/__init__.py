"""Speaks HTTP: which mails a calendar wants sent, in whose words, and to whom else."""

from collections.abc import Mapping, Sequence
from typing import Any

from hoop_events.base import iso
from hoop_platform.errors import Detail, Invalid, NotFound, PreconditionFailed
from hoop_platform.http.route import Call, Reply, Route
from notifications import handlers, store
from notifications.api.models import (
    ADMIN,
    CreateNotification,
    CreateNotifications,
    Details,
    ListQuery,
    Notification,
    Said,
    UpdateNotification,
)
from notifications.store import Setting

COLUMNS = {"receiver_type", "channel", "notification_type", "is_active", "deleted"}
HIDDEN = {"from_address", "from_name", "from_number"}
UNSAID = Details().model_dump(mode="json", by_alias=True, exclude=HIDDEN)


def _columns(body: Details) -> Mapping[str, Any]:
    """What was sent, as columns of a setting."""
    details = body.model_dump(mode="json", by_alias=True, exclude=COLUMNS, exclude_unset=True)
    return {**body.model_dump(include=COLUMNS, exclude_unset=True), "details": details}


def _shown(setting: Setting) -> dict[str, Any]:
    said = {name: setting.details.get(name, default) for name, default in UNSAID.items()}
    return {
        "_id": setting.id,
        "id": setting.id,
        "calendarId": setting.calendar_id,
        "receiverType": setting.receiver_type,
        "channel": setting.channel,
        "notificationType": setting.notification_type,
        "isActive": setting.is_active,
        "deleted": setting.deleted,
        **said,
        "version": setting.version,
        "dateAdded": iso(setting.date_added),
        "dateUpdated": iso(setting.date_updated),
    }


async def _calendar(call: Call) -> str:
    """The calendar of the path; unknown, foreign, deleted or in a location not the key's: 404.

    One made a moment ago is waited for.
    """
    calendar_id, db = call.id("calendarId"), call.runtime.db
    location = await store.location_of(db, call.account_id, calendar_id)
    if location is None and await call.runtime.catch_up():
        location = await store.location_of(db, call.account_id, calendar_id)
    call.reach(location)
    return calendar_id


async def _check_users(call: Call, bodies: Sequence[Details], paths: Sequence[str]) -> None:
    """Selected users are users of the account, else 422; one made a moment ago is waited for."""
    named = [
        (f"{path}selectedUsers.{n}", user)
        for path, body in zip(paths, bodies, strict=True)
        for n, user in enumerate(body.selected_users)
        if user != ADMIN
    ]
    wanted = sorted({user for _, user in named})
    unknown = wanted and await store.unknown_users(call.runtime.db, call.account_id, wanted)
    if unknown and await call.runtime.catch_up():
        unknown = await store.unknown_users(call.runtime.db, call.account_id, wanted)
    if unknown:
        no = "is no user of the account"
        raise Invalid(
            details=[Detail(path, "unknown_user", no) for path, user in named if user in unknown]
        )


async def list_notifications(call: Call) -> list[Any]:
    query: ListQuery = call.query
    calendar_id = await _calendar(call)
    found = await store.settings(
        call.runtime.db,
        call.account_id,
        calendar_id,
        is_active=query.is_active,
        deleted=query.deleted,
        limit=query.limit,
        skip=query.skip,
    )
    return [_shown(setting) for setting in found]


async def create_notifications(call: Call) -> list[Any]:
    bodies: list[CreateNotification] = call.body.root
    calendar_id = await _calendar(call)
    await _check_users(call, bodies, [f"{n}." for n in range(len(bodies))])
    wanted = [{"is_active": True, "deleted": False, **_columns(body)} for body in bodies]
    async with call.runtime.db.transaction() as db:
        added = await handlers.add_settings(db, call.account_id, calendar_id, wanted, now=call.now)
    return [_shown(setting) for setting in added]


async def get_notification(call: Call) -> Reply:
    calendar_id, setting_id = await _calendar(call), call.id("notificationId")
    found = await store.setting(call.runtime.db, call.account_id, calendar_id, setting_id)
    if found is None:
        raise NotFound
    return Reply(_shown(found), headers=_tag(found))


async def update_notification(call: Call) -> Reply:
    body: UpdateNotification = call.body
    await _check_users(call, [body], [""])
    return await _change(call, _columns(body), "Notification updated successfully")


async def delete_notification(call: Call) -> Reply:
    return await _change(call, {"deleted": True}, "Notification deleted successfully")


async def _change(call: Call, said: Mapping[str, Any], message: str) -> Reply:
    calendar_id, setting_id = await _calendar(call), call.id("notificationId")
    async with call.runtime.db.transaction() as db:
        changed = await handlers.change_setting(
            db,
            call.account_id,
            calendar_id,
            setting_id,
            said,
            if_match=call.if_match,
            now=call.now,
        )
    return Reply({"message": message}, headers=_tag(changed))


def _tag(setting: Setting) -> Mapping[str, str]:
    return {"ETag": f'"{setting.version}"'}


_ALL = "/calendars/{calendarId}/notifications"
_ONE = _ALL + "/{notificationId}"
_READ = ("calendars.readonly", "calendars/events.readonly")
_WRITE = ("calendars.write", "calendars/events.write")
_EXAMPLE = {
    "receiverType": "contact",
    "channel": "email",
    "notificationType": "confirmation",
    "subject": "See you on {{appointment.only_start_date}}",
    "body": "Dear {{contact.first_name}},\nwe look forward to seeing you.",
}
ROUTES = (
    Route(
        "GET",
        _ALL,
        list_notifications,
        _READ,
        query=ListQuery,
        reply=list[Notification],
        summary="Get notifications",
    ),
    Route(
        "POST",
        _ALL,
        create_notifications,
        _WRITE,
        body=CreateNotifications,
        reply=list[Notification],
        summary="Create notifications",
        examples={"One's own words": [_EXAMPLE], "Switched off": [{**_EXAMPLE, "isActive": False}]},
    ),
    Route(
        "GET",
        _ONE,
        get_notification,
        _READ,
        reply=Notification,
        summary="Get notification",
    ),
    Route(
        "PUT",
        _ONE,
        update_notification,
        _WRITE,
        body=UpdateNotification,
        reply=Said,
        summary="Update notification",
        refusals=(PreconditionFailed,),
        examples={"Switch it off": {"isActive": False}},
    ),
    Route(
        "DELETE",
        _ONE,
        delete_notification,
        _WRITE,
        reply=Said,
        summary="Delete notification",
        refusals=(PreconditionFailed,),
    ),
)
