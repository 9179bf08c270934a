"""What one mail says, as facts: whom it is for, when and where the appointment is, what has changed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from hoop_events.booking import Appointment
from hoop_scheduling.zones import is_zone, zone_named
from notifications.domain.placeholders import fill
from notifications.domain.text import one_line, plain, web_link

Kind = Literal["booked", "rescheduled", "cancelled", "link"]
Role = Literal["contact", "user", "addressee", "colleague"]
"""The last two are told because a setting names them: an address, and another user of the account."""
LONGEST_BODY = 20_000  # characters, with the facts in their places
LinkNews = Literal["none", "here", "coming", "after_confirmation", "unavailable"]


@dataclass(frozen=True)
class Receiver:
    """A person as far as we must know one to write to them. Nothing but the id is left of one `gone`."""

    id: str
    name: str = ""
    email: str = ""
    time_zone: str | None = None
    gone: bool = False


@dataclass(frozen=True)
class Scene:
    """What surrounds an appointment; a name is None as long as we have not heard of it."""

    calendar: str | None = None
    location: str | None = None
    time_zone: str | None = None
    """The location's."""
    contact: str = ""
    """The contact's name."""
    host: str = ""
    """The assigned user's name."""

    @property
    def known(self) -> bool:
        return self.calendar is not None and self.location is not None


@dataclass(frozen=True)
class Wording:
    """What a setting puts in place of our own words; empty: ours stay."""

    subject: str = ""
    body: str = ""
    """Instead of greeting and news; when and where stand below in any case."""
    sender: str = ""
    """The name that a mail comes from."""


@dataclass(frozen=True)
class Span:
    """Half-open: `[start, end)`."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Letter:
    """Everything that a mail is made of: two mails of one letter are the same to the last byte.

    All texts are clean already; times are UTC, to be shown in `zone`.
    """

    kind: Kind
    role: Role
    appointment_id: str
    sequence: int
    """Of the appointment's announcements: it grows with every mail, a cancellation's included."""
    address: str
    name: str
    other: str
    title: str
    description: str
    calendar: str
    location: str
    place: str
    zone: str
    at: Span
    was: Span | None
    """The time that the receiver was told before, in a `rescheduled` letter."""
    join_url: str | None
    link: LinkNews
    hint: str
    """What the host can do when the link cannot be made."""
    confirmed: bool
    handed_over: bool
    """It takes place, but with another host: what a former host is told as a cancellation."""
    written_at: datetime
    wording: Wording = Wording()
    """All facts are in their places."""

    @property
    def stands(self) -> bool:
        return self.kind != "cancelled"

    @property
    def when(self) -> str:
        return when(self.at, self.zone)

    @property
    def when_before(self) -> str | None:
        return None if self.was is None else when(self.was, self.zone)

    @property
    def day(self) -> str:
        """The start, short enough for a subject."""
        start = self.start
        return f"{start:%a} {start.day} {start:%b %Y}, {start:%H:%M}"

    @property
    def start(self) -> datetime:
        """On the receiver's clock."""
        return self.at.start.astimezone(zone_named(self.zone))


def when(span: Span, zone: str) -> str:
    """`Monday, 1 March 2027, 09:00 - 09:30 (Europe/Berlin, UTC+01:00)`, or more where the clocks change."""
    start, end = (moment.astimezone(zone_named(zone)) for moment in (span.start, span.end))
    until = f"{end:%H:%M}" if end.date() == start.date() else f"{_date(end)}, {end:%H:%M}"
    if start.utcoffset() == end.utcoffset():
        return f"{_date(start)}, {start:%H:%M} - {until} ({zone}, {_offset(start)})"
    return f"{_date(start)}, {start:%H:%M} ({_offset(start)}) - {until} ({_offset(end)}) ({zone})"


def _date(moment: datetime) -> str:
    return f"{moment:%A}, {moment.day} {moment:%B %Y}"


def _offset(moment: datetime) -> str:
    away = moment.utcoffset() or timedelta()
    sign = "-" if away < timedelta() else "+"
    hours, minutes = divmod(abs(away) // timedelta(minutes=1), 60)
    return f"UTC{sign}{hours:02}:{minutes:02}"


def join_link(state: Appointment) -> str | None:
    """The link that the appointment shows: also a detached one works until its meeting is over."""
    return state.meeting.join_url if state.meeting.state in ("ready", "detached") else None


def is_confirmed(state: Appointment) -> bool:
    """Whether it has been confirmed, by a person or by the calendar's setting."""
    return state.confirmed or state.appointment_status != "new"


def write(
    kind: Kind,
    role: Role,
    state: Appointment,
    *,
    to: Receiver,
    scene: Scene,
    at: Span,
    was: Span | None,
    now: datetime,
    wording: Wording = Wording(),
) -> Letter:
    """The letter to `to`, in their own zone or else the location's."""
    url = web_link(join_link(state)) if kind != "cancelled" else None
    calendar = one_line(scene.calendar or "")
    letter = Letter(
        kind=kind,
        role=role,
        appointment_id=state.id,
        sequence=state.sequence,
        address=to.email,
        name=one_line(to.name, limit=80),
        other=one_line(scene.host if role == "contact" else scene.contact, limit=80),
        title=one_line(state.personal.title) or calendar or "Appointment",
        description=plain(state.personal.description),
        calendar=calendar,
        location=one_line(scene.location or ""),
        place=one_line(state.personal.address),
        zone=_zone(to.time_zone, scene.time_zone, state.time_zone),
        at=at,
        was=was,
        join_url=url,
        link="none" if kind == "cancelled" else _link_news(state, url),
        hint=one_line(state.meeting.message or "") if role == "user" and url is None else "",
        confirmed=is_confirmed(state),
        handed_over=kind == "cancelled" and state.occupies,
        written_at=now,
    )
    return replace(letter, wording=_worded(wording, _facts(letter, scene)))


def _worded(wording: Wording, facts: Mapping[str, str]) -> Wording:
    return Wording(
        subject=one_line(fill(wording.subject, facts)),
        body=plain(fill(wording.body, facts), limit=LONGEST_BODY),
        sender=one_line(wording.sender, limit=80),
    )


def _facts(letter: Letter, scene: Scene) -> Mapping[str, str]:
    """What placeholders stand for."""
    start, end = letter.start, letter.at.end.astimezone(zone_named(letter.zone))
    contact = one_line(scene.contact, limit=80)
    return {
        "appointment.description": letter.description,
        "appointment.end_time": f"{_date(end)}, {end:%H:%M}",
        "appointment.meeting_location": letter.join_url or letter.place or letter.location,
        "appointment.only_start_date": _date(start),
        "appointment.only_start_time": f"{start:%H:%M}",
        "appointment.start_time": f"{_date(start)}, {start:%H:%M}",
        "appointment.timezone": letter.zone,
        "appointment.title": letter.title,
        "calendar.name": letter.calendar,
        "contact.first_name": contact.partition(" ")[0],
        "contact.name": contact,
        "location.name": letter.location,
        "user.name": one_line(scene.host, limit=80),
    }


def _zone(*wanted: str | None) -> str:
    return next((name for name in wanted if name and is_zone(name)), "UTC")


def _link_news(state: Appointment, url: str | None) -> LinkNews:
    meeting = state.meeting
    if url is not None:
        return "here"
    if meeting.state == "pending" and meeting.reason == "awaiting_confirmation":
        return "after_confirmation"
    if meeting.state in ("pending", "blocked"):
        return "coming"
    return "none" if meeting.state == "none" else "unavailable"
