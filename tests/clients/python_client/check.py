"""Calls every method of the official Python client that belongs to our API, and reports on each.

A program for the client's own environment: `HOOP_BASE_URL`, `HOOP_API_KEY` and `HOOP_FACTS` (JSON:
location, contact, users, day) in; a JSON object `{method: {ok, status, error}}` out. A method that
is called several times is fine if each call is.
"""

import asyncio
import json
import os
from datetime import datetime, timedelta
from typing import Any

from highlevel import HighLevel
from highlevel.services.calendars import models
from highlevel.services.calendars.calendars import Calendars
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model

FACTS = json.loads(os.environ["HOOP_FACTS"])  # noqa: TID251 -- how this program is asked
LOCATION, CONTACT = FACTS["location"], FACTS["contact"]
USER, COLLEAGUE = FACTS["users"]
DAY = datetime.fromisoformat(FACTS["day"])


# What the client's own types get wrong: its generator knows neither times nor names like `from`.
def with_times(model: type[BaseModel], *names: str) -> Any:
    return create_model(model.__name__, __base__=model, **dict.fromkeys(names, (str, ...)))


Event = with_times(models.CalendarEventDTO, "startTime", "endTime", "dateAdded", "dateUpdated")
Block = with_times(models.BlockedSlotSuccessfulResponseDto, "startTime", "endTime")


class OneEvent(models.GetCalendarEventSuccessfulResponseDTO):
    event: Event


class Events(models.GetCalendarEventsSuccessfulResponseDTO):
    events: list[Event]


class Interval(BaseModel):
    from_: str = Field(alias="from")
    to: str


class Rule(models.ScheduleRuleDTO):
    intervals: list[Interval]


class Schedule(models.ScheduleObjectResponseDTO):
    rules: list[Rule]


class OneSchedule(models.ScheduleResponseDTO):
    schedule: Schedule


class Schedules(models.GetAllSchedulesResponseDTO):
    schedules: list[Schedule]


class Success(BaseModel):
    success: bool


TYPES: dict[str, Any] = {
    "get_appointment": OneEvent,
    "get_calendar_events": Events,
    "get_blocked_slots": Events,
    "create_block_slot": Block,
    "edit_block_slot": Block,
    "get_slots": dict[str, models.SlotsSchema | str],
    "fetch_calendar_resources": list[models.CalendarResourceByIdResponseDTO],
    "get_event_notification": list[models.CalendarNotificationResponseDTO],
    "create_event_notification": list[models.CalendarNotificationResponseDTO],
    "get_all_schedules": Schedules,
    "get_schedule_by_id": OneSchedule,
    "create_schedule": OneSchedule,
    "update_schedule": OneSchedule,
    "delete_schedule": Success,
    "add_calendar_to_schedule": Success,
    "remove_calendar_from_schedule": Success,
}
"""Where the client says `Any`, or is mended above."""


def _promised(method: str) -> Any:
    """The type of a method's answers. The client's annotations are strings."""
    said = getattr(Calendars, method).__annotations__["return"]
    return TYPES.get(method) or vars(models)[said]


class Missing(dict[Any, Any]):
    """Stands for whatever a failed call did not answer, so that the next ones are tried, too."""

    def __missing__(self, key: Any) -> "Missing":
        return Missing()

    def __str__(self) -> str:
        return "missing"


