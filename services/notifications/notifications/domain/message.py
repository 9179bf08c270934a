"""The content of one message: its receiver, when and where the appointment is, and what has changed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from hoop_events.booking import Appointment
from hoop_platform.mail_addresses import ascii_address
from hoop_scheduling.zones import is_zone, zone_named
from notifications.domain.text import fill, one_line, plain, web_link

Kind = Literal["booked", "confirmed", "rescheduled", "updated", "declined", "cancelled", "link"]
"""booked: on, for the first time or again · confirmed: a request was confirmed · updated: another place,
title or description, or several changes in a series · declined: a request that was never confirmed."""
ENDS: frozenset[Kind] = frozenset({"cancelled", "declined"})
Role = Literal["contact", "user", "addressee", "colleague"]
"""The last two get messages because a setting names them: an address, and another user of the account."""
LinkStatus = Literal["none", "here", "coming", "after_confirmation", "unavailable"]
MAX_BODY_LENGTH = 20_000  # characters, with the placeholders replaced


@dataclass(frozen=True)
class Receiver:
    """A person whom messages go to. Of an `erased` receiver nothing but the id is left."""

    id: str
    name: str = ""
    email: str = ""
    time_zone: str | None = None
    erased: bool = False


@dataclass(frozen=True)
class NotificationContext:
    """Names around an appointment; None until the event that announces the name has been handled."""

    calendar: str | None = None
    location: str | None = None
    time_zone: str | None = None
    """The location's."""
    contact: str = ""
    """The contact's name."""
    host: str = ""
    """The assigned user's name."""

    @property
    def is_known(self) -> bool:
        """Whether the names of calendar and location are known."""
        return self.calendar is not None and self.location is not None


@dataclass(frozen=True)
class Wording:
    """The texts of a setting that replace the default texts; an empty one replaces nothing."""

    subject: str = ""
    body: str = ""
    """Replaces greeting and first sentence; time and location follow below in any case."""
    sender: str = ""
    """The display name in `From`."""


@dataclass(frozen=True)
class TimeRange:
    """Half-open: `[start, end)`."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class OccurrenceContent:
    """What a message about a series says of one of its occurrences."""

    appointment_id: str
    sequence: int
    time: TimeRange
    previous_time: TimeRange | None
    join_url: str | None
    link_status: LinkStatus
    is_on: bool
    confirmed: bool
    is_news: bool
    """Whether the receiver does not know this of it yet."""


@dataclass(frozen=True)
class MessageContent:
    """Everything that a mail is built from: equal contents give mails that are equal to the last byte.

    All texts are cleaned; times are UTC, to be shown in `time_zone`.
    """

    kind: Kind
    role: Role
    appointment_id: str
    """Of a series: of the occurrence that the message begins with."""
    sequence: int
    """The sequence of the appointment's event: greater in each later message, cancellations included."""
    address: str
    name: str
    other: str
    """The name of the other party: of the host for the contact, else of the contact."""
    title: str
    description: str
    calendar: str
    location: str
    venue: str
    time_zone: str
    time: TimeRange
    previous_time: TimeRange | None
    """The time in the receiver's last message, if it was another one."""
    join_url: str | None
    link_status: LinkStatus
    hint: str
    """What the host can do if the meeting link cannot be created."""
    confirmed: bool
    has_new_host: bool
    """The appointment is on, with other hosts: a former host gets a cancellation."""
    written_at: datetime
    wording: Wording = Wording()
    """With all placeholders replaced."""
    series_id: str | None = None
    occurrences: tuple[OccurrenceContent, ...] = ()
    """Of a series: all that lie ahead, and those that this message says are off, by start."""
    has_new_venue: bool = False

    @property
    def is_on(self) -> bool:
        """Whether the message says that the appointment takes place."""
        return self.kind not in ENDS

    @property
    def conversation_id(self) -> str:
        """The id of the series, or of the single appointment: what mail programs show together."""
        return self.series_id or self.appointment_id

    @property
    def has_links_to_come(self) -> bool:
        """Whether a link to join is being made."""
        return "coming" in (self.link_status, *(each.link_status for each in self.occurrences))

    @property
    def when(self) -> str:
        return format_time(self.time, self.time_zone)

    @property
    def when_before(self) -> str | None:
        return self.format(self.previous_time)

    def format(self, time: TimeRange | None) -> str | None:
        """A time in the receiver's time zone."""
        return None if time is None else format_time(time, self.time_zone)

    @property
    def day(self) -> str:
        """The start, short enough for a subject."""
        start = self.start
        return f"{start:%a} {start.day} {start:%b %Y}, {start:%H:%M}"

    @property
    def start(self) -> datetime:
        """The start in the receiver's time zone."""
        return self.time.start.astimezone(zone_named(self.time_zone))


