"""What the Google event of an appointment should say, and the next step towards that."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hoop_events.booking import Appointment
from hoop_platform.direction import without_overrides
from hoop_platform.reconcile.observed_state import ObservedState
from hoop_platform.reconcile.plan import Delete, InSync, LostCalls, Step, Update, next_step


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
        summary=without_overrides(personal.title).strip() or "Appointment",
        description="\n\n".join(filter(None, paragraphs)),
        location=personal.address.strip() or link or "",
        start=appointment.start_time,
        end=appointment.end_time,
        time_zone=appointment.time_zone,
    )


@dataclass(frozen=True)
class DesiredEvent:
    """How one appointment should be shown in one connected calendar; `draft` None: not at all."""

    draft: EventDraft | None
    sequence: int
    """Of the appointment. A newer state is desired anew, also if its draft is the same."""
    has_first_id: bool = False
    """Whether the connection may use the appointment's first id in this Google calendar."""

    @property
    def content(self) -> dict[str, Any] | None:
        return self.draft.as_json() if self.draft else None

    def as_json(self) -> dict[str, Any]:
        return {
            "draft": self.content,
            "sequence": self.sequence,
            "has_first_id": self.has_first_id,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "DesiredEvent":
        draft = stored["draft"]
        return cls(
            EventDraft.from_json(draft) if draft else None,
            stored["sequence"],
            stored.get("has_first_id", False),
        )


def plan(desired: DesiredEvent, observed: ObservedState, *, lost_calls: LostCalls) -> Step:
    """The next step towards one event with this draft in the Google calendar, and no other event.

    Events of a connection that was ended stay as they are. An event of which a pull has found that
    somebody else has changed or deleted it (`drift`) is written again.
    """
    if observed.account is None:
        return InSync()
    for found in observed.ours:
        if found.may_exist and found.data.get("calendar") != observed.account.external_id:
            return Delete(found)
    step = next_step(desired.content, observed, lost_calls=lost_calls)
    live = observed.live
    return Update(live) if step == InSync() and live is not None and "drift" in live.data else step
