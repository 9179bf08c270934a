"""What an appointment should look like in Google, and the next step towards that."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from hoop_events.booking import Appointment

SETTLE = timedelta(seconds=30)
"""After this long a call whose answer was lost has either happened or never will: three timeouts."""

_DIGITS = "0123456789abcdefghijklmnopqrstuv"


def subject_of(appointment_id: str, connection_id: str) -> str:
    """The subject of a wish: one appointment in one connected calendar."""
    return f"{appointment_id}.{connection_id}"


def parts_of(subject: str) -> tuple[str, str]:
    """Appointment and connection of a subject."""
    appointment_id, _, connection_id = subject.partition(".")
    return appointment_id, connection_id


def event_id(appointment_id: str, generation: int) -> str:
    """The id that we choose, so that Google itself refuses a second event.

    Google allows `0-9a-v`. An id once used stays used for ever, so the next one after a deletion
    ends with the next generation, in base 32.
    """
    digits = ""
    while generation:
        generation, digit = divmod(generation, 32)
        digits = _DIGITS[digit] + digits
    return appointment_id + (digits or "0")


@dataclass(frozen=True)
class Draft:
    """What of an appointment is written into its event."""

    summary: str
    description: str
    location: str
    start: datetime
    end: datetime
    time_zone: str

    def as_json(self) -> dict[str, Any]:
        return {
            "summary": self.summary,
            "description": self.description,
            "location": self.location,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "timeZone": self.time_zone,
        }

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> "Draft":
        return cls(
            summary=said["summary"],
            description=said["description"],
            location=said["location"],
            start=datetime.fromisoformat(said["start"]),
            end=datetime.fromisoformat(said["end"]),
            time_zone=said["timeZone"],
        )


def draft_of(appointment: Appointment) -> Draft | None:
    """What to write of it; None when it occupies no time (any more)."""
    if not appointment.occupies or appointment.deleted:
        return None
    meeting, text = appointment.meeting, appointment.personal
    shown = meeting.state in ("ready", "detached") and meeting.join_url
    link = meeting.join_url if shown else None
    said = [text.description.strip(), f"Join: {link}" if link else ""]
    return Draft(
        summary=text.title.strip() or "Appointment",
        description="\n\n".join(filter(None, said)),
        location=text.address.strip() or link or "",
        start=appointment.start_time,
        end=appointment.end_time,
        time_zone=appointment.time_zone,
    )


@dataclass(frozen=True)
class Made:
    """An event that we have made or may have made. `age` is counted from the last intent."""

    generation: int
    remote_calendar: str
    event_id: str
    state: Literal["intended", "live", "gone", "abandoned"]
    etag: str | None
    draft: Draft | None
    """What it says, as far as we know."""
    drifted: bool
    """Somebody else has changed or deleted it; we restore it with the next change of ours."""
    age: timedelta

    @property
    def may_exist(self) -> bool:
        return self.state in ("intended", "live")


@dataclass(frozen=True)
class Rest:
    """Google is as wanted."""


@dataclass(frozen=True)
class Insert:
    """Make it, under a new id or under the one that was intended already."""

    again: Made | None = None


@dataclass(frozen=True)
class Change:
    made: Made


@dataclass(frozen=True)
class Remove:
    made: Made


Step = Rest | Insert | Change | Remove


def next_step(wanted: Draft | None, made: Sequence[Made], *, remote_calendar: str) -> Step:
    """The next step towards exactly one event where one is wanted, and none elsewhere."""
    existing = [event for event in made if event.may_exist]
    right = [event for event in existing if event.remote_calendar == remote_calendar]
    kept = max(right, key=lambda event: event.generation, default=None) if wanted else None
    for event in existing:
        if event is not kept:
            return Remove(event)
    if wanted is None:
        return Rest()
    if kept is None or kept.state == "intended":
        return Insert(kept)
    return Change(kept) if kept.drifted or kept.draft != wanted else Rest()
