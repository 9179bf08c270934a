"""What a calendar's type asks of its team, its locations and its lengths, and how its dates are edited."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hoop_platform.errors import Detail, Invalid, invalid

Settings = Mapping[str, Any]

CONFERENCES = ("zoom_conference", "google_conference", "ms_teams_conference")
PLAIN_PLACES = ("custom", "inbound_call", "outbound_call", "physical", "booker")
NEED_MEMBERS = ("round_robin", "class_booking", "collective", "service_booking")
ONE_PLACE_EACH = ("class_booking", "collective")
LENGTHS = ("slotDuration", "slotInterval", "slotBuffer", "preBuffer")
MOST_DATES = 500


def check_settings(before: Settings, after: Settings) -> None:
    """Refuse settings that break a rule of the calendar's type, naming every field that does.

    Only what a change touches is looked at: a calendar of before a rule was made can be renamed.
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
    said = [member["userId"] for member in members]
    for n, user in enumerate(said):
        if user in said[:n]:
            yield Detail(f"teamMembers.{n}.userId", "duplicate", "stands in the team already")


def _places(settings: Settings) -> Iterator[Detail]:
    kind, members = _kind(settings), settings.get("teamMembers") or ()
    lists = {
        "locationConfigurations": settings.get("locationConfigurations") or (),
        **{
            f"teamMembers.{n}.locationConfigurations": member.get("locationConfigurations") or ()
            for n, member in enumerate(members)
        },
    }
    for path, places in lists.items():
        if len(places) > 1 and len(members) > 1:
            yield Detail(path, "one_location", "several locations only where there is one member")
        elif len(places) > 1 and kind in ONE_PLACE_EACH:
            yield Detail(path, "one_location", f"one location on a calendar of type {kind}")
        for n, place in enumerate(places):
            if kind == "event" and place["kind"] in CONFERENCES:
                text = "no online meetings on a calendar of type event"
                yield Detail(f"{path}.{n}.kind", "calendar_type", text, PLAIN_PLACES)


def _recurring(settings: Settings) -> Iterator[Detail]:
    if settings.get("enableRecurring") and len(settings.get("teamMembers") or ()) > 1:
        text = "appointments recur only where there is one member"
        yield Detail("enableRecurring", "one_member", text)


def _lengths(settings: Settings) -> Iterator[Detail]:
    for name in LENGTHS:
        if settings.get(f"{name}Unit") == "hours" and (settings.get(name) or 0) > 24:
            yield Detail(name, "too_long", "no length may exceed a day")


_RULES: Sequence[tuple[Sequence[str], Callable[[Settings], Iterator[Detail]]]] = (
    (("calendarType", "teamMembers"), _team),
    (("calendarType", "teamMembers", "locationConfigurations"), _places),
    (("enableRecurring", "teamMembers"), _recurring),
    ((*LENGTHS, *(f"{name}Unit" for name in LENGTHS)), _lengths),
)


def edited_dates(
    stored: Sequence[Settings], said: Sequence[Settings], new_ids: Sequence[str]
) -> list[dict[str, Any]]:
    """The `availabilities` after a change: one for each date, each with its id.

    What is said with an id changes that one, or deletes it; without, it replaces the one of its
    date, or is added with the id from `new_ids` that stands in its place.
    """
    entries = [dict(entry) for entry in stored]
    fresh: set[str] = set()
    for n, (one, new_id) in enumerate(zip(said, new_ids, strict=True)):
        before = _taken_out(entries, one, f"availabilities.{n}") or _closed(new_id)
        if one.get("deleted"):
            continue
        after = {**before, **one, "id": before.get("id") or new_id}
        if after["date"] in fresh or any(e["date"] == after["date"] for e in entries):
            text = "has an entry already"
            raise invalid(f"availabilities.{n}.date", "duplicate", text)
        fresh.add(after["date"])
        entries.append(after)
    if len(entries) > MOST_DATES:
        raise invalid("availabilities", "too_many", f"{MOST_DATES} at most")
    return sorted(entries, key=lambda entry: str(entry["date"]))


def _closed(new_id: str) -> dict[str, Any]:
    return {"id": new_id, "hours": [], "deleted": False}


def _taken_out(entries: list[dict[str, Any]], one: Settings, path: str) -> dict[str, Any] | None:
    """The entry that is meant; None when it is a new one."""
    key = "id" if one.get("id") else "date"
    found = next((n for n, entry in enumerate(entries) if entry.get(key) == one[key]), None)
    if found is None and key == "id":
        raise invalid(f"{path}.id", "unknown_id", "is no availability of this calendar")
    return None if found is None else entries.pop(found)
