"""Sessions: which appointments belong to one, and which meeting they need together at a provider."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Self
from uuid import UUID

from hoop_events.booking import Appointment
from hoop_platform.ids import from_uuid, hexed

Phase = Literal["needed", "unconfirmed", "unneeded"]
"""Of a desired meeting: needed; its members wait for confirmation; no member occupies time any more."""

UPDATE_DELAY = timedelta(days=3650)
"""Added to the due time of an update, so that creates and deletes of the same user come first."""


@dataclass(frozen=True, order=True)
class MeetingKey:
    """A session at one provider: the identity of a meeting and of its link."""

    account_id: str
    session: str
    provider: str

    @property
    def subject(self) -> str:
        """The subject of desired states, external objects and announcements: `<session>.<provider>`."""
        return f"{self.session}.{self.provider}"

    @classmethod
    def from_subject(cls, account_id: str, subject: str) -> Self:
        session, _, provider = subject.partition(".")
        return cls(account_id, session, provider)


@dataclass(frozen=True)
class SessionMember:
    """An appointment as a member of its session, as its newest event says."""

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
    def key(self) -> MeetingKey | None:
        """The key of the member's meeting; None when no provider here can make one."""
        if self.provider is None:
            return None
        return MeetingKey(self.account_id, self.session, self.provider)

    @property
    def needs_meeting(self) -> bool:
        """Whether the appointment has been confirmed and still occupies time."""
        return self.confirmed and self.occupies


@dataclass(frozen=True)
class HostAccount:
    """The provider account of a host."""

    host: str
    connection_id: str
    active: bool
    external_id: str | None
    sequence: int

    @property
    def version(self) -> str:
        return account_version(self.connection_id, self.sequence)


def account_version(connection_id: str, sequence: int) -> str:
    """Changes with every change of the provider account."""
    return f"{connection_id}:{sequence}"


@dataclass(frozen=True)
class DesiredMeeting:
    """The meeting that the members of a session need together."""

    phase: Phase
    host: str
    start: datetime
    end: datetime
    time_zone: str
    topic: str

    @property
    def minutes(self) -> int:
        """The length in whole minutes, rounded up, within what providers accept: 1 to 1440."""
        return min(max(-((self.start - self.end) // timedelta(minutes=1)), 1), 1440)

    def to_json(self) -> dict[str, Any]:
        """As JSON; the host in Postgres' spelling, for the SQL that looks for his account."""
        times = {"start": self.start.isoformat(), "end": self.end.isoformat()}
        return {**vars(self), **times, "host": hexed(self.host)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        fields = {name: stored[name] for name in ("phase", "time_zone", "topic")}
        start, end = (datetime.fromisoformat(stored[name]) for name in ("start", "end"))
        return cls(**fields, host=from_uuid(UUID(stored["host"])), start=start, end=end)

    @property
    def content(self) -> dict[str, Any]:
        """What the meeting says at the provider."""
        return {"topic": self.topic, "minutes": self.minutes}


def member_of(account_id: str, state: Appointment, *, provider: str | None) -> SessionMember:
    """The session member that an appointment is. Its meeting belongs to the first host's account.

    `provider`: who makes the meetings of the appointment's location; None if nobody here does.
    """
    return SessionMember(
        account_id=account_id,
        appointment_id=state.id,
        location_id=state.location_id,
        session=state.session,
        provider=provider,
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


def derive_desired(
    members: Iterable[SessionMember], previous: DesiredMeeting | None
) -> DesiredMeeting | None:
    """The desired meeting of a session from its members; None when there is none and never was.

    The result does not depend on the order in which the members' events were consumed, hence not on
    the order of the partitions.
    """
    present = sorted((m for m in members if m.occupies), key=lambda member: member.appointment_id)
    confirmed = [member for member in present if member.needs_meeting]
    if not present:
        return replace(previous, phase="unneeded") if previous else None
    return DesiredMeeting(
        phase="needed" if confirmed else "unconfirmed",
        host=present[0].host,
        start=present[0].starts_at,
        end=max(member.ends_at for member in confirmed or present),
        time_zone=present[0].time_zone,
        topic=_topic(confirmed or present),
    )


def _topic(members: list[SessionMember]) -> str:
    """The title of a 1:1. In a class, no client may read the title of another client."""
    if len(members) > 1 or members[0].shared:
        return "Group session"
    return " ".join(members[0].title.split())[:200] or "Appointment"
