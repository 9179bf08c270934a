"""What a calendar's settings mean: its hosts, its rules, and where its appointments take place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, lru_cache
from typing import Any, Literal

from hoop_scheduling.rules import SlotRules

Provider = Literal["zoom", "teams", "gmeet"]

PLACES: Mapping[str, str] = {
    "zoom_conference": "zoom",
    "ms_teams_conference": "ms_teams",
    "google_conference": "google",
    "inbound_call": "phone",
    "outbound_call": "phone",
    "physical": "address",
    "custom": "custom",
    "booker": "booker",
}
"""A location's kind on a calendar → the `meetingLocationType` of its appointments."""

PROVIDERS: Mapping[str, Provider] = {
    "zoom": "zoom",
    "ms_teams": "teams",
    "google": "gmeet",
    "gmeet": "gmeet",
}
"""Which of these places are online meetings, and whose."""


@dataclass(frozen=True)
class Calendar:
    """A calendar as stored. `settings` is what GET answers; its location's zone is `time_zone`."""

    account_id: str
    id: str
    location_id: str
    time_zone: str
    hosts: tuple[str, ...]
    settings: dict[str, Any]
    version: int
    sequence: int
    applied: Mapping[str, Any] = field(default_factory=dict)
    """The schedules and resources that are associated with it, as their events spell them."""
    applied_version: int = 0
    """Grows with each change of these."""

    @cached_property
    def rules(self) -> SlotRules:
        versions = (self.version, self.applied_version)
        held = _Held(self.settings, self.applied)
        return _rules(self.account_id, self.id, versions, self.time_zone, held)

    @property
    def active(self) -> bool:
        return self.settings.get("isActive") is not False

    @property
    def auto_confirms(self) -> bool:
        return bool(self.settings.get("autoConfirm", True))

    @property
    def length(self) -> timedelta:
        """Of its appointments."""
        return timedelta(milliseconds=self.rules.length)

    @property
    def takable(self) -> set[str]:
        """Whose time its appointments may take: its hosts, its rooms, its equipment."""
        return {*self.hosts, *self.rules.rooms, *(key for key, _ in self.rules.equipment)}

    @property
    def group_id(self) -> str | None:
        return self.settings.get("groupId") or None


class _Held:
    """What rules are read from, held for a cache whose key is the versions it stands in."""

    def __init__(self, settings: Mapping[str, Any], applied: Mapping[str, Any]) -> None:
        self.settings = settings
        self.applied = applied

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=10_000)
def _rules(
    account_id: str, calendar_id: str, versions: tuple[int, int], zone: str, held: _Held
) -> SlotRules:
    del account_id, versions  # part of the key only
    return rules_of(calendar_id, zone, held.settings, held.applied)


def rules_of(
    calendar_id: str, zone: str, settings: Mapping[str, Any], applied: Mapping[str, Any]
) -> SlotRules:
    """The rules of a calendar with these settings; ValueError for what cannot be computed with."""
    return SlotRules.from_calendar(
        {**settings, "id": calendar_id},
        zone,
        schedules=applied.get("schedules", ()),
        resources=applied.get("resources", ()),
    )


def hosts_of(calendar_id: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Its members; a calendar without members is its own host."""
    members = settings.get("teamMembers") or ()
    return tuple(member["userId"] for member in members) or (calendar_id,)


def meeting_ids(configurations: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The `meetingId` of each of the `locationConfigurations` of a calendar or of a member.

    Its kind and its place in the list: `custom_0`. An appointment's `meetingLocationId` is one of
    them, or `default`, which means the first.
    """
    return tuple(f"{place['kind']}_{n}" for n, place in enumerate(configurations))


def places_of(calendar: Calendar, host: str) -> Mapping[str, tuple[str, str]]:
    """`meetingLocationId` → `meetingLocationType` and address of appointments with this host."""
    configurations = _configurations(calendar, host)
    places = [(PLACES[place["kind"]], place.get("location") or "") for place in configurations]
    named = dict(zip(meeting_ids(configurations), places, strict=True))
    return {"default": places[0] if places else ("default", ""), **named}


def _configurations(calendar: Calendar, host: str) -> Sequence[Mapping[str, Any]]:
    """The member's own, else the calendar's."""
    members = calendar.settings.get("teamMembers") or ()
    own = (m.get("locationConfigurations") for m in members if m["userId"] == host)
    return next(own, None) or calendar.settings.get("locationConfigurations") or ()


def conference_members(settings: Mapping[str, Any]) -> Sequence[tuple[int, str, str]]:
    """`(index, user id, provider)` of each member whose location is a Zoom or Teams meeting."""
    kinds = {"zoom_conference": "zoom", "ms_teams_conference": "teams"}
    return [
        (index, member["userId"], kinds[place["kind"]])
        for index, member in enumerate(settings.get("teamMembers") or ())
        for place in member.get("locationConfigurations") or ()
        if place["kind"] in kinds
    ]
