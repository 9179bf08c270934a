"""Calendars: the hosts, the rules and the venues that follow from their settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, Protocol, Self

from booking.domain.commands import AppointmentPatch
from hoop_events.meeting_locations import (
    APPOINTMENT_TYPE_OF_KIND,
    PROVIDER_OF_LOCATION_TYPE,
    has_adapter,
)
from hoop_platform.errors import invalid
from hoop_scheduling.rules import SlotRules

NO_ADAPTER = "there is no integration that creates links for it; choose another location"


class Row(Protocol):
    """A row of the table `calendar`, or of a statement that has its columns."""

    def __getitem__(self, column: str) -> Any: ...


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

    @classmethod
    def of(cls, row: Row) -> Self:
        """A row of the table `calendar` as a value."""
        return cls(
            account_id=row["account_id"],
            id=row["id"],
            location_id=row["location_id"],
            time_zone=row["time_zone"],
            hosts=tuple(row["hosts"]),
            settings=row["settings"],
            version=row["version"],
            sequence=row["sequence"],
            applied=row["applied"],
            applied_version=row["applied_version"],
        )

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
    def length(self) -> timedelta:
        """The length of its appointments."""
        return timedelta(milliseconds=self.rules.length)

    @property
    def recurs(self) -> bool:
        """Whether it gives a rule of its own to appointments without one."""
        recurring = self.settings.get("recurring") or {}
        return bool(self.settings.get("enableRecurring") and recurring.get("freq"))

    @property
    def allows_same_contact(self) -> bool:
        """Whether one contact may take several seats of a session."""
        return bool(self.settings.get("allowSameContact"))

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
    """The ids of its members; a calendar without members is its own host, unless it needs one."""
    members = settings.get("teamMembers") or ()
    own = () if settings.get("needsHost") else (calendar_id,)
    return tuple(member["userId"] for member in members) or own


def without_member(settings: Mapping[str, Any], user_id: str) -> dict[str, Any]:
    """The settings after a member was deleted.

    `needsHost`: no member is left, which is not the same as a calendar that never had one and is
    its own host. A collective calendar whose primary member is gone gets the next one.
    """
    left = [member for member in settings["teamMembers"] if member["userId"] != user_id]
    if not left:
        return {**settings, "teamMembers": [], "needsHost": True}
    if settings.get("calendarType") == "collective":
        primary = next((m["userId"] for m in left if m.get("isPrimary")), left[0]["userId"])
        left = [{**member, "isPrimary": member["userId"] == primary} for member in left]
    return {**settings, "teamMembers": left}


def edited(before: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """The settings after a patch. A calendar that needs a host does so until it gets a member."""
    after = {**before, **sent}
    if after.get("teamMembers"):
        after.pop("needsHost", None)
    return after


def meeting_ids(configurations: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The `meetingId` of each of the `locationConfigurations` of a calendar or of a member.

    Kind and index in the list: `custom_0`. An appointment's `meetingLocationId` is one of them, or
    `default`, which means the first.
    """
    return tuple(f"{location['kind']}_{n}" for n, location in enumerate(configurations))


class Venue(NamedTuple):
    """Where appointments happen: a `meetingLocationId`, its `meetingLocationType`, an address."""

    location_id: str = "default"
    kind: str = "default"
    address: str = ""


def choose_venue(
    present: Venue, calendar: Calendar, host: str, patch: AppointmentPatch, *, reassigned: bool
) -> Venue:
    """The venue that the patch names; else the present one.

    `reassigned`: the appointment gets another time, calendar or host, so a venue that no client
    has chosen follows the present settings. Otherwise changed settings do not change the venue.
    Raises `Invalid` for an unknown `meetingLocationId`, and for an online meeting that nobody creates.
    """
    venues = _venues(calendar, host)
    chosen, kind, address = present
    _check_adapter(present, patch, venues)
    if patch.meeting_location_id is not None:
        chosen, kind, address = venues[patch.meeting_location_id]
    elif patch.meeting_location_type is not None:
        address = address if kind == patch.meeting_location_type else ""
        chosen, kind = "default", patch.meeting_location_type
    elif patch.address and patch.address != address:
        chosen, kind = "default", "custom"
    elif reassigned and kind == "default":
        _, kind, address = venues["default"]
    if patch.address is not None:
        address = patch.address
    if reassigned and chosen not in venues:
        chosen = "default"
    return Venue(chosen, kind, address)


def _check_adapter(present: Venue, patch: AppointmentPatch, venues: Mapping[str, Venue]) -> None:
    """Raise `Invalid` for a venue that the patch names, if it is unknown or no links are created for it."""
    if patch.meeting_location_id is not None:
        path, found = "meetingLocationId", venues.get(patch.meeting_location_id)
        if found is None:
            text = "is none of the locations of the calendar or its member"
            raise invalid(path, "unknown_location", text, tuple(venues))
        kind, allowed = found.kind, [name for name in venues if has_adapter(venues[name].kind)]
    else:
        path, kind = "meetingLocationType", patch.meeting_location_type or present.kind
        allowed = [
            name for name in dict.fromkeys(APPOINTMENT_TYPE_OF_KIND.values()) if has_adapter(name)
        ]
    if kind != present.kind and not has_adapter(kind):
        raise invalid(path, "integration_missing", NO_ADAPTER, allowed)


def _venues(calendar: Calendar, host: str) -> Mapping[str, Venue]:
    """The venues of appointments with this host by their `meetingLocationId`."""
    configurations = _configurations(calendar, host)
    named = {
        name: Venue(
            name, APPOINTMENT_TYPE_OF_KIND[location["kind"]], location.get("location") or ""
        )
        for name, location in zip(meeting_ids(configurations), configurations, strict=True)
    }
    first = next(iter(named.values()), Venue())
    return {"default": Venue("default", first.kind, first.address), **named}


def _configurations(calendar: Calendar, host: str) -> Sequence[Mapping[str, Any]]:
    """The locations of the member, else those of the calendar."""
    members = calendar.settings.get("teamMembers") or ()
    own = (m.get("locationConfigurations") for m in members if m["userId"] == host)
    return next(own, None) or calendar.settings.get("locationConfigurations") or ()


class ConferenceChoice(NamedTuple):
    """A location of a calendar's settings for which a provider creates the links."""

    path: str
    """Of its `kind`, in the body."""
    kind: str
    provider: str
    users: tuple[str, ...]
    """The members who are to meet there; of a member's own location that one."""
    own: bool
    """Whether it is a member's own location, not the calendar's."""

    def is_as(self, other: "ConferenceChoice") -> bool:
        """Whether the other one was the same choice: of the calendar, or of this member."""
        same_users = self.users == other.users or not self.own
        return (self.own, self.provider) == (other.own, other.provider) and same_users


def conference_choices(settings: Mapping[str, Any]) -> Sequence[ConferenceChoice]:
    """The online meetings among the locations of the members and of the calendar."""
    members = settings.get("teamMembers") or ()
    others = tuple(m["userId"] for m in members if not m.get("locationConfigurations"))
    lists = [
        (f"teamMembers.{n}.", member.get("locationConfigurations"), (member["userId"],), True)
        for n, member in enumerate(members)
    ]
    lists.append(("", settings.get("locationConfigurations"), others, False))
    return [
        ConferenceChoice(f"{path}locationConfigurations.{n}.kind", kind, provider, users, own)
        for path, locations, users, own in lists
        for n, location in enumerate(locations or ())
        if (provider := PROVIDER_OF_LOCATION_TYPE.get(kind := location["kind"]))
    ]