def format_time(time: TimeRange, time_zone: str) -> str:
    """`Monday, 1 March 2027, 09:00 - 09:30 (Europe/Berlin, UTC+01:00)`.

    With the second date if the range ends on another day, and with both offsets if they differ.
    """
    start, end = (moment.astimezone(zone_named(time_zone)) for moment in (time.start, time.end))
    until = f"{end:%H:%M}" if end.date() == start.date() else f"{_date(end)}, {end:%H:%M}"
    if start.utcoffset() == end.utcoffset():
        return f"{_date(start)}, {start:%H:%M} - {until} ({time_zone}, {_offset(start)})"
    return (
        f"{_date(start)}, {start:%H:%M} ({_offset(start)}) - {until} ({_offset(end)}) ({time_zone})"
    )


def _date(moment: datetime) -> str:
    return f"{moment:%A}, {moment.day} {moment:%B %Y}"


def _offset(moment: datetime) -> str:
    offset = moment.utcoffset() or timedelta()
    sign = "-" if offset < timedelta() else "+"
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    return f"UTC{sign}{hours:02}:{minutes:02}"


def join_link(state: Appointment) -> str | None:
    """The appointment's meeting link; that of a detached meeting works until the meeting is over."""
    return state.meeting.join_url if state.meeting.state in ("ready", "detached") else None


def is_confirmed(state: Appointment) -> bool:
    """Whether a person or the calendar's setting has confirmed the appointment."""
    return state.confirmed or state.appointment_status != "new"


def build_content(
    kind: Kind,
    role: Role,
    state: Appointment,
    *,
    receiver: Receiver,
    context: NotificationContext,
    time: TimeRange,
    previous_time: TimeRange | None,
    now: datetime,
    wording: Wording = Wording(),
    occurrences: tuple[OccurrenceContent, ...] = (),
    has_new_venue: bool = False,
) -> MessageContent:
    """The content of a message to `receiver`, in the receiver's time zone or else the location's."""
    url, link_status = link_of(state, is_on=kind not in ENDS)
    calendar = one_line(context.calendar or "")
    content = MessageContent(
        kind=kind,
        role=role,
        appointment_id=state.id,
        sequence=state.sequence,
        address=ascii_address(receiver.email) or receiver.email,
        name=one_line(receiver.name, limit=80),
        other=one_line(context.host if role == "contact" else context.contact, limit=80),
        title=one_line(state.personal.title) or calendar or "Appointment",
        description=plain(state.personal.description),
        calendar=calendar,
        location=one_line(context.location or ""),
        venue=one_line(state.personal.address),
        time_zone=_first_zone(receiver.time_zone, context.time_zone, state.time_zone),
        time=time,
        previous_time=previous_time,
        join_url=url,
        link_status=link_status,
        hint=one_line(state.meeting.message or "") if role == "user" and url is None else "",
        confirmed=is_confirmed(state),
        has_new_host=kind == "cancelled" and state.occupies,
        written_at=now,
        series_id=None if state.series is None else state.series.master,
        occurrences=occurrences,
        has_new_venue=has_new_venue,
    )
    return replace(content, wording=_filled(wording, _placeholder_values(content, context)))


def _filled(wording: Wording, values: Mapping[str, str]) -> Wording:
    return Wording(
        subject=one_line(fill(wording.subject, values)),
        body=plain(fill(wording.body, values), limit=MAX_BODY_LENGTH),
        sender=one_line(wording.sender, limit=80),
    )


def _placeholder_values(content: MessageContent, context: NotificationContext) -> Mapping[str, str]:
    start, end = content.start, content.time.end.astimezone(zone_named(content.time_zone))
    contact = one_line(context.contact, limit=80)
    return {
        "appointment.description": content.description,
        "appointment.end_time": f"{_date(end)}, {end:%H:%M}",
        "appointment.meeting_location": content.join_url or content.venue or content.location,
        "appointment.only_start_date": _date(start),
        "appointment.only_start_time": f"{start:%H:%M}",
        "appointment.start_time": f"{_date(start)}, {start:%H:%M}",
        "appointment.timezone": content.time_zone,
        "appointment.title": content.title,
        "calendar.name": content.calendar,
        "contact.first_name": contact.partition(" ")[0],
        "contact.name": contact,
        "location.name": content.location,
        "user.name": one_line(context.host, limit=80),
    }


def link_of(state: Appointment, *, is_on: bool) -> tuple[str | None, LinkStatus]:
    """The link to join, and what the message says of it; no link for what is off."""
    if not is_on:
        return None, "none"
    url = web_link(join_link(state))
    return url, _link_status(state, url)


def _first_zone(*names: str | None) -> str:
    return next((name for name in names if name and is_zone(name)), "UTC")


def _link_status(state: Appointment, url: str | None) -> LinkStatus:
    meeting = state.meeting
    if url is not None:
        return "here"
    if meeting.state == "pending" and meeting.reason == "awaiting_confirmation":
        return "after_confirmation"
    if meeting.state in ("pending", "blocked"):
        return "coming"
    return "none" if meeting.state == "none" else "unavailable"