class Checked:
    """The client, each of whose calls is judged and noted."""

    def __init__(self) -> None:
        HighLevel.BASE_URL = os.environ["HOOP_BASE_URL"]  # noqa: TID251 -- how it is asked
        key = os.environ["HOOP_API_KEY"]  # noqa: TID251 -- how this program is asked
        self.client = HighLevel(private_integration_token=key)
        self.report: dict[str, dict[str, Any]] = {}
        self.status = 0
        self.client.http_client.event_hooks["response"].insert(0, self._note)

    async def _note(self, response: Any) -> None:
        self.status = response.status_code

    def __getattr__(self, method: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            answer, error = await self._called(method, args, kwargs)
            before = self.report.get(method, {"ok": True})
            if before["ok"]:
                found = {"ok": error is None, "status": self.status, "error": error}
                self.report[method] = found
            return Missing() if answer is None else answer

        return call

    async def _called(self, method: str, args: Any, kwargs: Any) -> tuple[Any, str | None]:
        try:
            answer = await getattr(self.client.calendars, method)(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 -- whatever went wrong stands in the report
            said = getattr(error, "response", None)
            return None, f"{error!r} {said if said is not None else ''} asked: {args} {kwargs}"
        try:
            TypeAdapter(_promised(method)).validate_python(answer)
        except ValidationError as error:
            return answer, f"not of its type: {error} answered: {answer}"
        return answer, None


def at(hours: float) -> str:
    """A time of the day, as an appointment's body says it."""
    return (DAY + timedelta(hours=hours)).isoformat()


def ms(hours: float) -> int:
    """A time of the day, as a query says it."""
    return int((DAY + timedelta(hours=hours)).timestamp() * 1000)


def calendar_body(group: Any) -> dict[str, Any]:
    """A calendar with all that a client of some size sets."""
    day = {"openHour": 0, "openMinute": 0, "closeHour": 23, "closeMinute": 60}
    return {
        "locationId": LOCATION,
        "groupId": group,
        "name": "Python",
        "description": "By the official client",
        "slug": f"python-{USER}",
        "calendarType": "round_robin",
        "eventType": "RoundRobin_OptimizeForAvailability",
        "teamMembers": [
            {"userId": USER, "priority": 1},
            {"userId": COLLEAGUE, "priority": 0.5},
        ],
        "eventTitle": "{{contact.name}}",
        "eventColor": "#039be5",
        "slotDuration": 30,
        "slotDurationUnit": "mins",
        "slotInterval": 30,
        "slotIntervalUnit": "mins",
        "slotBuffer": 0,
        "preBuffer": 0,
        "appoinmentPerSlot": 1,
        "appoinmentPerDay": 20,
        "openHours": [{"daysOfTheWeek": [0, 1, 2, 3, 4, 5, 6], "hours": [day]}],
        "autoConfirm": True,
        "allowReschedule": True,
        "allowCancellation": True,
        "googleInvitationEmails": False,
        "notes": "None",
        "formSubmitType": "ThankYouMessage",
        "formSubmitThanksMessage": "Thank you",
        "guestType": "count_only",
        "lookBusyConfig": {"enabled": False, "LookBusyPercentage": 0},
        "isActive": True,
    }


async def groups_and_calendars(call: Any) -> tuple[Any, Any]:
    slug = f"python-group-{USER}"
    said = {"name": "Python", "description": "By the official client", "slug": slug}
    group = (await call.create_calendar_group({"locationId": LOCATION, **said}))["group"]["id"]
    await call.get_groups(LOCATION)
    await call.validate_groups_slug({"locationId": LOCATION, "slug": f"other-{slug}"})
    await call.edit_group(group, {**said, "name": "Python group"})
    calendar = (await call.create_calendar(calendar_body(group)))["calendar"]["id"]
    await call.get_calendars(LOCATION)
    await call.get_calendars(LOCATION, group_id=group, show_drafted=False)
    await call.get_calendar(calendar)
    await call.update_calendar(calendar, {"name": "Python calendar", "slotBufferUnit": "mins"})
    return group, calendar


async def appointments(call: Any, calendar: Any) -> None:
    """A slot string is sent back as it came."""
    days = await call.get_slots(
        calendar, ms(0), ms(24), timezone="Europe/Berlin", user_ids=[USER, COLLEAGUE]
    )
    slots = [slot for day, found in days.items() if day != "traceId" for slot in found["slots"]]
    booked = await call.create_appointment(
        {
            "calendarId": calendar,
            "locationId": LOCATION,
            "contactId": CONTACT,
            "startTime": slots[0] if slots else at(9),
            "title": "Python",
            "address": "Main Street 1",
            "meetingLocationType": "address",
            "appointmentStatus": "new",
            "assignedUserId": USER,
            "toNotify": False,
        }
    )
    one = booked["id"]
    await call.get_appointment(one)
    await call.edit_appointment(one, {"title": "Moved", "startTime": at(15), "endTime": at(15.5)})
    await call.get_calendar_events(LOCATION, str(ms(0)), str(ms(24)), calendar_id=calendar)
    await call.get_calendar_events(LOCATION, str(ms(0)), str(ms(24)), user_id=USER)
    await notes(call, one)
    await call.delete_event(one, {})


async def notes(call: Any, appointment: Any) -> None:
    """The last two of them this client cannot do: it sends `{noteId}` as it stands."""
    await call.create_appointment_note(appointment, {"body": "First", "userId": USER})
    await call.get_appointment_notes(10, 0, appointment)
    await call.update_appointment_note(appointment, {"body": "Second"})
    await call.delete_appointment_note(appointment)


async def block_slots(call: Any, calendar: Any) -> None:
    body = {"calendarId": calendar, "locationId": LOCATION, "title": "Closed"}
    created = await call.create_block_slot({**body, "startTime": at(11), "endTime": at(12)})
    await call.edit_block_slot(created["id"], {**body, "startTime": at(11), "endTime": at(13)})
    await call.get_blocked_slots(LOCATION, str(ms(0)), str(ms(24)), calendar_id=calendar)
    await call.delete_event(created["id"], {})


async def resources(call: Any) -> None:
    """A room and a piece of equipment of a service calendar."""
    body = calendar_body(None) | {"slug": f"service-{USER}", "calendarType": "service_booking"}
    body = {name: value for name, value in body.items() if name not in ("groupId", "eventType")}
    service = (await call.create_calendar(body))["calendar"]["id"]
    for kind in ("rooms", "equipments"):
        said = {"locationId": LOCATION, "name": kind, "description": "By the official client"}
        counts = {"quantity": 2, "outOfService": 0, "capacity": 5}
        created = await call.create_calendar_resource(
            kind, {**said, **counts, "calendarIds": [service]}
        )
        await call.fetch_calendar_resources(kind, LOCATION, 10, 0)
        await call.get_calendar_resource(kind, created["id"])
        await call.update_calendar_resource(kind, created["id"], {"name": f"New {kind}"})
        await call.delete_calendar_resource(kind, created["id"])
    await call.delete_calendar(service)


async def notifications(call: Any, calendar: Any) -> None:
    body = {"receiverType": "contact", "channel": "email", "notificationType": "confirmation"}
    reminder = {**body, "notificationType": "reminder"}
    reminder["beforeTime"] = [{"timeOffset": 1, "unit": "hours"}]
    created = await call.create_event_notification(
        calendar, [{**body, "subject": "For {{contact.name}}", "isActive": True}, reminder]
    )
    one = created[0]["_id"]
    await call.get_event_notification(calendar)
    await call.get_event_notification(calendar, is_active=True, deleted=False, limit=100, skip=0)
    await call.find_event_notification(calendar, one)
    await call.update_event_notification(calendar, one, {"isActive": False})
    await call.delete_event_notification(calendar, one)


async def schedules(call: Any, calendar: Any) -> None:
    rule = {"type": "wday", "day": "monday", "intervals": [{"from": "09:00", "to": "17:00"}]}
    created = await call.create_schedule(
        {
            "name": "Python",
            "locationId": LOCATION,
            "userId": USER,
            "timezone": "America/New_York",
            "rules": [rule],
        }
    )
    one = created["schedule"]["id"]
    await call.add_calendar_to_schedule(one, calendar)
    await call.get_all_schedules(LOCATION, USER)
    await call.get_all_schedules(LOCATION, USER, calendar_id=calendar, skip=0, limit=50)
    await call.get_schedule_by_id(one)
    await call.update_schedule(one, {"name": "Python schedule", "rules": [rule]})
    await call.remove_calendar_from_schedule(one, calendar)
    await call.delete_schedule(one)


async def main() -> None:
    call = Checked()
    group, calendar = await groups_and_calendars(call)
    await appointments(call, calendar)
    await block_slots(call, calendar)
    await resources(call)
    await notifications(call, calendar)
    await schedules(call, calendar)
    await call.disable_group(group, {"isActive": False})
    await call.delete_group(group)
    await call.delete_calendar(calendar)
    print(json.dumps(call.report))  # noqa: T201 -- what it is for


asyncio.run(main())
