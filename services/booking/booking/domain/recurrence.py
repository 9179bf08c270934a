"""The start times of a recurrence rule in a zone, and where rules come from."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from booking.domain.commands import AppointmentPatch
from booking.domain.recurrence_days import rule_days
from booking.domain.recurrence_rule import RecurrenceRule, invalid_part, parse_rule
from hoop_events.booking import Appointment
from hoop_platform.errors import invalid

MAX_OCCURRENCES_UNTIL = 53
"""The most occurrences of a rule with UNTIL: a weekly one for a year."""
MAX_UNTIL = timedelta(days=366)
"""How far after the start UNTIL may lie, on a calendar without a booking horizon."""
MAX_DAYS = 3653
"""The number of days after the start within which all counted occurrences must lie."""


def rule_of_calendar(settings: Mapping[str, Any]) -> RecurrenceRule | None:
    """The rule that a calendar with `enableRecurring` gives to a request without one; else None."""
    recurring = settings.get("recurring") or {}
    if not settings.get("enableRecurring") or not recurring.get("freq"):
        return None
    return parse_rule(f"FREQ={recurring['freq']};COUNT={recurring.get('count') or 1}")


def check_rule_unchanged(before: Appointment, patch: AppointmentPatch) -> None:
    """Refuse a patch that changes a series' rule, or gives a rule to a single appointment."""
    if patch.rrule is None:
        return
    if before.series is None or parse_rule(patch.rrule).text != before.series.rrule:
        raise invalid("rrule", "immutable", "cannot be changed: book another series")


def starts(rule: RecurrenceRule, start: datetime, *, zone: str, latest: datetime) -> list[datetime]:
    """The starts of the occurrences in UTC, each at the same local time as the first.

    Days on which the clocks skip that time, and months without that day, have no occurrence and are
    not counted (RFC 5545, section 3.3.10). Of a time that the clocks repeat, the first counts.
    Raises `Invalid` when UNTIL lies after `latest`, or `start` is none of the rule's days.
    """
    local = start.astimezone(ZoneInfo(zone))
    last = _last(rule, zone=zone)
    if last is not None and not start <= last <= latest:
        span = [start.isoformat(), latest.isoformat()]
        raise invalid("rrule", "until", "UNTIL lies between the start and the horizon", span)
    first = local.date()
    if next(rule_days(rule, first, last=first), None) is None:
        raise invalid("rrule", "start", "startTime must be one of the days that the rule names")
    limit = rule.count or MAX_OCCURRENCES_UNTIL + 1
    found: list[datetime] = []
    for day in rule_days(rule, first, last=_last_day(first, last, zone)):
        moment = start if day == first else local_instant(day, local.time(), zone)
        if len(found) == limit or (last is not None and moment is not None and moment > last):
            break
        found += [moment] if moment is not None else []
    return _checked(rule, found)


def _last_day(first: date, last: datetime | None, zone: str) -> date:
    """The last day on which an occurrence may start: that of UNTIL, within `MAX_DAYS`."""
    bound = first + timedelta(days=MAX_DAYS)
    return bound if last is None else min(bound, last.astimezone(ZoneInfo(zone)).date())


def _checked(rule: RecurrenceRule, found: list[datetime]) -> list[datetime]:
    if rule.count is not None and len(found) < rule.count:
        raise invalid_part("COUNT", "reaches further than ten years")
    if rule.count is None and len(found) > MAX_OCCURRENCES_UNTIL:
        raise invalid_part("UNTIL", f"leaves more than {MAX_OCCURRENCES_UNTIL} occurrences")
    return found


def _last(rule: RecurrenceRule, *, zone: str) -> datetime | None:
    """The last instant at which an occurrence may start: UNTIL, or the end of its date."""
    if rule.until is None or isinstance(rule.until, datetime):
        return rule.until
    midnight = datetime.combine(rule.until, time.max, ZoneInfo(zone))
    return midnight.replace(fold=1).astimezone(UTC)


def local_instant(day: date, clock: time, zone: str) -> datetime | None:
    """The instant of this local time; None when the zone's clocks skip it on that day."""
    local = datetime.combine(day, clock.replace(fold=0), ZoneInfo(zone))
    instant = local.astimezone(UTC)
    back = instant.astimezone(ZoneInfo(zone))
    return instant if back.replace(tzinfo=None) == local.replace(tzinfo=None) else None
