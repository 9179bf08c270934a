"""From appointments to sessions: who sits where, and what that adds up to at a provider."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from hoop_events.booking import Appointment

Phase = Literal["wanted", "awaiting", "over"]

ONLINE: Mapping[str, str] = {
    "zoom": "zoom",
    "zoom_conference": "zoom",
    "teams": "teams",
    "ms_teams": "teams",
    "ms_teams_conference": "teams",
}
"""Kinds of meeting location → the provider whose link they need."""

MADE_HERE = frozenset({"zoom"})
"""The providers there is an adapter for."""

EDITS_WAIT = timedelta(days=3650)
"""An edit of what exists stands in the queue behind everything that makes or drops a meeting."""


@dataclass(frozen=True, order=True)
class Place:
    """A session at one provider: what a link belongs to."""

    account_id: str
    session: str
    provider: str

    @property
    def subject(self) -> str:
        """How wishes, references and announcements name it."""
        return f"{self.session}.{self.provider}"

    @classmethod
    def of(cls, account_id: str, subject: str) -> Self:
        session, _, provider = subject.partition(".")
        return cls(account_id, session, provider)


@dataclass(frozen=True)
class Seat:
    """One appointment in one session, as its newest event said."""

    account_id: str
    appointment_id: str
    location_id: str
    session: str
    provider: str | None
    host: str
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    title: str
    shared: bool
    confirmed: bool
    occupies: bool
    sequence: int

    @property
    def place(self) -> Place | None:
        if self.provider not in MADE_HERE:
            return None
        return Place(self.account_id, self.session, self.provider)

    @property
    def counts(self) -> bool:
        """It has been confirmed once and still occupies time: its session deserves a link."""
        return self.confirmed and self.occupies


@dataclass(frozen=True)
class Access:
    """The host's connection to the provider: active, or waiting for somebody to act."""

    connection_id: str
    active: bool
    reason: str | None
    external_id: str | None
    sequence: int

    @property
    def stamp(self) -> str:
        """Changes whenever the connection does."""
        return f"{self.connection_id}:{self.sequence}"


@dataclass(frozen=True)
class Wanted:
    """What all seats of a session together ask of the provider."""

    phase: Phase
    host: str
    start: datetime
    end: datetime
    time_zone: str
    topic: str

    @property
    def minutes(self) -> int:
        """The length in whole minutes, as providers take it: 1 minute to 24 hours."""
        return min(max(-((self.start - self.end) // timedelta(minutes=1)), 1), 1440)

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "start": self.start.isoformat(), "end": self.end.isoformat()}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        known = {name: said[name] for name in ("phase", "host", "time_zone", "topic")}
        start, end = (datetime.fromisoformat(said[name]) for name in ("start", "end"))
        return cls(**known, start=start, end=end)

    def due(self, *, exists: bool) -> datetime:
        """How urgent it is, as a moment: sooner is first."""
        only_an_edit = exists and self.phase == "wanted"
        return self.start + EDITS_WAIT if only_an_edit else self.start


def seat_of(account_id: str, state: Appointment) -> Seat:
    """Where an appointment sits. The first host's account makes the link."""
    return Seat(
        account_id=account_id,
        appointment_id=state.id,
        location_id=state.location_id,
        session=state.session,
        provider=ONLINE.get(state.meeting_location_type),
        host=state.hosts[0] if state.hosts else state.calendar_id,
        starts_at=state.start_time,
        ends_at=state.end_time,
        time_zone=state.time_zone,
        title=state.personal.title,
        shared=state.shared,
        confirmed=state.confirmed,
        occupies=state.occupies,
        sequence=state.sequence,
    )


def fold(seats: Iterable[Seat], before: Wanted | None) -> Wanted | None:
    """What the seats of one place ask for now. None: nothing, and nothing was ever asked.

    The order in which the seats were taken does not matter, hence neither does the partition that
    was consumed first.
    """
    present = sorted((s for s in seats if s.occupies), key=lambda seat: seat.appointment_id)
    counting = [seat for seat in present if seat.counts]
    if not present:
        return replace(before, phase="over") if before else None
    return Wanted(
        phase="wanted" if counting else "awaiting",
        host=present[0].host,
        start=present[0].starts_at,
        end=max(seat.ends_at for seat in counting or present),
        time_zone=present[0].time_zone,
        topic=_topic(counting or present),
    )


def _topic(seats: list[Seat]) -> str:
    """The title of a 1:1. One client's title is not for the others of a class to read."""
    if len(seats) > 1 or seats[0].shared:
        return "Group session"
    return " ".join(seats[0].title.split())[:200] or "Appointment"
