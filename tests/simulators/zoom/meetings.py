"""The users and meetings that exist in the simulated Zoom."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from simulators.zoom.contract import DEFAULT_SETTINGS, in_utc

LISTED = (
    "agenda",
    "created_at",
    "duration",
    "host_id",
    "id",
    "join_url",
    "start_time",
    "timezone",
    "topic",
    "type",
    "uuid",
)
LIST_AGENDA = 250  # a list shows only the beginning of an agenda


@dataclass(frozen=True)
class ZoomUser:
    """One Zoom user; all properties are derived from the name that the test uses."""

    name: str

    @property
    def id(self) -> str:
        return _digest(self.name)[:22]

    @property
    def email(self) -> str:
        return self.name if "@" in self.name else f"{self.name}@example.com"

    @property
    def account_id(self) -> str:
        return _digest(self.email.partition("@")[2])[:22]

    def profile(self) -> dict[str, Any]:
        first = self.email.partition("@")[0].title()
        return {
            "id": self.id,
            "account_id": self.account_id,
            "email": self.email,
            "first_name": first,
            "last_name": "Example",
            "display_name": f"{first} Example",
            "type": 2,
            "role_name": "Member",
            "status": "active",
            "pmi": 10**9 + int.from_bytes(self.id.encode()) % (9 * 10**9),
            "timezone": "UTC",
            "verified": 1,
            "created_at": "2024-01-01T00:00:00Z",
        }


@dataclass
class ZoomMeeting:
    """One meeting. `fields` are Zoom's; the start link is created anew for each response."""

    user: ZoomUser
    fields: dict[str, Any]

    @property
    def id(self) -> int:
        return int(self.fields["id"])

    def as_json(self) -> dict[str, Any]:
        return {"user": self.user.name, **self.fields}

    def listed(self) -> dict[str, Any]:
        item = {name: self.fields[name] for name in LISTED}
        return {**item, "agenda": item["agenda"][:LIST_AGENDA]}


@dataclass
class MeetingStore:
    """All meetings by id."""

    live: dict[int, ZoomMeeting] = field(default_factory=dict)
    deleted: dict[int, ZoomMeeting] = field(default_factory=dict)

    def create(
        self, user: ZoomUser, body: dict[str, Any], *, now: datetime, join_base: str
    ) -> ZoomMeeting:
        meeting = ZoomMeeting(user, {**_first_fields(user, now), **self._links(join_base)})
        self.live[meeting.id] = meeting
        _apply(meeting, body)
        return meeting

    def find(self, meeting_id: str, user: ZoomUser | None = None) -> ZoomMeeting | None:
        """The live meeting, if it belongs to this user (None: to any user)."""
        meeting = self.live.get(int(meeting_id)) if meeting_id.isdecimal() else None
        if meeting is None or (user is not None and meeting.user != user):
            return None
        return meeting

    def update(self, meeting: ZoomMeeting, body: dict[str, Any]) -> None:
        _apply(meeting, body)

    def delete(self, meeting: ZoomMeeting) -> None:
        self.deleted[meeting.id] = self.live.pop(meeting.id)

    def of(self, user: ZoomUser) -> list[ZoomMeeting]:
        """The user's live meetings, sorted by start and id."""
        mine = [m for m in self.live.values() if m.user == user]
        return sorted(mine, key=lambda m: (m.fields["start_time"], m.id))

    def _links(self, join_base: str) -> dict[str, Any]:
        """A new id of 11 digits, and the join link."""
        number = 0
        while not number or number in self.live or number in self.deleted:
            number = 80_000_000_000 + secrets.randbelow(10_000_000_000)
        key = secrets.token_urlsafe(16)
        return {
            "id": number,
            "encrypted_password": key,
            "join_url": f"{join_base}/{number}?pwd={key}",
        }


def start_url(meeting: ZoomMeeting) -> str:
    """A link that starts the meeting as its host; another one for each call."""
    base = meeting.fields["join_url"].partition("?")[0].replace("/j/", "/s/")
    return f"{base}?zak={secrets.token_urlsafe(32)}"


def _first_fields(user: ZoomUser, now: datetime) -> dict[str, Any]:
    return {
        "uuid": base64.b64encode(secrets.token_bytes(16)).decode(),
        "host_id": user.id,
        "host_email": user.email,
        "topic": "Zoom Meeting",
        "type": 2,
        "status": "waiting",
        "start_time": _second(now),
        "duration": 60,
        "timezone": "UTC",
        "agenda": "",
        "created_at": _second(now),
        "password": secrets.token_hex(3),
        "settings": DEFAULT_SETTINGS,
        "pre_schedule": False,
    }


def _apply(meeting: ZoomMeeting, body: dict[str, Any]) -> None:
    """Merge the body as Zoom does: each setting by itself, times in UTC."""
    fields = meeting.fields
    settings = {**fields["settings"], **body.get("settings", {})}
    fields.update(body)
    fields["settings"] = settings
    if "start_time" in body:
        fields["start_time"] = in_utc(body["start_time"], ZoneInfo(fields["timezone"]))


def _second(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
