"""A requested time, and the refusals of one that cannot be had."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from booking.domain.calendars import Calendar
from hoop_platform.errors import (
    CalendarInactive,
    Detail,
    NoHost,
    Refused,
    SlotUnavailable,
    WrongLength,
    invalid,
)


@dataclass(frozen=True)
class RequestedTime:
    """The requested time and host, and how strictly the calendar's rules apply."""

    start: datetime
    end: datetime
    host: str | None = None
    prefer: str | None = None
    """The present host, who is kept if free."""
    ignore_range: bool = False
    ignore_rules: bool = False
    relieve: str | None = None
    """The present host, who is to be replaced, by `host` or by any member who is free."""
    any_length: bool = False
    """The appointment has this length already, which need not be the calendar's."""


class SlotLost(SlotUnavailable):
    """The requested time is taken; keeps calendar and request, to find alternatives for.

    `free_hosts`: who could take it instead of the named host.
    """

    def __init__(
        self,
        reason: str,
        calendar_id: str,
        request: RequestedTime,
        *,
        free_hosts: Sequence[str] | None = None,
    ) -> None:
        text = "cannot take this time; `allowed` are the members who can"
        taken = (
            () if free_hosts is None else (Detail("assignedUserId", "not_free", text, free_hosts),)
        )
        super().__init__(details=taken, extra={"reason": reason})
        self.calendar_id = calendar_id
        self.request = request


def refusal(reason: str, calendar: Calendar, request: RequestedTime) -> Refused:
    """The refusal of this API for the slot engine's reason."""
    match reason:
        case "inactive":
            return CalendarInactive()
        case "no_host":
            return NoHost()
        case "wrong_length":
            return WrongLength()
        case "not_a_member":
            return not_a_member(calendar)
        case _:
            return SlotLost(reason, calendar.id, request)


def not_a_member(calendar: Calendar) -> Refused:
    text = "The user id not part of calendar team"
    return invalid("assignedUserId", "not_a_member", text, calendar.hosts)
