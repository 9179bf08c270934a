"""`/calendars/{calendarId}/notifications`: which mails a calendar sends, in which wording, and to whom else."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from hoop_events.base import iso
from hoop_platform.errors import Detail, Invalid, NotFound, PreconditionFailed
from hoop_platform.http.route import AnyCall, Call, Reply, Route
from notifications.api.schemas import (
    ADMIN,
    CreateNotifications,
    NotificationListQuery,
    NotificationMessage,
    NotificationResponse,
    SettingDetails,
    UpdateNotification,
)
from notifications.handlers.notification_settings import add_settings, change_setting
from notifications.store import calendars, notification_settings, receivers
from notifications.store.notification_settings import NotificationSetting

COLUMNS = {"receiver_type", "channel", "notification_type", "is_active", "deleted"}
HIDDEN = {"from_address", "from_name", "from_number"}
DEFAULTS = SettingDetails().model_dump(mode="json", by_alias=True, exclude=HIDDEN)
"""The details that a response shows, each with the value of a setting that does not have it."""


def _fields(body: SettingDetails) -> Mapping[str, Any]:
    """The fields that were sent, as fields of `NotificationSetting`."""
    details = body.model_dump(mode="json", by_alias=True, exclude=COLUMNS, exclude_unset=True)
    return {**body.model_dump(include=COLUMNS, exclude_unset=True), "details": details}


def _as_json(setting: NotificationSetting) -> dict[str, Any]:
    details = {name: setting.details.get(name, default) for name, default in DEFAULTS.items()}
    return {
        "_id": setting.id,
        "id": setting.id,
        "calendarId": setting.calendar_id,
        "receiverType": setting.receiver_type,
        "channel": setting.channel,
        "notificationType": setting.notification_type,
        "isActive": setting.is_active,
        "deleted": setting.deleted,
        **details,
        "version": setting.version,
        "dateAdded": iso(setting.date_added),
        "dateUpdated": iso(setting.date_updated),
    }


async def _calendar_id(call: AnyCall) -> str:
    """The id of the calendar in the path.

    Raises `NotFound` if the calendar is unknown, another account's, deleted, or in a location that
    the caller's key may not see.
    """
    calendar_id, db = call.id("calendarId"), call.runtime.db
    location_id = await call.runtime.known(
        lambda: calendars.get_calendar_location(db, call.account_id, calendar_id)
    )
    call.reach(location_id, "calendarId")
    return calendar_id


async def _check_users(
    call: AnyCall, bodies: Sequence[SettingDetails], paths: Sequence[str]
) -> None:
    """Raise `Invalid` for selected users who are not users of the account."""
    selected = [
        (f"{path}selectedUsers.{n}", user_id)
        for path, body in zip(paths, bodies, strict=True)
        for n, user_id in enumerate(body.selected_users)
        if user_id != ADMIN
    ]
    unknown = await _unknown_users(call, sorted({user_id for _, user_id in selected}))
    if unknown:
        text = "is no user of the account"
        raise Invalid(
            details=[
                Detail(path, "unknown_user", text)
                for path, user_id in selected
                if user_id in unknown
            ]
        )


async def _unknown_users(call: AnyCall, user_ids: Sequence[str]) -> Collection[str]:
    """Those of `user_ids` that are still unknown after waiting for recent events."""

    async def all_known() -> Literal[True] | None:
        unknown = await receivers.list_unknown_users(call.runtime.db, call.account_id, user_ids)
        return None if unknown else True

    if not user_ids or await call.runtime.known(all_known):
        return ()
    return await receivers.list_unknown_users(call.runtime.db, call.account_id, user_ids)


async def list_notifications(call: Call[None, NotificationListQuery]) -> list[Any]:
    query, calendar_id = call.query, await _calendar_id(call)
    found = await notification_settings.list_settings(
        call.runtime.db,
        call.account_id,
        calendar_id,
        is_active=query.is_active,
        deleted=query.deleted,
        limit=query.limit,
        skip=query.skip,
    )
    return [_as_json(setting) for setting in found]


async def create_notifications(call: Call[CreateNotifications]) -> list[Any]:
    bodies, calendar_id = call.body.root, await _calendar_id(call)
    await _check_users(call, bodies, [f"{n}." for n in range(len(bodies))])
    requested = [{"is_active": True, "deleted": False, **_fields(body)} for body in bodies]
    async with call.runtime.db.transaction() as db:
        added = await add_settings(db, call.account_id, calendar_id, requested, now=call.now)
    return [_as_json(setting) for setting in added]


async def get_notification(call: Call) -> Reply:
    calendar_id, setting_id = await _calendar_id(call), call.id("notificationId")
    found = await notification_settings.get_setting(
        call.runtime.db, call.account_id, calendar_id, setting_id
    )
    if found is None:
        raise NotFound("notificationId")
    return Reply(_as_json(found), headers=_etag(found))


async def update_notification(call: Call[UpdateNotification]) -> Reply:
    await _check_users(call, [call.body], [""])
    return await _change(call, _fields(call.body), "Notification updated successfully")


async def delete_notification(call: Call) -> Reply:
    return await _change(call, {"deleted": True}, "Notification deleted successfully")


async def _change(call: AnyCall, fields: Mapping[str, Any], message: str) -> Reply:
    calendar_id, setting_id = await _calendar_id(call), call.id("notificationId")
    async with call.runtime.db.transaction() as db:
        changed = await change_setting(
            db,
            call.account_id,
            calendar_id,
            setting_id,
            fields,
            if_match=call.if_match,
            now=call.now,
        )
    return Reply({"message": message}, headers=_etag(changed))


def _etag(setting: NotificationSetting) -> Mapping[str, str]:
    return {"ETag": f'"{setting.version}"'}


_COLLECTION = "/calendars/{calendarId}/notifications"
_SETTING = _COLLECTION + "/{notificationId}"
_READ_SCOPES = ("calendars.readonly", "calendars/events.readonly")
_WRITE_SCOPES = ("calendars.write", "calendars/events.write")
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
        _COLLECTION,
        list_notifications,
        _READ_SCOPES,
        query=NotificationListQuery,
        reply=list[NotificationResponse],
        summary="Get notifications",
    ),
    Route(
        "POST",
        _COLLECTION,
        create_notifications,
        _WRITE_SCOPES,
        body=CreateNotifications,
        reply=list[NotificationResponse],
        summary="Create notifications",
        examples={
            "With a wording of its own": [_EXAMPLE],
            "Switched off": [{**_EXAMPLE, "isActive": False}],
        },
    ),
    Route(
        "GET",
        _SETTING,
        get_notification,
        _READ_SCOPES,
        reply=NotificationResponse,
        summary="Get notification",
    ),
    Route(
        "PUT",
        _SETTING,
        update_notification,
        _WRITE_SCOPES,
        body=UpdateNotification,
        reply=NotificationMessage,
        summary="Update notification",
        refusals=(PreconditionFailed,),
        examples={"Switch it off": {"isActive": False}},
    ),
    Route(
        "DELETE",
        _SETTING,
        delete_notification,
        _WRITE_SCOPES,
        reply=NotificationMessage,
        summary="Delete notification",
        refusals=(PreconditionFailed,),
    ),
)
