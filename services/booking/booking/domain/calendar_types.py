"""The rules of each type of calendar, for its team, its locations and its lengths; editing its dates."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hoop_events.meeting_locations import CONFERENCE_KINDS, OTHER_KINDS
from hoop_platform.errors import Detail, Invalid, invalid

Settings = Mapping[str, Any]

NEED_MEMBERS = ("round_robin", "class_booking", "collective", "service_booking")
ONE_LOCATION_EACH = ("class_booking", "collective")
LENGTH_FIELDS = ("slotDuration", "slotInterval", "slotBuffer", "preBuffer")
MAX_DATES = 500


def check_settings(before: Settings, after: Settings) -> None:
    """Refuse settings that break a rule of the calendar's type, naming every field that does.

    Only changed fields are checked: a calendar that is older than a rule can still be renamed.
    """
    wrong = [
        detail
        for fields, rule in _RULES
        if any(before.get(name) != after.get(name) for name in fields)
        for detail in rule(after)
    ]
    if wrong:
        raise Invalid(details=wrong)


def _kind(settings: Settings) -> str:
    return settings.get("calendarType") or "event"


def _team(settings: Settings) -> Iterator[Detail]:
    kind, members = _kind(settings), settings.get("teamMembers") or ()
    if kind == "personal" and len(members) != 1:
        yield Detail("teamMembers", "one_member", "a personal calendar has exactly one member")
    if kind in NEED_MEMBERS and not members:
        yield Detail("teamMembers", "needs_members", f"a calendar of type {kind} needs a member")
    primaries = sum(bool(member.get("isPrimary")) for member in members)
    if kind == "collective" and members and primaries != 1:
        text = "exactly one member of a collective calendar is primary"
        yield Detail("teamMembers", "one_primary", text)
    users = [member["userId"] for member in members]
    for n, user in enumerate(users):
        if user in users[:n]:
            yield Detail(f"teamMembers.{n}.userId", "duplicate", "stands in the team already")


def _locations(settings: Settings) -> Iterator[Detail]:
    kind, members = _kind(settings), settings.get("teamMembers") or ()
    lists = {
        "locationConfigurations": settings.get("locationConfigurations") or (),
        **{
            f"teamMembers.{n}.locationConfigurations": member.get("locationConfigurations") or ()
            for n, member in enumerate(members)
        },
    }
    for path, locations in lists.items():
        if len(locations) > 1 and len(members) > 1:
            yield Detail(path, "one_location", "several locations only where there is one member")
        elif len(locations) > 1 and kind in ONE_LOCATION_EACH:
            yield Detail(path, "one_location", f"one location on a calendar of type {kind}")
        for n, location in enumerate(locations):
            if kind == "event" and location["kind"] in CONFERENCE_KINDS:
                text = "no online meetings on a calendar of type event"
                yield Detail(f"{path}.{n}.kind", "calendar_type", text, OTHER_KINDS)


def _recurring(settings: Settings) -> Iterator[Detail]:
    if settings.get("enableRecurring") and len(settings.get("teamMembers") or ()) > 1:
        text = "appointments recur only where there is one member"
        yield Detail("enableRecurring", "one_member", text)


def _lengths(settings: Settings) -> Iterator[Detail]:
    for name in LENGTH_FIELDS:
        if settings.get(f"{name}Unit") == "hours" and (settings.get(name) or 0) > 24:
            yield Detail(name, "too_long", "no length may exceed a day")


_RULES: Sequence[tuple[Sequence[str], Callable[[Settings], Iterator[Detail]]]] = (
    (("calendarType", "teamMembers"), _team),
    (("calendarType", "teamMembers", "locationConfigurations"), _locations),
    (("enableRecurring", "teamMembers"), _recurring),
    ((*LENGTH_FIELDS, *(f"{name}Unit" for name in LENGTH_FIELDS)), _lengths),
)


def edited_dates(
    stored: Sequence[Settings], changes: Sequence[Settings], new_ids: Sequence[str]
) -> list[dict[str, Any]]:
    """The `availabilities` after a change: one for each date, each with its id.

    A change with an id changes or deletes that entry; one without an id replaces the entry of its
    date, or is added under the id of `new_ids` at the same index.
    """
    entries = [dict(entry) for entry in stored]
    fresh: set[str] = set()
    for n, (one, new_id) in enumerate(zip(changes, new_ids, strict=True)):
        before = _pop(entries, one, f"availabilities.{n}") or _closed(new_id)
        if one.get("deleted"):
            continue
        after = {**before, **one, "id": before.get("id") or new_id}
        if after["date"] in fresh or any(e["date"] == after["date"] for e in entries):
            text = "has an entry already"
            raise invalid(f"availabilities.{n}.date", "duplicate", text)
        fresh.add(after["date"])
        entries.append(after)
    if len(entries) > MAX_DATES:
        raise invalid("availabilities", "too_many", f"{MAX_DATES} at most")
    return sorted(entries, key=lambda entry: str(entry["date"]))


def _closed(new_id: str) -> dict[str, Any]:
    return {"id": new_id, "hours": [], "deleted": False}


def _pop(entries: list[dict[str, Any]], one: Settings, path: str) -> dict[str, Any] | None:
    """Remove and return the entry that a change names; None for a new one. Raises `Invalid`."""
    key = "id" if one.get("id") else "date"
    found = next((n for n, entry in enumerate(entries) if entry.get(key) == one[key]), None)
    if found is None and key == "id":
        raise invalid(f"{path}.id", "unknown_id", "is no availability of this calendar")
    return None if found is None else entries.pop(found)
