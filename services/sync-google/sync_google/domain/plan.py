"""What the Google event of an appointment should say, and the next step towards that."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from hoop_events.booking import Appointment

SETTLE = timedelta(seconds=30)
"""A call without a response has had its effect after this time or never will: three timeouts."""


@dataclass(frozen=True)
class EventDraft:
    """The fields of an appointment that are written into its Google event."""

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
    def from_json(cls, stored: dict[str, Any]) -> "EventDraft":
        return cls(
            summary=stored["summary"],
            description=stored["description"],
            location=stored["location"],
            start=datetime.fromisoformat(stored["start"]),
            end=datetime.fromisoformat(stored["end"]),
            time_zone=stored["timeZone"],
        )


def draft_of(appointment: Appointment) -> EventDraft | None:
    """The event that the appointment should have; None when the appointment occupies no time."""
    if not appointment.occupies or appointment.deleted:
        return None
    meeting, personal = appointment.meeting, appointment.personal
    has_link = meeting.state in ("ready", "detached") and meeting.join_url
    link = meeting.join_url if has_link else None
    paragraphs = [personal.description.strip(), f"Join: {link}" if link else ""]
    return EventDraft(
        summary=personal.title.strip() or "Appointment",
        description="\n\n".join(filter(None, paragraphs)),
        location=personal.address.strip() or link or "",
        start=appointment.start_time,
        end=appointment.end_time,
        time_zone=appointment.time_zone,
    )


@dataclass(frozen=True)
class ExternalObject:
    """An event that we have created in Google, or may have created. `age` counts from the last intent."""

    generation: int
    remote_calendar: str
    event_id: str
    state: Literal["intended", "live", "gone", "abandoned"]
    etag: str | None
    draft: EventDraft | None
    """What the event says, as far as we know; None: unknown."""
    drifted: bool
    """Somebody else has changed or deleted the event; our next change restores it."""
    age: timedelta

    @property
    def may_exist(self) -> bool:
        return self.state in ("intended", "live")


@dataclass(frozen=True)
class InSync:
    """Google agrees with the desired state."""


@dataclass(frozen=True)
class CreateEvent:
    """Create the event: under a new id, or again under the id of an earlier intent."""

    intended: ExternalObject | None = None


@dataclass(frozen=True)
class UpdateEvent:
    """Write the draft into an event that exists."""

    event: ExternalObject


@dataclass(frozen=True)
class DeleteEvent:
    """Delete an event that exists or may exist."""

    event: ExternalObject


Step = InSync | CreateEvent | UpdateEvent | DeleteEvent


def next_step(
    desired: EventDraft | None, observed: Sequence[ExternalObject], *, remote_calendar: str
) -> Step:
    """The next step towards one event in `remote_calendar` if `desired` is a draft, and no other event."""
    existing = [event for event in observed if event.may_exist]
    candidates = [event for event in existing if event.remote_calendar == remote_calendar]
    kept = max(candidates, key=lambda event: event.generation, default=None) if desired else None
    for event in existing:
        if event is not kept:
            return DeleteEvent(event)
    if desired is None:
        return InSync()
    if kept is None or kept.state == "intended":
        return CreateEvent(kept)
    return UpdateEvent(kept) if kept.drifted or kept.draft != desired else InSync()
