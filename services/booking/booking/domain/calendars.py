"""Calendars: the hosts, the rules and the venues that follow from their settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, lru_cache
from typing import Any

from hoop_events.meeting_locations import (
    APPOINTMENT_TYPE_OF_KIND,
    PROVIDER_OF_LOCATION_TYPE,
)
from hoop_scheduling.rules import SlotRules


@dataclass(frozen=True)
class Calendar:
    """A calendar as stored. `settings` is the response to GET; `time_zone` is its location's."""

    account_id: str
    id: str
    location_id: str
    time_zone: str
    hosts: tuple[str, ...]
    settings: dict[str, Any]
    version: int
    sequence: int
    applied: Mapping[str, Any] = field(default_factory=dict)
    """The associated schedules and resources, as their events spell them."""
    applied_version: int = 0
    """Grows with each change of `applied`."""

    @cached_property
    def rules(self) -> SlotRules:
        return _rules(
            _RulesSource(
                account_id=self.account_id,
                calendar_id=self.id,
                version=self.version,
                applied_version=self.applied_version,
                time_zone=self.time_zone,
                settings=self.settings,
                applied=self.applied,
            )
        )

    @property
    def active(self) -> bool:
        return self.settings.get("isActive") is not False

    @property
    def auto_confirms(self) -> bool:
        return bool(self.settings.get("autoConfirm", True))

    @property
    def length(self) -> timedelta:
        """The length of its appointments."""
        return timedelta(milliseconds=self.rules.length)

    @property
    def takable(self) -> set[str]:
        """The hosts, rooms and equipment whose time its appointments may take."""
        return {*self.hosts, *self.rules.rooms, *(key for key, _ in self.rules.equipment)}

    @property
    def group_id(self) -> str | None:
        return self.settings.get("groupId") or None


@dataclass(frozen=True)
class _RulesSource:
    """What the rules of a calendar are read from, compared by the versions alone.

    Settings and associations never change without their version.
    """

    account_id: str
    calendar_id: str
    version: int
    applied_version: int
    time_zone: str
    settings: Mapping[str, Any] = field(compare=False)
    applied: Mapping[str, Any] = field(compare=False)


@lru_cache(maxsize=10_000)
def _rules(source: _RulesSource) -> SlotRules:
    return rules_of(source.calendar_id, source.time_zone, source.settings, source.applied)


def rules_of(
    calendar_id: str, zone: str, settings: Mapping[str, Any], applied: Mapping[str, Any]
) -> SlotRules:
    """The rules of a calendar with these settings; ValueError for settings that make no rules."""
    return SlotRules.from_calendar(
        {**settings, "id": calendar_id},
        zone,
        schedules=applied.get("schedules", ()),
        resources=applied.get("resources", ()),
    )


def hosts_of(calendar_id: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of its members; a calendar without members is its own host."""
    members = settings.get("teamMembers") or ()
    return tuple(member["userId"] for member in members) or (calendar_id,)


def meeting_ids(configurations: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The `meetingId` of each of the `locationConfigurations` of a calendar or of a member.

    Kind and index in the list: `custom_0`. An appointment's `meetingLocationId` is one of them, or
    `default`, which means the first.
    """
    return tuple(f"{location['kind']}_{n}" for n, location in enumerate(configurations))


def venues_of(calendar: Calendar, host: str) -> Mapping[str, tuple[str, str]]:
    """`meetingLocationId` → `meetingLocationType` and address of appointments with this host."""
    configurations = _configurations(calendar, host)
    venues = [
        (APPOINTMENT_TYPE_OF_KIND[location["kind"]], location.get("location") or "")
        for location in configurations
    ]
    named = dict(zip(meeting_ids(configurations), venues, strict=True))
    return {"default": venues[0] if venues else ("default", ""), **named}


def _configurations(calendar: Calendar, host: str) -> Sequence[Mapping[str, Any]]:
    """The locations of the member, else those of the calendar."""
    members = calendar.settings.get("teamMembers") or ()
    own = (m.get("locationConfigurations") for m in members if m["userId"] == host)
    return next(own, None) or calendar.settings.get("locationConfigurations") or ()


def conference_members(settings: Mapping[str, Any]) -> Sequence[tuple[int, str, str]]:
    """`(index, user id, provider)` of each member whose location is a Zoom or Teams meeting."""
    return [
        (index, member["userId"], provider)
        for index, member in enumerate(settings.get("teamMembers") or ())
        for location in member.get("locationConfigurations") or ()
        if (provider := PROVIDER_OF_LOCATION_TYPE.get(location["kind"])) in ("zoom", "teams")
    ]
