"""Recurrence rules (RFC 5545) within bounds: parsed and checked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import NamedTuple

from hoop_platform.errors import Invalid, invalid

MAX_COUNT = 24
"""The vendor's limit for COUNT."""
MAX_INTERVAL = 366
MAX_ITEMS = 31
"""The most values in one list."""

FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
PARTS = (
    "FREQ",
    "COUNT",
    "UNTIL",
    "INTERVAL",
    "WKST",
    "BYMONTH",
    "BYMONTHDAY",
    "BYDAY",
    "BYSETPOS",
)
OTHER_PARTS = frozenset(
    [
        "BYSECOND",
        "BYMINUTE",
        "BYHOUR",
        "BYYEARDAY",
        "BYWEEKNO",
        "BYEASTER",
        "DTSTART",
        "RDATE",
        "EXDATE",
        "EXRULE",
    ]
)
"""Other parts of RFC 5545 and other properties: named in the refusal."""

_NUMBER = re.compile(r"[1-9]\d{0,2}", re.ASCII)
_SIGNED = re.compile(r"[+-]?[1-9]\d{0,2}", re.ASCII)
_WEEKDAY = re.compile(rf"([+-]?[1-9]\d?)?({'|'.join(WEEKDAYS)})", re.ASCII)
_UNTIL = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})Z)?", re.ASCII)


class NumberedWeekday(NamedTuple):
    """A value of BYDAY: `2TU`, the second Tuesday; `-1FR`, the last Friday; `MO`, each Monday."""

    weekday: int
    """0 is Monday."""
    ordinal: int = 0
    """Of the month, or of the year for a yearly rule without BYMONTH; 0: each one."""


@dataclass(frozen=True)
class RecurrenceRule:
    """A checked rule; `until` is a local date, or an instant. Empty lists: the part is absent."""

    text: str
    freq: str
    interval: int = 1
    count: int | None = None
    until: date | datetime | None = None
    week_start: int = 0
    """The weekday on which weeks begin; 0 is Monday."""
    months: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    """Negative ones count from the end of the month."""
    week_days: tuple[NumberedWeekday, ...] = ()
    positions: tuple[int, ...] = ()
    """BYSETPOS: of the days in each period; negative ones count from the end."""


def parse_rule(text: str) -> RecurrenceRule:
    """Parse a rule; raises `Invalid` for `rrule`, naming the part and the allowed values."""
    plain = text.strip().upper().removeprefix("RRULE:").removesuffix(";")
    parts = _parts(plain)
    freq = parts.get("FREQ", "")
    if freq not in FREQUENCIES:
        raise invalid_part("FREQ", f"is one of {', '.join(FREQUENCIES)}", FREQUENCIES)
    if ("COUNT" in parts) == ("UNTIL" in parts):
        raise invalid_part("COUNT", "or UNTIL must be there, and not both")
    rule = RecurrenceRule(
        text=plain,
        freq=freq,
        interval=_number("INTERVAL", parts, MAX_INTERVAL) or 1,
        count=_number("COUNT", parts, MAX_COUNT),
        until=_until(parts["UNTIL"]) if "UNTIL" in parts else None,
        week_start=_week_start(parts.get("WKST", WEEKDAYS[0])),
        months=_numbers("BYMONTH", parts, 12, signed=False),
        month_days=_numbers("BYMONTHDAY", parts, 31),
        week_days=_week_days(parts),
        positions=_numbers("BYSETPOS", parts, 366),
    )
    _check_combination(rule)
    return rule


def _check_combination(rule: RecurrenceRule) -> None:
    """Refuse parts that RFC 5545 forbids beside each other."""
    if rule.month_days and rule.freq == "WEEKLY":
        raise invalid_part("BYMONTHDAY", "does not go with FREQ=WEEKLY")
    if rule.positions and not (rule.months or rule.month_days or rule.week_days):
        raise invalid_part("BYSETPOS", "needs BYDAY, BYMONTHDAY or BYMONTH beside it")
    highest = max((abs(one.ordinal) for one in rule.week_days), default=0)
    if highest and rule.freq in ("DAILY", "WEEKLY"):
        raise invalid_part("BYDAY", f"has no numbers with FREQ={rule.freq}", WEEKDAYS)
    of_year = rule.freq == "YEARLY" and not rule.months
    if highest > (53 if of_year else 5):
        raise invalid_part("BYDAY", f"numbers weekdays up to {53 if of_year else 5}")


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if name not in PARTS or not equals:
            named = name if name in OTHER_PARTS else "a part"
            text = f"{named} is none of {', '.join(PARTS)}"
            raise invalid("rrule", "unknown_part", text, PARTS)
        if name in parts:
            raise invalid_part(name, "is given twice")
        parts[name] = value
    return parts


def _number(name: str, parts: Mapping[str, str], maximum: int) -> int | None:
    if name not in parts:
        return None
    if not _NUMBER.fullmatch(parts[name]) or int(parts[name]) > maximum:
        raise invalid_part(name, f"is a number from 1 to {maximum}")
    return int(parts[name])


def _numbers(
    name: str, parts: Mapping[str, str], maximum: int, *, signed: bool = True
) -> tuple[int, ...]:
    """The list of numbers, sorted."""
    pattern = _SIGNED if signed else _NUMBER
    values = parts[name].split(",") if name in parts else []
    numbers = [int(value) for value in values if pattern.fullmatch(value)]
    if len(numbers) < len(values) or max(map(abs, numbers), default=0) > maximum:
        signs = f" or -1 to -{maximum}" if signed else ""
        raise invalid_part(name, f"lists numbers from 1 to {maximum}{signs}")
    _check_list(name, numbers)
    return tuple(sorted(numbers))


def _week_days(parts: Mapping[str, str]) -> tuple[NumberedWeekday, ...]:
    values = parts["BYDAY"].split(",") if "BYDAY" in parts else []
    found = [match for value in values if (match := _WEEKDAY.fullmatch(value))]
    if len(found) < len(values):
        text = "lists weekdays, MO to SU, with or without a number: TU, 2TU, -1FR"
        raise invalid_part("BYDAY", text, WEEKDAYS)
    days = [NumberedWeekday(WEEKDAYS.index(match[2]), int(match[1] or 0)) for match in found]
    _check_list("BYDAY", days)
    return tuple(sorted(days))


def _check_list(name: str, values: Sequence[object]) -> None:
    if len(values) > MAX_ITEMS or len(set(values)) < len(values):
        raise invalid_part(name, f"lists {MAX_ITEMS} values at most, each once")


def _week_start(text: str) -> int:
    if text not in WEEKDAYS:
        raise invalid_part("WKST", "is a weekday, MO to SU", WEEKDAYS)
    return WEEKDAYS.index(text)


def _until(text: str) -> date | datetime:
    found = _UNTIL.fullmatch(text)
    try:
        numbers = [int(part) for part in found.groups() if part is not None] if found else []
        if len(numbers) == 3:
            return date(*numbers)
        return datetime(*numbers, tzinfo=UTC)  # type: ignore[misc, arg-type]  # six numbers, or none
    except (TypeError, ValueError):
        raise invalid_part(
            "UNTIL", "is a date, 20270331, or an instant, 20270331T170000Z"
        ) from None


def invalid_part(part: str, rule: str, allowed: tuple[str, ...] | None = None) -> Invalid:
    """The refusal of one part of a rule."""
    return invalid("rrule", part.lower(), f"{part} {rule}", allowed)
